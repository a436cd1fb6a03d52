# SPDX-License-Identifier: MIT
"""The server of the matrix is a witness only if it sees what is wrong: it is told right things and
wrong ones by hand here, without the daemon."""

import http.client
import json
import queue
import subprocess
import threading

import pytest

from any_mcp import MODERN, SERVER, AnyHttp, eventually, read_journal, violations

LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
PREFIX = "io.modelcontextprotocol/"
HELLO = {"protocolVersion": "2025-11-25", "clientInfo": {"name": "t", "version": "1"},
         "capabilities": {"elicitation": {}, "sampling": {}, "roots": {}}}  # fmt: skip
META = {PREFIX + "protocolVersion": MODERN, PREFIX + "clientInfo": {"name": "t", "version": "1"},
        PREFIX + "clientCapabilities": HELLO["capabilities"]}  # fmt: skip


class Pipe:
    """A client of one server over stdio, which says exactly what it is told to."""

    def __init__(self, journal, versions, **options):
        self.journal = journal
        options.update(versions=versions, journal=str(journal))
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(SERVER), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines, self.last = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def next(self):
        return self.lines.get(timeout=10)

    def ask(self, method, params=None, request_id=None, **more):
        """Sends a request and gives the next message, whatever it is."""
        self.last += 1
        request_id = self.last if request_id is None else request_id
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, **more}
        if params is not None:
            message["params"] = params
        self.say(message)
        return self.next()

    def modern(self, method, **params):
        return self.ask(method, {**params, "_meta": META})

    def hello(self, version="2025-11-25"):
        got = self.ask("initialize", {**HELLO, "protocolVersion": version})
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return got["result"]["protocolVersion"]

    def rules(self):
        return [note["rule"] for note in read_journal(self.journal, "violation")]


@pytest.mark.parametrize("version", LEGACY)
def test_a_good_client_of_an_old_server_breaks_nothing(journal, version):
    with Pipe(journal, [version]) as pipe:
        assert pipe.hello() == version
        tools = pipe.ask("tools/list")["result"]["tools"]
        assert ("outputSchema" in str(tools)) == (version >= "2025-06-18")
        got = pipe.ask("tools/call", {"name": "echo", "arguments": {"message": "m"}})
        assert got["result"]["content"][0]["text"] == "m"
        call = {"name": "progress", "arguments": {"steps": 2}, "_meta": {"progressToken": "t"}}
        assert pipe.ask("tools/call", call)["params"]["progress"] == 1
        assert pipe.next()["params"]["progress"] == 2
        assert pipe.next()["result"]
        ask = pipe.ask("tools/call", {"name": "sample", "arguments": {"tag": "s"}})
        assert ask["method"] == "sampling/createMessage"
        words = {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m"}
        pipe.say({"jsonrpc": "2.0", "id": ask["id"], "result": words})
        assert json.loads(pipe.next()["result"]["content"][0]["text"]) == words
        changed = pipe.ask("tools/call", {"name": "mutate", "arguments": {}})
        assert changed["method"] == "notifications/tools/list_changed"
        assert pipe.next()["result"]
        for method, params in [
            ("resources/list", {}), ("resources/templates/list", {}), ("prompts/list", {}),
            ("resources/read", {"uri": "any://item/1"}), ("ping", None),
            ("resources/subscribe", {"uri": "any://item/1"}),
            ("prompts/get", {"name": "greeting", "arguments": {"who": "you"}}),
            ("logging/setLevel", {"level": "info"}),
            ("completion/complete", {"ref": {"type": "ref/prompt", "name": "greeting"},
                                     "argument": {"name": "who", "value": "y"}}),
        ]:  # fmt: skip
            assert "result" in pipe.ask(method, params), method
        touched = pipe.ask("tools/call", {"name": "touch", "arguments": {"uri": "any://item/1"}})
        assert touched["params"] == {"uri": "any://item/1"}
        assert pipe.next()["result"]
        assert pipe.ask("tools/call", {"name": "log"})["params"]["level"] == "info"
        assert pipe.next()["params"]["level"] == "error"
        assert pipe.next()["result"]
        assert pipe.rules() == []


def test_a_good_client_of_a_modern_server_breaks_nothing(journal):
    with Pipe(journal, [MODERN]) as pipe:
        assert pipe.modern("server/discover")["result"]["supportedVersions"] == [MODERN]
        assert pipe.modern("tools/list")["result"]["cacheScope"] == "private"
        ask = pipe.modern("tools/call", name="elicit", arguments={"count": 2})["result"]
        assert ask["resultType"] == "input_required" and len(ask["inputRequests"]) == 2
        word = {"action": "accept", "content": {"word": "w"}}
        got = pipe.modern("tools/call", name="elicit", arguments={"count": 2},
                          requestState=ask["requestState"],
                          inputResponses={key: word for key in ask["inputRequests"]})  # fmt: skip
        assert json.loads(got["result"]["content"][0]["text"]) == [{"q0": word, "q1": word}]
        ack = pipe.modern("subscriptions/listen", notifications={"toolsListChanged": True})
        assert ack["params"]["_meta"][PREFIX + "subscriptionId"] == pipe.last
        news = pipe.modern("tools/call", name="mutate", arguments={})
        assert news["method"] == "notifications/tools/list_changed"
        assert pipe.next()["result"]
        assert pipe.rules() == []


def test_tasks_of_both_kinds(journal):
    with Pipe(journal, ["2025-11-25"]) as pipe:
        pipe.hello()
        call = {"name": "task_required", "arguments": {"ask": True}, "task": {"ttl": 5000}}
        task = pipe.ask("tools/call", call)["result"]["task"]
        ask = pipe.ask("tasks/result", {"taskId": task["taskId"]})
        assert ask["params"]["_meta"] == {PREFIX + "related-task": {"taskId": task["taskId"]}}
        word = {"action": "accept", "content": {"word": "w"}}
        pipe.say({"jsonrpc": "2.0", "id": ask["id"], "result": word})
        assert "task done" in pipe.next()["result"]["content"][0]["text"]
        assert pipe.ask("tasks/get", {"taskId": task["taskId"]})["result"]["status"] == "completed"
        assert pipe.rules() == []
        assert pipe.ask("tools/call", {"name": "task_required"})["error"]["code"] == -32601
        assert "no task of a tool" in pipe.rules()[0]


def test_tasks_of_the_extension(journal):
    with Pipe(journal, [MODERN]) as pipe:
        assert pipe.modern("tools/call", name="task_required")["error"]["code"] == -32021
        able = {**META, PREFIX + "clientCapabilities": {"extensions": {PREFIX + "tasks": {}}}}

        def ask(method, **params):
            return pipe.ask(method, {**params, "_meta": able})["result"]

        task = ask("tools/call", name="task_required", arguments={"ask": True})
        assert task["resultType"] == "task"
        asked = eventually(lambda: ask("tasks/get", taskId=task["taskId"]).get("inputRequests"))
        word = {"action": "accept", "content": {"word": "w"}}
        ask("tasks/update", taskId=task["taskId"], inputResponses={key: word for key in asked})
        done = eventually(lambda: ask("tasks/get", taskId=task["taskId"]).get("result"))
        assert "task done" in done["content"][0]["text"]
        assert pipe.rules() == []


# what is wrong, what is said, words of the rule
WRONG = {
    "request before initialized": (
        LEGACY[3], [{"id": 1, "method": "tools/list"}], "before notifications/initialized"),
    "id used twice": (LEGACY[3], ["hello", {"id": 1, "method": "tools/list"}], "used before"),
    "id null": (LEGACY[3], ["hello", {"id": None, "method": "tools/list"}], "the id is None"),
    "second initialize": (
        LEGACY[3], ["hello", {"id": 5, "method": "initialize", "params": HELLO}], "a second initialize"),
    "batch": (LEGACY[1], ["hello", [{"jsonrpc": "2.0", "id": 5, "method": "ping"}]], "no batch"),
    "unknown method": (LEGACY[0], ["hello", {"id": 5, "method": "tasks/list"}], "has no request"),
    "no such params": (LEGACY[3], ["hello", {"id": 5, "method": "tools/call", "params": {}}],
                       "'name' is a required property"),
    "unknown member": (LEGACY[3], ["hello", {"id": 5, "method": "ping", "x": 1}], "unknown member x"),
    "arguments that do not fit": (
        LEGACY[0],
        ["hello", {"id": 5, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}],
        "'message' is a required property"),
    "answer to nothing": (LEGACY[3], ["hello", {"id": 5, "result": {}}], "not asked"),
    "cancel of nothing": (
        LEGACY[3],
        ["hello", {"method": "notifications/cancelled", "params": {"requestId": 77}}], "never asked"),
    "modern _meta in an old session": (
        LEGACY[3], ["hello", {"id": 5, "method": "tools/list", "params": {"_meta": META}}],
        "known as a legacy one"),
    "ping to a modern server": (
        MODERN, [{"id": 1, "method": "ping", "params": {"_meta": META}}], "ping is not of"),
    "initialize to a modern server": (
        MODERN, [{"id": 1, "method": "initialize", "params": HELLO}], "without _meta"),
    "no capabilities": (
        MODERN, [{"id": 1, "method": "tools/list",
                  "params": {"_meta": {PREFIX + "protocolVersion": MODERN}}}], "is a required"),
    "answer to a modern server": (MODERN, [{"id": 1, "result": {}}], "no responses"),
    "state of nobody": (
        MODERN, [{"id": 1, "method": "tools/call",
                  "params": {"_meta": META, "name": "elicit", "requestState": "x"}}], "nobody asked"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_seen(journal, what):
    version, messages, rule = WRONG[what]
    with Pipe(journal, [version]) as pipe:
        for message in messages:
            if message == "hello":
                pipe.hello(version)
            else:
                pipe.say({"jsonrpc": "2.0", **message} if isinstance(message, dict) else message)
        eventually(pipe.rules)
        assert rule in " | ".join(pipe.rules())


def test_answers_that_do_not_fit_are_seen(journal):
    with Pipe(journal, ["2025-06-18"]) as pipe:
        pipe.hello()
        ask = pipe.ask("tools/call", {"name": "elicit", "arguments": {}})
        pipe.say({"jsonrpc": "2.0", "id": ask["id"],
                  "result": {"action": "accept", "content": {"many": "x"}}})  # fmt: skip
        pipe.next()
        assert len(pipe.rules()) == 2 and "does not fit the form" in pipe.rules()[0]


# ---- HTTP ------------------------------------------------------------------------------------

BOTH = "application/json, text/event-stream"


class Web:
    """POSTs exactly the headers that it is told to."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post(self, message, verb="POST", path="/mcp", **headers):
        headers = {"Content-Type": "application/json", "Accept": BOTH, **headers}
        headers = {key.replace("_", "-"): value for key, value in headers.items() if value}
        body = json.dumps({"jsonrpc": "2.0", **message}) if message else None
        self.connection.request(verb, path, body, headers)
        got = self.connection.getresponse()
        return got, got.read().decode()


def call(name, **arguments):
    return {"id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "_meta": META}}  # fmt: skip


HEADERS = {"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/call", "Mcp_Name": "header"}
ODD = {"value": "são", "number": 5, "flag": True, "deep": {"leaf": ""}}
PARAMS = {"Mcp_Param_Region": "=?base64?c8Ojbw==?=", "Mcp_Param_Number": "5",
          "Mcp_Param_Flag": "true", "Mcp-Param-Leaf": " "}  # fmt: skip


@pytest.mark.parametrize("change, status, rule", [
    ({}, 200, None),
    ({"Mcp_Method": "tools/list"}, 400, "mcp-method"),
    ({"Mcp_Name": None}, 400, "mcp-name"),
    ({"MCP_Protocol_Version": "2025-11-25"}, 400, "mcp-protocol-version"),
    ({"Mcp_Param_Region": "plain"}, 400, "mcp-param-region"),
    ({"Mcp_Param_Other": "x"}, 200, "mcp-param-other"),
    ({"Mcp_Session_Id": "x"}, 200, "mcp-session-id"),
    ({"Accept": "application/json"}, 200, "Accept is"),
    ({"Content_Type": "text/plain"}, 200, "Content-Type"),
], ids=lambda x: str(x)[:40])  # fmt: skip
def test_headers_of_a_modern_request(journal, change, status, rule):
    with AnyHttp(journal, [MODERN]) as server:
        got, _ = Web(server.port).post(call("header", **ODD), **{**HEADERS, **PARAMS, **change})
        assert got.status == status
        rules = [note["rule"] for note in read_journal(journal, "violation")]
        assert len(rules) == (rule is not None) and (rule or "") in " ".join(rules), rules


def test_a_session_over_http(journal):
    with AnyHttp(journal, ["2025-06-18"]) as server:
        web = Web(server.port)
        got, body = web.post({"id": 1, "method": "initialize", "params": HELLO})
        session = got.headers["Mcp-Session-Id"]
        assert "data: " in body and session
        told = {"Mcp_Session_Id": session, "MCP_Protocol_Version": "2025-06-18"}
        note = {"method": "notifications/initialized"}
        assert web.post(note, **told)[0].status == 202
        assert web.post({"id": 2, "method": "tools/list"}, **told)[0].status == 200
        violations(journal)
        web.post({"id": 3, "method": "ping"}, Mcp_Session_Id=session)
        web.post({"id": 4, "method": "ping"}, MCP_Protocol_Version="2025-06-18")
        web.post({"id": 5, "method": "ping"}, **{**told, "Mcp_Session_Id": "x"})
        rules = [note["rule"] for note in read_journal(journal, "violation")]
        assert len(rules) == 3, rules
        assert web.post(None, verb="DELETE", **told)[0].status == 200
        assert web.post({"id": 6, "method": "ping"}, **told)[0].status == 404
        assert len(read_journal(journal, "violation")) == 4
