# SPDX-License-Identifier: MIT
"""The Python clients beyond the transcript: threads, tasks, cancelling, forking, results."""

import asyncio
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from decimal import Decimal

import msgpack
import pytest

from conftest import ROOT
from peer import TablePeer
from toolbroker import AsyncClient, Client, ToolbrokerError, default_socket
from toolbroker.protocol import Connection

RESULT = {
    "request_id": "0123456789abcdef",
    "service": "pipedrive",
    "tool": "update",
    "source": "demo",
    "result": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    "execution_time_ms": 12,
    "attempts": 1,
    "warnings": ["a demo answer"],
}


@pytest.fixture
def table(socket_path):
    """Starts a peer with a table of results; it is stopped, and asked for its faults, at the end."""
    peers = []

    def start(**results):
        peers.append(TablePeer(socket_path, {k.replace("_", "."): v for k, v in results.items()}))
        return peers[-1]

    yield start
    for peer in peers:
        peer.stop()


def silence(peer, msgid, params):
    """A method that is answered when the client cancels it, as the daemon does."""
    message = peer.receive()
    peer.requests.append(message)
    return {"code": "CANCELLED", "message": "cancelled"}


def cancels(peer):
    return [message for message in peer.requests if message[:2] == [2, "cancel"]]


def test_call_tool(table, socket_path):
    peer = table(tools_call=RESULT)
    with Client(socket_path, agent="coordinator") as client:
        done = client.call_tool("pipedrive/update", {"id": 1}, user="ana", timeout=5, demo="only")
    assert peer.requests[-1] == (
        "tools.call",
        {"arguments": {"id": 1}, "timeout_ms": 5000, "tool": "pipedrive/update", "user": "ana",
         "demo": "only"},
    )  # fmt: skip
    assert (done.text, done.source, done.is_error) == ("a\nb", "demo", False)
    assert (done.service, done.attempts, done.warnings) == ("pipedrive", 1, ["a demo answer"])


def test_tools(table, socket_path):
    error = {"code": "CIRCUIT_OPEN", "message": "open", "retryable": True, "request_id": "1"}
    table(
        tools_list={
            "tools": [{"name": "e/echo", "description": "d", "inputSchema": {"type": "object"}}],
            "unavailable": [{"service": "twitter", "error": error}],
        }
    )
    with Client(socket_path) as client:
        tools = client.tools(agent="coordinator")
    assert [tool.name for tool in tools] == ["e/echo"] and len(tools) == 1
    assert tools.tools[0].input_schema == {"type": "object"}
    assert tools.unavailable[0].service == "twitter"
    assert tools.unavailable[0].error.code == "CIRCUIT_OPEN"


def test_progress_comes_in_the_calling_thread(table, socket_path):
    def long(peer, msgid, params):
        peer.notify("progress", {"msgid": msgid, "progress": 0.5, "total": 1, "message": "half"})
        peer.notify("log", {"msgid": msgid, "level": "info", "data": "x"})
        return RESULT

    table(tools_call=long)
    seen = []
    with Client(socket_path) as client:
        client.call_tool(
            "t",
            on_progress=lambda p: seen.append((p.progress, p.message, threading.get_ident())),
            on_log=lambda body: seen.append(body["data"]),
        )
    assert seen == [(0.5, "half", threading.get_ident()), "x"]


def test_a_callback_that_raises_cancels_its_call(table, socket_path):
    def long(peer, msgid, params):
        peer.notify("progress", {"msgid": msgid, "progress": 1})
        return silence(peer, msgid, params)

    peer = table(tools_call=long)
    with Client(socket_path) as client:
        with pytest.raises(ZeroDivisionError):
            client.call_tool("t", on_progress=lambda p: 1 / 0)
        client.ping()
    assert len(cancels(peer)) == 1

    async def run():
        async with AsyncClient(socket_path) as client:
            with pytest.raises(ZeroDivisionError):
                await client.call_tool("t", on_progress=lambda p: 1 / 0)
            await client.ping()

    asyncio.run(run())
    assert len(cancels(peer)) == 2


def test_notifications_of_no_call(table, socket_path):
    def tell(peer, msgid, params):
        peer.notify("event", {"kind": "service"})
        return {}

    table(events_subscribe=tell)
    seen = []
    with Client(socket_path, on_notification=lambda *event: seen.append(event)) as client:
        client.request("events.subscribe", {"kinds": ["service"]})
    assert seen == [("event", {"kind": "service"})]

    async def run():
        async with AsyncClient(socket_path, on_notification=lambda *e: seen.append(e)) as client:
            await client.request("events.subscribe", {"kinds": ["service"]})

    asyncio.run(run())
    assert seen == [("event", {"kind": "service"})] * 2


def test_the_reading_thread_cannot_wait_for_itself(table, socket_path):
    def tell(peer, msgid, params):
        peer.notify("event", {})
        return {}

    table(events_subscribe=tell)
    seen = []

    def on_notification(method, params):
        try:
            client.ping()
        except ToolbrokerError as error:
            seen.append(error.code)
        raise RuntimeError("a callback's fault")

    client = Client(socket_path, on_notification=on_notification)
    client.request("events.subscribe")
    client.ping()  # neither ended the connection
    client.close()
    assert seen == ["INVALID_REQUEST"]


class Shuffler(TablePeer):
    """Gathers requests and answers each batch in reverse, to any number of threads or tasks."""

    BATCH = 8

    def serve(self):
        waiting = []
        while True:
            message = self.receive()
            if message is None:
                return
            if message[2] == "hello":
                self.connection.sendall(msgpack.packb([1, message[1], None, {}]))
                continue
            waiting.append(message)
            if len(waiting) == self.BATCH:
                for _, msgid, _, params in reversed(waiting):
                    self.connection.sendall(msgpack.packb([1, msgid, None, params[0]]))
                waiting = []


def test_threads_share_one_connection(socket_path):
    peer = Shuffler(socket_path, {})
    faults = []
    with Client(socket_path) as client:

        def work(number):
            for turn in range(50):
                mine = {"n": number, "turn": turn, "text": "x" * (turn * 100)}
                if client.request("ping", mine) != mine:
                    faults.append(mine)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(Shuffler.BATCH)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    peer.stop()
    assert not faults and not any(thread.is_alive() for thread in threads)


def test_tasks_share_one_connection(socket_path):
    peer = Shuffler(socket_path, {})

    async def run():
        async with AsyncClient(socket_path) as client:

            async def work(number):
                for turn in range(50):
                    mine = {"n": number, "turn": turn, "text": "x" * (turn * 100)}
                    assert await client.request("ping", mine) == mine

            await asyncio.gather(*(work(n) for n in range(Shuffler.BATCH)))

    asyncio.run(run())
    peer.stop()


def test_many_tasks_connect_once(table, socket_path):
    peer = table()

    async def run():
        client = AsyncClient(socket_path)
        await asyncio.gather(*(client.ping() for _ in range(20)))
        await client.close()

    asyncio.run(run())
    assert [request[0] for request in peer.requests].count("hello") == 1


def test_cancelling_a_task_sends_cancel(table, socket_path):
    peer = table(tools_call=silence)

    async def run():
        async with AsyncClient(socket_path) as client:
            task = asyncio.ensure_future(client.call_tool("slow"))
            while not any(request[0] == "tools.call" for request in peer.requests):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await client.ping()  # the late answer disturbs nobody

    asyncio.run(run())
    assert len(cancels(peer)) == 1


def test_a_deadline_sends_cancel_to_both(table, socket_path):
    peer = table(tools_call=silence)
    with Client(socket_path) as client:
        client.ping()  # connected: the time is the call's alone
        began = time.monotonic()
        with pytest.raises(ToolbrokerError) as raised:
            client.call_tool("slow", timeout=0.1)
        assert raised.value.code == "TIMEOUT" and time.monotonic() - began < 20
        client.ping()
    assert len(cancels(peer)) == 1


def test_an_interrupt_sends_cancel(table, socket_path):
    def tell(peer, msgid, params):  # that it waits: what comes before that interrupts no call
        peer.notify("progress", {"msgid": msgid, "progress": 1})
        return silence(peer, msgid, params)

    peer = table(tools_call=tell)
    program = (
        "import sys, toolbroker\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "try:\n"
        f"    client = toolbroker.Client({socket_path!r})\n"
        "    client.call_tool('slow', on_progress=lambda _: print('waits', flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    child = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "waits\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "interrupted\n"
    for _ in range(6000):
        if cancels(peer):
            break
        time.sleep(0.01)
    assert len(cancels(peer)) == 1


def test_a_fork_opens_a_connection_of_its_own(socket_path):
    hellos = []

    class Forking(TablePeer):
        def play(self):
            self.accept()
            parent, self.unpackers = self.connection, {}
            self.answer_one(hellos)  # hello
            self.accept()
            self.answer_one(hellos)  # hello of the child
            self.answer_one(hellos)  # its ping
            self.connection.close()
            self.connection = parent
            self.unpacker = msgpack.Unpacker(raw=False)
            self.answer_one(hellos)  # the parent's connection still works
            self.serve()

        def answer_one(self, seen):
            _, msgid, method, _ = self.receive()
            seen.append(method)
            self.connection.sendall(msgpack.packb([1, msgid, None, {}]))

    peer = Forking(socket_path, {})
    client = Client(socket_path)
    client.connect()
    child = os.fork()
    if child == 0:
        try:
            client.ping()
            client.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    client.ping()
    client.close()
    peer.finish()
    assert hellos == ["hello", "hello", "ping", "ping"]


def test_a_closed_client_says_so(table, socket_path):
    table()
    client = Client(socket_path)
    client.ping()
    client.close()
    with pytest.raises(ToolbrokerError) as raised:
        client.ping()
    assert raised.value.code == "INVALID_REQUEST"


def test_closing_ends_the_calls_of_other_threads(table, socket_path):
    def hang(peer, msgid, params):
        client.close()
        return peer.receive() and {}

    table(tools_call=hang)
    client = Client(socket_path)
    client.connect()
    with pytest.raises(ToolbrokerError) as raised:
        client.call_tool("slow", timeout=60)
    assert raised.value.code == "OUTCOME_UNKNOWN"


def test_no_daemon(socket_path):
    with pytest.raises(ToolbrokerError) as raised:
        Client(socket_path).ping()
    error = raised.value
    assert error.code == "UNAVAILABLE" and error.retryable and socket_path in error.message

    async def run():
        await AsyncClient(socket_path).ping()

    with pytest.raises(ToolbrokerError) as raised:
        asyncio.run(run())
    assert raised.value.code == "UNAVAILABLE"


def test_a_socket_of_others(socket_path):
    if os.geteuid() == 0:
        # Root may open any socket: there the system's answer is given by hand.
        from toolbroker.errors import no_connection

        error = no_connection(socket_path, PermissionError())
    else:
        locked = pathlib.Path(socket_path + ".locked")
        locked.mkdir(mode=0)
        with pytest.raises(ToolbrokerError) as raised:
            Client(str(locked / "socket")).ping()
        error = raised.value
    assert error.code == "POLICY_DENIED" and "group" in error.suggestion


def test_what_cannot_be_sent(table, socket_path):
    peer = table()
    with Client(socket_path) as client:
        for value in (object(), float, Decimal("NaN"), {1, 2}):
            with pytest.raises(ToolbrokerError) as raised:
                client.request("ping", {"value": value})
            assert raised.value.code == "INVALID_REQUEST"
        client.ping()
    assert [request[0] for request in peer.requests] == ["hello", "ping"]


def test_a_call_with_a_key(table, socket_path):
    """Lost once, then answered: what a caller who retries sees, and what the daemon does."""
    answers = []

    def lost_once(peer, msgid, params):
        answers.append(params["idempotency_key"])
        if len(answers) % 2:
            peer.connection.shutdown(2)
        return RESULT

    table(tools_call=lost_once)
    with Client(socket_path) as client:
        with pytest.raises(ToolbrokerError) as failure:
            client.call_tool("t", {"n": 1}, idempotency_key="order-42")
        assert failure.value.code == "OUTCOME_UNKNOWN" and failure.value.retryable
        assert "same idempotency_key" in failure.value.suggestion
        assert client.call_tool("t", {"n": 1}, idempotency_key="order-42").text == "a\nb"

    async def run():
        async with AsyncClient(socket_path) as client:
            with pytest.raises(ToolbrokerError) as failure:
                await client.call_tool("t", idempotency_key="order-43")
            assert failure.value.code == "OUTCOME_UNKNOWN" and failure.value.retryable
            assert (await client.call_tool("t", idempotency_key="order-43")).text == "a\nb"

    asyncio.run(run())
    assert answers == ["order-42"] * 2 + ["order-43"] * 2


def test_a_key_makes_nothing_else_retryable(table, socket_path):
    table(tools_call={"code": "OUTCOME_UNKNOWN", "message": "m", "retryable": False, "request_id": "7"})
    with Client(socket_path) as client:
        with pytest.raises(ToolbrokerError) as failure:
            client.call_tool("t", idempotency_key="k")
    assert not failure.value.retryable and failure.value.retry_after is None


def test_retry_after_is_in_seconds():
    error = ToolbrokerError("RATE_LIMITED", "m", retryable=True, retry_after_ms=1500)
    assert error.retry_after == 1.5
    assert pickle.loads(pickle.dumps(error)).retry_after == 1.5
    assert ToolbrokerError("RATE_LIMITED", "m", retry_after_ms=0).retry_after == 0.0


def test_how_services_are(table, socket_path):
    tested = {"service": "crm", "ok": False, "steps": []}
    well = {"status": "up", "services": []}
    since = datetime(2026, 11, 21, 3, 0, tzinfo=timezone.utc)
    results = {"services_test": tested, "health_get": well, "health_check": {**well, "now": 1},
               "activity_query": {"calls": [{"id": 1}], "next": 1}}  # fmt: skip
    asked = [
        ("services.test", {"service": "crm", "user": "ana", "timeout_ms": 2000}),
        ("health.get", {}),
        ("health.check", {"service": "crm", "timeout_ms": 1000}),
        ("activity.query", {"service": "crm", "outcome": "failed", "since": 1795230000000, "limit": 100}),
    ]  # fmt: skip
    peer = table(**results)
    with Client(socket_path) as client:
        assert client.test_service("crm", user="ana", timeout=2) == tested
        assert client.health() == well
        assert client.health("crm", check=True, timeout=1) == {**well, "now": 1}
        assert client.activity(service="crm", outcome="failed", since=since) == [{"id": 1}]
        with pytest.raises(ToolbrokerError):
            client.health(timeout=1)
    assert peer.requests[-4:] == asked

    async def run():
        async with AsyncClient(socket_path) as client:
            assert await client.test_service("crm", user="ana", timeout=2) == tested
            assert await client.health() == well
            assert await client.health("crm", check=True, timeout=1) == {**well, "now": 1}
            assert await client.activity(service="crm", outcome="failed", since=since) == [{"id": 1}]

    asyncio.run(run())
    assert peer.requests[-4:] == asked


def test_errors_print_and_pickle():
    error = ToolbrokerError.from_wire(
        {"code": "TIMEOUT", "message": "m", "suggestion": "s", "retryable": True,
         "retry_after_ms": 5, "details": {"a": 1}, "request_id": "77"}
    )  # fmt: skip
    assert str(error) == "TIMEOUT: m - s [request_id 77]"
    assert pickle.loads(pickle.dumps(error)).as_dict() == error.as_dict()


def test_default_socket(socket_path):
    runtime = pathlib.Path(socket_path).parent
    assert default_socket({"TOOLBROKER_SOCKET": "/a"}) == "/a"
    assert default_socket({}) == "/run/toolbroker/toolbroker.sock"
    folder = runtime / "toolbroker"
    folder.mkdir()
    (folder / "toolbroker.sock").touch()
    assert default_socket({"XDG_RUNTIME_DIR": str(runtime)}) == str(folder / "toolbroker.sock")


def test_any_bytes_end_in_events_or_one_error():
    """Every prefix and every one-byte change of some frames: never another exception."""
    frames = [
        msgpack.packb([1, 1, None, {"a": [1, 2.5, "x", b"y", None]}]),
        msgpack.packb([2, "progress", [{"msgid": 1}]]),
        msgpack.packb([1, 1, None, msgpack.ExtType(1, b"1e400")]),
    ]
    ended = 0
    for frame in frames:
        for at in range(len(frame)):
            for byte in range(256):
                changed = frame[:at] + bytes([byte]) + frame[at + 1 :]
                try:
                    Connection(100000).receive(changed)
                except ToolbrokerError as error:
                    assert error.code == "INTERNAL"
                    ended += 1
    assert ended > 100


def test_the_readme_is_ten_lines_and_runs(table, socket_path):
    text = (ROOT / "clients" / "python" / "README.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    assert len(program.splitlines()) == 10
    table(
        tools_list={"tools": [{"name": "mark", "description": "d"}], "unavailable": []},
        tools_call=RESULT,
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(ROOT) / "clients" / "python"),
        "TOOLBROKER_SOCKET": socket_path,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "mark - d\ndemo a\nb\n"
