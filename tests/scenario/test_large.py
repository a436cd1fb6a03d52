# SPDX-License-Identifier: MIT
"""Results of megabytes: whole, within memory, and the others do not feel them."""

import hashlib
import os
import signal
import threading
import time

import msgpack
import pytest

from daemon import IS_SANITIZED, Pinger, descendants, echo_http, echo_stdio, eventually, http, stdio
from rpc import RpcError

MB = 1 << 20

# One line of the echo servers' tool `text`, as they write it and as it is to be read.
WRITTEN = rb"The quick brown fox says \"caf\u00e9\" " + "—".encode() + rb" and jumps over the lazy dog.\n"
READ = 'The quick brown fox says "café" — and jumps over the lazy dog.\n'.encode()

LARGE = 10_000_000 if IS_SANITIZED else 50_000_000


def text_hash(size):
    digest = hashlib.sha256()
    left = size // len(WRITTEN)
    while left:
        lines = min(left, 10_000)
        digest.update(READ * lines)
        left -= lines
    return digest.hexdigest()


HASH = text_hash(LARGE)


def digest_of(answer):
    return hashlib.sha256(answer["result"]["content"][0]["text"].encode()).hexdigest()


@pytest.fixture(scope="module")
def sse():
    it = echo_http("--sse")
    yield it
    it.stop()


@pytest.fixture
def served(daemon, echo, sse):
    """A daemon with the echo server over each transport."""
    more = {"timeout_ms": 120_000}
    daemon.services(
        {
            "stdio": echo_stdio(**more),
            "json": http(echo.port, **more),
            "sse": http(sse.port, **more),
            "bad": stdio(**more),
        }
    )
    daemon.start()
    return daemon


transports = pytest.mark.parametrize("service", ["stdio", "json", "sse"])


def peak(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def forget_peak(daemon):
    with open(f"/proc/{daemon.process.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def drain(client):
    """Reads one answer of tools.call as fast as it comes, without looking at it."""
    tail = b""
    while not tail.endswith(b"attempts\x01"):
        piece = client.socket.recv(4 * MB)
        assert piece, "the daemon closed the connection"
        tail = (tail + piece)[-20:]


# ---- whole, and in little memory -----------------------------------------------------------------


@transports
def test_every_byte_arrives(served, service):
    client = served.client(timeout=120)
    assert digest_of(client.tool(f"{service}/text", {"bytes": LARGE})) == HASH
    for size in (100, 200_000, 262_144, 300_000, 1_000_000):  # read here, and by a thread
        answer = client.tool(f"{service}/text", {"bytes": size})
        assert digest_of(answer) == text_hash(size), size


@transports
def test_many_small_values_arrive(served, service):
    client = served.client(timeout=120)
    rows = client.tool(f"{service}/rows", {"bytes": 3_000_000})["result"]["structuredContent"]["rows"]
    assert rows.pop() == 0
    assert len(rows) > 50_000
    assert all(row == {"id": 1234, "name": "ana", "share": 0.25, "is_new": True} for row in rows)


@pytest.mark.skipif(IS_SANITIZED, reason="sanitizers keep freed memory")
@transports
@pytest.mark.parametrize("size", [5_000_000, LARGE])
def test_memory_is_bounded_and_given_back(served, service, size):
    client = served.client(timeout=120)
    client.tool(f"{service}/text", {"bytes": 100})
    idle = served.resident()
    forget_peak(served)
    for _ in range(3):
        client.tool(f"{service}/text", {"bytes": size})
    used = (peak(served) - idle) / size
    print(f"{service}: {used:.2f} payloads beside idle")
    assert used < 4
    eventually(lambda: served.resident() - idle < 24 * MB, 10, "memory that is given back")


# ---- meanwhile -----------------------------------------------------------------------------------


@transports
@pytest.mark.parametrize("tool", ["text", "rows"])
def test_others_do_not_feel_it(served, service, tool):
    client = served.client(timeout=120)
    client.tool(f"{service}/{tool}", {"bytes": 1000})
    with Pinger(served):
        for _ in range(2 if IS_SANITIZED else 4):
            client.start("tools.call", {"tool": f"{service}/{tool}", "arguments": {"bytes": LARGE}})
            drain(client)


@transports
def test_calls_of_the_same_service_go_on(served, service):
    """Over HTTP they have exchanges of their own; over stdio they wait for what was written before."""
    large, small = served.client(timeout=120), served.client(timeout=120)
    over, count = threading.Event(), 0
    got = []

    def stream():
        for _ in range(3):
            got.append(digest_of(large.tool(f"{service}/text", {"bytes": LARGE})))
        over.set()

    thread = threading.Thread(target=stream)
    thread.start()
    while not over.is_set():
        assert small.text(f"{service}/echo", {"message": f"number {count}"}) == f"number {count}"
        count += 1
    thread.join()
    assert got == [HASH] * 3
    assert count > 3


@transports
def test_two_at_once_on_one_session(served, service):
    client = served.client(timeout=120)
    ids = [
        client.start("tools.call", {"tool": f"{service}/text", "arguments": {"bytes": LARGE - i * 1000}})
        for i in range(3)
    ]
    client.start("tools.call", {"tool": f"{service}/echo", "arguments": {"message": "x"}})
    for i, msgid in enumerate(ids):
        answer = client.wait(msgid)
        assert digest_of(answer) == text_hash(LARGE - i * 1000)


@transports
def test_large_requests_arrive_and_are_not_felt(served, service):
    client = served.client(timeout=120)
    client.text(f"{service}/echo", {"message": "warm"})
    with Pinger(served):
        for size in (250_000, 300_000, 1_000_000, 5_000_000, 15_000_000):
            message = (READ * (size // len(READ))).decode()
            assert client.text(f"{service}/echo", {"message": message}) == message, size


@transports
def test_a_large_request_is_cancelled_or_broken(served, service):
    client = served.client(timeout=120)
    message = (READ * (10_000_000 // len(READ))).decode()
    for step in range(6):
        msgid = client.start("tools.call", {"tool": f"{service}/echo", "arguments": {"message": message}})
        time.sleep(0.01 * step)
        client.notify("cancel", msgid=msgid)
        try:
            assert client.wait(msgid)["result"]["content"][0]["text"] == message
        except RpcError as error:
            assert error.code == "CANCELLED", error.error
    bad = {"message": "x" * 1_000_000 + "\udcff"}  # no UTF-8 on the wire
    data = msgpack.packb([0, 99, "tools.call", [{"tool": f"{service}/echo", "arguments": bad}]],
                         unicode_errors="surrogateescape")  # fmt: skip
    client.send_bytes(data)
    with pytest.raises(RpcError) as caught:
        client.wait(99)
    assert caught.value.code == "VALIDATION_ERROR", caught.value.error
    assert client.text(f"{service}/echo", {"message": "still there"}) == "still there"


# ---- and what goes wrong in the middle -------------------------------------------------------------


@transports
def test_cancelled_in_the_middle(served, service):
    client = served.client(timeout=120)
    client.tool(f"{service}/text", {"bytes": 100})
    outcomes = set()
    for step in range(12):
        msgid = client.start("tools.call", {"tool": f"{service}/text", "arguments": {"bytes": LARGE}})
        time.sleep(0.01 * step)
        client.notify("cancel", msgid=msgid)
        try:
            assert digest_of(client.wait(msgid)) == HASH
            outcomes.add("whole")
        except RpcError as error:
            assert error.code == "CANCELLED", error.error
            outcomes.add("cancelled")
    assert "cancelled" in outcomes
    assert client.text(f"{service}/echo", {"message": "still there"}) == "still there"


@transports
def test_the_client_leaves_in_the_middle(served, service):
    other = served.client(timeout=120)
    other.tool(f"{service}/text", {"bytes": 100})
    idle = served.resident()
    for step in range(8):
        client = served.client(timeout=120)
        client.start("tools.call", {"tool": f"{service}/text", "arguments": {"bytes": LARGE}})
        time.sleep(0.015 * step)
        if step % 2:
            client.socket.recv(MB)
        client.close()
    assert other.text(f"{service}/echo", {"message": "still there"}) == "still there"
    if not IS_SANITIZED:
        eventually(lambda: served.resident() - idle < 24 * MB, 10, "memory that is given back")


def echo_pid(daemon):
    for pid, _ in descendants(daemon.process.pid):
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith("/echo_stdio"):
                return pid
        except OSError:
            pass
    return None


def test_the_server_is_killed_in_the_middle(served):
    client = served.client(timeout=120)
    outcomes = set()
    for step in range(8):
        client.text("stdio/echo", {"message": "start"})
        server = eventually(lambda: echo_pid(served), what="the server")
        msgid = client.start("tools.call", {"tool": "stdio/text", "arguments": {"bytes": LARGE}})
        time.sleep(0.012 * step)
        os.kill(server, signal.SIGKILL)
        try:
            assert digest_of(client.wait(msgid)) == HASH
            outcomes.add("whole")
        except RpcError as error:
            assert error.code == "OUTCOME_UNKNOWN", error.error
            outcomes.add("lost")
    assert "lost" in outcomes


def test_half_an_answer(served):
    client = served.client(timeout=120)
    for size in (0, LARGE // 2):
        error = client.tool_fails("bad/half_line", {"bytes": size})
        assert error.code == "OUTCOME_UNKNOWN", error.error
        assert client.text("bad/echo", {"message": "started anew"}) == "started anew"


def test_the_daemon_ends_in_the_middle(served):
    clients = [served.client(timeout=120) for _ in range(3)]
    for client, service in zip(clients, ("stdio", "json", "sse")):
        client.start("tools.call", {"tool": f"{service}/text", "arguments": {"bytes": LARGE}})
    time.sleep(0.05)
    served.stop()  # checks that nothing is left, and what the sanitizers say
