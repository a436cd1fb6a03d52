# SPDX-License-Identifier: MIT
"""MCP towards servers, old and newer: handshake, lists, progress, numbers, what servers ask."""

import json

import pytest

from daemon import eventually, http, http_server, read_journal, stdio

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture(params=["stdio", "json", "sse"])
def bad(request, daemon, journal):
    """A client, with the well-behaved tools of the misbehaving server behind each transport."""
    server = None if request.param == "stdio" else http_server(journal)
    service = (
        stdio(journal=journal)
        if server is None
        else http(server.port, "/mcp" if request.param == "json" else "/sse")
    )
    daemon.services({"bad": service})
    daemon.start()
    client = daemon.client()
    client.transport = request.param
    yield client
    client.close()
    daemon.stop()
    if server:
        server.stop()


def test_a_call(bad):
    answer = bad.tool("bad/echo", {"message": "héllo"})
    assert answer["result"] == {"content": [{"type": "text", "text": "héllo"}]}
    assert answer["service"] == "bad" and answer["tool"] == "echo" and answer["source"] == "live"
    assert answer["attempts"] == 1 and answer["execution_time_ms"] >= 0 and answer["request_id"]


def test_service_and_tool_apart(bad):
    assert bad.text("echo", {"message": "x"}, service="bad") == "x"


def test_a_tools_own_failure_is_a_result(bad):
    answer = bad.tool("bad/fails")
    assert answer["result"]["isError"] is True and answer["source"] == "live"


def test_progress_comes_before_the_answer(bad):
    msgid = bad.start("tools.call", {"tool": "bad/progress", "arguments": {"steps": 4, "ms": 30}})
    answer = bad.wait(msgid)
    assert answer["result"]["content"][0]["text"] == "4 steps"
    notes = [note[2][0] for note in bad.notes if note[:2] == [2, "progress"]]
    if bad.transport == "json":  # one JSON text has no room for progress
        assert notes == []
        return
    assert [note["progress"] for note in notes] == [1, 2, 3, 4]
    assert all(note["msgid"] == msgid and note["total"] == 4 for note in notes)
    assert notes[2]["message"] == "step 3" and "progressToken" not in notes[0]


def test_numbers_are_kept(bad):
    structured = bad.tool("bad/number")["result"]["structuredContent"]
    assert structured["large"] == 18446744073709551615
    assert structured["small"] == -9223372036854775808
    huge = structured["huge"]
    assert huge.code == 1 and huge.data == b"123456789012345678901234567890"
    precise = structured["precise"]
    if not isinstance(precise, float):
        assert precise.code == 1 and precise.data == b"0.1234567890123456789"
    # And back again, unchanged.
    assert bad.tool("bad/slow", {"ms": 1, "any": huge})["result"]


def test_numbers_reach_the_server_unchanged(bad, journal):
    huge = bad.tool("bad/number")["result"]["structuredContent"]["huge"]
    bad.tool("bad/slow", {"ms": 1.0, "huge": huge, "max": 2**64 - 1, "min": -(2**63)})
    calls = read_journal(journal, method="tools/call")
    assert calls[-1]["params"]["arguments"] == {
        "ms": 1,
        "huge": 123456789012345678901234567890,
        "max": 2**64 - 1,
        "min": -(2**63),
    }


def test_ids_and_tokens_are_our_own(bad, journal):
    for _ in range(3):
        bad.start("tools.call", {"tool": "bad/echo", "arguments": {"message": "x"}}, msgid=7)
    for _ in range(3):
        bad.receive()
    ids = [call["id"] for call in read_journal(journal, method="tools/call")]
    assert len(set(ids)) == 3


def test_meta_is_passed_but_not_the_protocols_own(bad, journal):
    bad.tool(
        "bad/echo",
        {"message": "x"},
        meta={"traceparent": "00-1-2-01", "vendor/key": 5, "progressToken": "mine"},
    )
    meta = read_journal(journal, method="tools/call")[-1]["params"]["_meta"]
    assert meta["traceparent"] == "00-1-2-01" and meta["vendor/key"] == 5
    assert meta.get("progressToken") != "mine"


def test_a_changed_list_is_noticed(bad, journal):
    def names():
        return [tool["name"] for tool in bad.call("tools.list")["tools"]]

    assert "bad/added" not in names()
    if bad.transport != "stdio":  # nobody can be told before the standalone stream stands
        eventually(lambda: read_journal(journal, "listening"), what="the GET stream")
    assert bad.text("bad/change", {"name": "added"}) == "changed"
    eventually(lambda: "bad/added" in names(), what="the added tool")


def test_lists_are_what_the_server_says(bad):
    listed = {tool["name"]: tool for tool in bad.call("tools.list")["tools"]}
    assert "bad/echo" in listed
    schema = listed["bad/echo"]["inputSchema"]
    assert list(schema) == ["type", "properties", "required"]  # in the server's order
    assert bad.call("tools.list", service="bad", detail="brief")["tools"][0].get("inputSchema") is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_versions_are_negotiated(daemon, journal, version, transport):
    server = http_server(journal, version=version) if transport == "http" else None
    daemon.services(
        {
            "old": http(server.port)
            if server
            else stdio(journal=journal, arguments=["--version", version])
        }
    )
    daemon.start()
    client = daemon.client()
    assert client.text("old/echo", {"message": "x"}) == "x"
    assert client.call("services.status", service="old")["services"][0]["protocol"] == version
    asked = read_journal(journal, method="initialize")[0]["params"]
    assert asked["protocolVersion"] == "2025-11-25" and asked["clientInfo"]["name"]
    daemon.stop()
    if server:
        server.stop()


def test_a_version_from_the_future_is_refused(daemon):
    daemon.services({"new": stdio(arguments=["--version", "2099-01-01"])})
    daemon.start()
    error = daemon.client().tool_fails("new/echo", {"message": "x"}, timeout_ms=20_000)
    assert error.code in ("EXTERNAL_TOOL_EXECUTION_FAILED", "UNAVAILABLE"), error.error
    assert "2099-01-01" in error.message


def test_pages_are_put_together(daemon):
    daemon.services({"bad": stdio(arguments=["--page", 7, "--extra-tools", 60])})
    daemon.start()
    client = daemon.client()
    names = [tool["name"] for tool in client.call("tools.list")["tools"]]
    assert names[-1] == "bad/extra_0059" and len(names) == len(set(names)) > 60
    error = client.tool_fails("bad/extra_0059")  # exists: the server itself refuses it
    assert error.code == "EXTERNAL_TOOL_EXECUTION_FAILED"


@pytest.mark.parametrize(
    "method, key", [("ping", "result"), ("roots/list", "error"), ("no/such", "error")]
)
def test_what_a_server_asks_is_answered(daemon, method, key):
    daemon.services({"bad": stdio()})
    daemon.start()
    got = json.loads(daemon.client().text("bad/asks", {"method": method}))
    assert len(got) == 1 and key in got[0], got
    if key == "error":
        assert got[0]["error"]["code"] == -32601


def test_log_messages_reach_the_caller(daemon):
    daemon.services({"bad": stdio()})
    daemon.start()
    client = daemon.client()
    msgid = client.start("tools.call", {"tool": "bad/logs", "arguments": {}})
    client.wait(msgid)
    logs = [note[2][0] for note in client.notes if note[:2] == [2, "log"]]
    assert logs and logs[0]["msgid"] == msgid and logs[0]["data"] == "said so"


def test_mcp_json_is_read_too(daemon):
    service = stdio()
    servers = {"other": {"command": service["command"], "args": service["args"]}}
    daemon.write("mcp.json", json.dumps({"mcpServers": servers}))
    daemon.start()
    assert daemon.client().text("other/echo", {"message": "x"}) == "x"
