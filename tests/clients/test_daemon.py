# SPDX-License-Identifier: MIT
"""Both Python clients and the C client against the real daemon."""

import asyncio
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from conftest import ROOT
from test_transcript import CClient
from toolbroker import AsyncClient, Client, ToolbrokerError

sys.path.append(str(ROOT / "tests" / "scenario"))
from daemon import Daemon, echo_stdio, http, read_journal, stdio  # noqa: E402


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


def test_the_daemons_deadline_says_more_than_ours(daemon):
    with sync(daemon) as client:
        began = time.monotonic()
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("bad/hang", {}, timeout=0.3)
        assert raised.value.code == "TIMEOUT" and raised.value.request_id
        assert time.monotonic() - began < 10


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
    c_client = CClient(programs, str(daemon.socket), {"agent": "tester", "user": "u1"})
    ping = {"method": "ping", "params": {"a": 1}}
    with sync(daemon) as client:
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
        [*command, "call", "bad/hang", "--agent", "tester", "--timeout", "300ms"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 5 and "(TIMEOUT)" in done.stderr and "request_id: " in done.stderr
    done = subprocess.run([*command, "describe", "--json"], capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert "tools.call" in [method["name"] for method in json.loads(done.stdout)["methods"]]
    assert subprocess.run([*command, "daemon", "shutdown"], timeout=60, check=False).returncode == 0
    assert daemon.process.wait(30) == 0
