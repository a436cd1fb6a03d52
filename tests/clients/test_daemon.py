# SPDX-License-Identifier: MIT
"""Both Python clients and the C client against the real daemon."""

import asyncio
import concurrent.futures
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from conftest import ROOT
from test_cli_ask import Terminal
from test_transcript import CClient
from toolbroker import AsyncClient, Client, ToolbrokerError

sys.path.append(str(ROOT / "tests" / "scenario"))
from any_mcp import any_stdio  # noqa: E402
from daemon import Daemon, echo_stdio, eventually, free_port, http, read_journal, stdio  # noqa: E402


@pytest.fixture
def daemon(programs):
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        it = Daemon(folder)
        it.journal = pathlib.Path(folder) / "journal"
        it.services({"echo": echo_stdio(), "down": http(1), "bad": stdio(journal=it.journal)})
        it.start()
        yield it
        it.stop()


def sync(daemon, **options):
    return Client(str(daemon.socket), agent="tester", user="u1", **options)


def test_a_call_and_what_it_says(daemon):
    with sync(daemon) as client:
        done = client.call_tool("echo/echo", {"message": "¡hola! ✓ 𝄞", "big": 1 << 70})
        assert "¡hola! ✓ 𝄞" in json.dumps(done.result, ensure_ascii=False)
        assert (done.source, done.service, done.tool, done.attempts) == ("live", "echo", "echo", 1)
        assert len(done.request_id) == 16 and not done.is_error


def test_lists(daemon):
    with sync(daemon) as client:
        tools = client.tools()
        assert "echo/echo" in [tool.name for tool in tools]
        assert [entry.service for entry in tools.unavailable] == ["down"]
        assert tools.unavailable[0].error.code == "UNAVAILABLE"
        assert {"echo", "down", "bad"} == {service["name"] for service in client.services()}
        assert client.connect()["role"] == "admin"


def test_errors_have_all_fields(daemon):
    with sync(daemon) as client:
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("down/x", {})
        error = raised.value
        assert error.code == "UNAVAILABLE" and error.retryable and error.suggestion
        assert error.user_message and len(error.request_id) == 16
        with pytest.raises(ToolbrokerError) as raised:
            client.request("tools.cal")
        assert raised.value.code == "METHOD_NOT_FOUND" and "tools.call" in raised.value.suggestion
        client.ping()


def test_progress(daemon):
    with sync(daemon) as client:
        seen = []
        client.call_tool("bad/progress", {"steps": 3}, on_progress=seen.append)
        assert len(seen) >= 1 and all(step.progress >= 0 for step in seen)

        async def run():
            more = []
            async with AsyncClient(str(daemon.socket), agent="tester", user="u1") as aio:
                await aio.call_tool("bad/progress", {"steps": 3}, on_progress=more.append)
            return more

        assert asyncio.run(run()) == seen


def test_the_daemons_deadline_says_more_than_ours(daemon, monkeypatch):
    monkeypatch.setattr("toolbroker.sync.client.GRACE", 30)  # a busy machine is not the point
    with sync(daemon) as client:
        began = time.monotonic()
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("bad/hang", {}, timeout=1)
        assert raised.value.code == "TIMEOUT" and raised.value.request_id
        assert time.monotonic() - began < 25


def saw_cancel(daemon):
    for _ in range(500):
        if read_journal(daemon.journal, method="notifications/cancelled"):
            return True
        time.sleep(0.02)
    return False


def test_a_cancelled_task_is_cancelled_at_the_server(daemon):
    async def run():
        async with AsyncClient(str(daemon.socket), agent="tester", user="u1") as client:
            task = asyncio.ensure_future(client.call_tool("bad/hang", {}))
            while not read_journal(daemon.journal, method="tools/call"):
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.ping()

    asyncio.run(run())
    assert saw_cancel(daemon)


def test_how_services_are(daemon):
    with sync(daemon) as client:
        assert client.test_service("echo")["ok"] is True
        assert client.test_service("down")["error"]["code"] == "UNAVAILABLE"
        assert client.health("echo", check=True)["services"][0]["status"] == "up"
        assert {one["service"] for one in client.health()["services"]} == {"echo", "down", "bad"}
        client.call_tool("echo/echo", {"message": "a"})
        calls = eventually(lambda: client.activity(service="echo", outcome="live"))
        assert calls[0]["tool"] == "echo" and calls[0]["user"] == "u1"


def test_a_call_with_a_key_through_a_kill(daemon):
    """Nobody knows what became of it, and nobody makes it twice to find out."""
    with sync(daemon) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = client.call_tool("echo/echo", {"message": "a"}, idempotency_key="first")
        lost = pool.submit(client.call_tool, "bad/hang", {}, idempotency_key="second")
        eventually(lambda: read_journal(daemon.journal, method="tools/call"))
        daemon.kill()
        with pytest.raises(ToolbrokerError) as raised:
            lost.result(60)
        assert raised.value.code == "OUTCOME_UNKNOWN" and raised.value.retryable
        daemon.start()
        assert client.call_tool("echo/echo", {"message": "a"}, idempotency_key="first").result == done.result
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("bad/hang", {}, idempotency_key="second", timeout=5)
        assert raised.value.code == "OUTCOME_UNKNOWN" and not raised.value.retryable
        assert raised.value.request_id
    assert len(read_journal(daemon.journal, method="tools/call")) == 1


def test_many_threads_get_their_own_answers(daemon):
    with sync(daemon) as client, concurrent.futures.ThreadPoolExecutor(16) as pool:

        def work(number):
            text = f"n{number}-" + "x" * (number * 37 % 5000)
            done = client.call_tool("echo/echo", {"message": text})
            return text in json.dumps(done.result)

        assert all(pool.map(work, range(800)))


def test_many_tasks_get_their_own_answers(daemon):
    async def run():
        async with AsyncClient(str(daemon.socket), agent="tester", user="u1") as client:

            async def work(number):
                text = f"n{number}-" + "x" * (number * 37 % 5000)
                done = await client.call_tool("echo/echo", {"message": text})
                return text in json.dumps(done.result)

            for base in range(0, 800, 100):
                assert all(await asyncio.gather(*(work(base + n) for n in range(100))))

    asyncio.run(run())


def test_a_restart_between_calls_is_not_seen(daemon, programs):
    c_client = CClient(programs, str(daemon.socket), {"agent": "tester", "user": "u1", "reconnect_ms": 30000})
    ping = {"method": "ping", "params": {"a": 1}}
    with sync(daemon, reconnect_timeout=30) as client:
        client.ping()
        assert c_client.call(ping)[0] == {"a": 1}
        daemon.stop()
        starter = threading.Timer(0.3, lambda: daemon.start(wait=False))
        starter.start()
        assert "x" in json.dumps(client.call_tool("echo/echo", {"message": "x"}).result)
        starter.join()
        assert c_client.call(ping)[0] == {"a": 1}
        # The defaults of `hello` were said again: without an agent the call would be refused.
        result, error, _ = c_client.call(
            {"method": "tools.call", "params": {"tool": "echo/echo", "arguments": {"message": "y"}}}
        )
        assert error is None and result["source"] == "live"
    c_client.close()


def test_a_killed_daemon_leaves_the_outcome_unknown(daemon):
    with sync(daemon) as client:
        client.ping()

        def kill():
            while not read_journal(daemon.journal, method="tools/call"):
                time.sleep(0.02)
            daemon.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("bad/hang", {})
        killer.join()
        assert raised.value.code == "OUTCOME_UNKNOWN" and not raised.value.retryable
        daemon.no_family()
        daemon.start()
        client.ping()
        assert len(read_journal(daemon.journal, method="tools/call")) == 1


def test_what_is_too_large_is_said_before_it_is_sent(daemon):
    with sync(daemon) as client:
        with pytest.raises(ToolbrokerError) as raised:
            client.request("ping", {"text": "x" * (17 << 20)})
        assert raised.value.code == "OVERLOADED"
        assert client.request("ping", {"text": "x" * (15 << 20)})["text"] == "x" * (15 << 20)


def test_the_tool_shows_and_cancels(daemon, programs):
    command = [str(programs / "toolbroker"), "--socket", str(daemon.socket)]
    done = subprocess.run([*command, "tools", "--agent", "tester"], capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert "echo/echo" in done.stdout and "down: UNAVAILABLE" in done.stdout
    done = subprocess.run(
        [*command, "status"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "down: error for " in done.stdout and "do   " in done.stdout
    done = subprocess.run(
        [*command, "call", "bad/hang", "--agent", "tester", "--timeout", "2s"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5 and "(TIMEOUT)" in done.stderr and "request_id: " in done.stderr
    done = subprocess.run([*command, "describe", "--json"], capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert "tools.call" in [method["name"] for method in json.loads(done.stdout)["methods"]]
    assert subprocess.run([*command, "daemon", "shutdown"], timeout=60, check=False).returncode == 0
    assert daemon.process.wait(30) == 0


# ---- questions of a real server ----------------------------------------------------------------

EVERYTHING = ROOT / "tests" / "npm" / "node_modules" / ".bin" / "mcp-server-everything"
NAME = "Renée ✓"


@pytest.fixture(params=["stdio", "http"])
def everything(request, programs):
    """A daemon with server-everything, whose tools that ask are for those who can be asked."""
    server = None
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        it = Daemon(folder)
        how = {"transport": "stdio", "command": "/usr/bin/env", "args": ["node", str(EVERYTHING), "stdio"]}
        if request.param == "http":
            port = free_port()
            server = subprocess.Popen(
                ["/usr/bin/env", "node", str(EVERYTHING), "streamableHttp"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "PORT": str(port)},
            )  # fmt: skip
            eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 60, "the server")
            how = http(port)
        it.services({"it": {**how, "connect_timeout_ms": 60000}})
        it.start()
        yield it
        it.stop()
        if server:
            server.terminate()
            server.wait(60)


def fill_in(question):
    if question.mode == "url":
        return question.accept()
    assert question.service == "it" and question.tool.startswith("trigger-elicitation-request")
    return question.accept({**question.defaults(), "name": NAME, "check": True})


HANDLERS = {
    "on_elicitation": fill_in,
    "on_sampling": lambda question: question.answer("a model's words", model="test"),
    "on_roots": lambda question: ["/srv/project"],
}
CALLS = [
    ("trigger-elicitation-request", {}, (f'"name": "{NAME}"', '"integer": 42', '"check": true')),
    ("trigger-sampling-request", {"prompt": "say"}, ("a model's words", '"model": "test"')),
    ("trigger-url-elicitation", {"url": "https://x.example/", "message": "m"}, ("completed the URL",)),
    ("get-roots-list", {}, ("file:///srv/project",)),
]  # fmt: skip


def test_questions_of_a_real_server(everything):
    path = str(everything.socket)
    with Client(path, agent="tester") as plain:
        names = {tool.name for tool in plain.tools()}
        assert "it/echo" in names and "it/trigger-elicitation-request" not in names
    with Client(path, agent="tester", **HANDLERS) as client:
        assert {f"it/{name}" for name, *_ in CALLS} <= {tool.name for tool in client.tools()}
        for name, arguments, expected in CALLS:
            text = client.call_tool(f"it/{name}", arguments, timeout=60).text
            assert all(words in text for words in expected), text

    async def run():
        async with AsyncClient(path, agent="tester", **HANDLERS) as aio:
            texts = [await aio.call_tool(f"it/{n}", a, timeout=60) for n, a, _ in CALLS]
        for done, (_, _, expected) in zip(texts, CALLS):
            assert all(words in done.text for words in expected), done.text

    asyncio.run(run())


def test_a_handler_that_is_cancelled_by_the_end_of_its_call(everything):
    with_question, ended = threading.Event(), threading.Event()

    def wait(question):
        with_question.set()
        if question.wait_cancelled(60):
            ended.set()

    with Client(str(everything.socket), agent="tester", on_elicitation=wait) as client:
        client.tools()  # the server is running, so that the deadline is spent on the question
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("it/trigger-elicitation-request", timeout=10)
        assert raised.value.code == "TIMEOUT" and with_question.is_set()
        assert ended.wait(60)


def test_what_a_real_server_offers_beside_tools(everything):
    with Client(str(everything.socket), agent="tester") as client:
        resource = client.resources("it")[0]
        assert client.read_resource("it", resource.uri)[0].text
        assert client.resource_templates("it")[0].uri_template.startswith("demo://")
        assert "args-prompt" in {prompt.name for prompt in client.prompts("it")}
        filled = client.get_prompt("it", "args-prompt", {"city": "Lima"})
        assert "Lima" in filled.messages[0]["content"]["text"]
        done = client.complete("it", "department", "E", prompt="completable-prompt")
        assert done.values == ["Engineering"]


def test_c_client_and_questions_of_a_real_server(everything, programs):
    options = {"agent": "tester", "can": ["form", "sampling", "roots"], "answers": {
        "elicitation.create": {"action": "accept", "content": {"name": NAME, "integer": 42, "check": True}},
        "sampling.create": {"role": "assistant", "model": "test", "stopReason": "endTurn",
                            "content": {"type": "text", "text": "a model's words"}},
        "roots.list": {"roots": [{"uri": "file:///srv/project"}]}}}  # fmt: skip
    client = CClient(programs, str(everything.socket), options)
    for name, arguments, expected in CALLS:
        if "url" not in arguments:
            params = {"tool": f"it/{name}", "arguments": arguments}
            call = {"method": "tools.call", "params": params, "timeout_ms": 60000}
            result, error, _ = client.call(call)
            assert error is None, error
            text = result["result"]["content"][0]["text"] + result["result"]["content"][-1]["text"]
            assert all(words in text for words in expected), text
    client.close()


def test_a_person_at_a_terminal_fills_in_a_real_form(everything, programs):
    command = [str(programs / "toolbroker"), "--socket", str(everything.socket), "call",
               "it/trigger-elicitation-request", "--agent", "tester"]  # fmt: skip
    term = Terminal(command)
    assert "it/trigger-elicitation-request asks" in term.wait("  > ")
    term.type(f"{NAME}\n")
    for _ in range(12):
        term.wait("  > ")
        term.type("\n")
    term.wait("Send this? [Y/n] ")
    term.type("y\n")
    shown, code = term.end()
    assert code == 0 and f"- Name: {NAME}" in shown and '"fish-1"' in shown


def test_the_tool_reads_what_a_real_server_offers(everything, programs):
    def run(*words):
        return subprocess.run(
            [str(programs / "toolbroker"), "--socket", str(everything.socket), *words, "--agent",
             "tester"], capture_output=True, timeout=60, check=True,
        ).stdout.decode()  # fmt: skip

    uri = run("resources", "it").splitlines()[1].split()[0]
    assert uri.startswith("demo://") and run("read", "it", uri).startswith("# ")
    assert "demo://resource/dynamic/text/" in run("resources", "it", "--templates")
    assert "args-prompt" in run("prompts", "it")
    assert "Lima" in run("prompts", "it", "args-prompt", "--arg", "city=Lima")


def test_events_of_the_real_daemon(daemon, programs):
    seen = []
    with sync(daemon) as client:
        client.subscribe_events(["service.state"], seen.append)
        client.call_tool("echo/echo", {"message": "x"})
        eventually(lambda: any(e.service == "echo" and e.raw["state"] == "running" for e in seen), 20)
        follower = subprocess.Popen(
            [str(programs / "toolbroker"), "--socket", str(daemon.socket), "events", "--json"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

        def tells():
            """Something happens again until it is connected and subscribed."""
            client.request("services.breaker", {"service": "down", "action": "open"})
            client.request("services.breaker", {"service": "down", "action": "auto"})
            return select.select([follower.stdout], [], [], 0.2)[0]

        eventually(tells, 20)
        event = json.loads(follower.stdout.readline())
        assert event["kind"] == "service.breaker" and event["service"] == "down"
        follower.send_signal(signal.SIGINT)
        assert follower.wait(60) == 130
        follower.stdout.close()


def test_approving_a_tool_that_changed(programs, tmp_path):
    """The whole way of an operator: a tool changes, is withheld, is looked at, and approved."""
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        it = Daemon(folder)
        journal = tmp_path / "journal"
        it.services({"any": any_stdio(journal, "2025-11-25", service={"pin": "strict"})})
        it.start()
        command = [str(programs / "toolbroker"), "--socket", str(it.socket)]

        def run(*words):
            return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60, check=False)

        assert "any/" in run("tools", "--agent", "tester").stdout
        assert run("approve").stdout == "No tool waits for approval.\n"
        done = run("call", "any/mutate", "--agent", "tester", "--arg", "what=tools", "--arg", "name=later")
        assert done.returncode == 0, done.stderr
        eventually(lambda: run("tools", "--agent", "tester") and run("approve").returncode == 1, 20)
        waiting = run("approve")
        assert "new" in waiting.stdout and "yes" in waiting.stdout, waiting.stdout
        name = waiting.stdout.splitlines()[1].split()[0]
        assert name not in run("tools", "--agent", "tester").stdout
        status = run("status")
        assert status.returncode == 1 and "withheld until approved" in status.stdout
        assert "toolbroker approve any" in status.stdout
        refused = run("approve", name)
        assert refused.returncode == 1 and "+ " in refused.stdout
        assert run("approve", name, "--yes").stdout.endswith("1 tool approved\n")
        eventually(lambda: name in run("tools", "--agent", "tester").stdout, 20)
        assert run("approve").returncode == 0 and run("status").returncode == 0
        it.stop()
