# SPDX-License-Identifier: MIT
"""Every limit has a name, holds, and hurts nobody else."""

import resource
import time

from daemon import IS_SANITIZED, Pinger, echo_stdio, eventually, stdio
from rpc import Client, Closed, RpcError, pack

MB = 1 << 20


def test_calls_under_way_on_one_connection(daemon):
    daemon.settings({"limits": {"inflight": 4}})
    daemon.services({"bad": stdio(), "echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    ids = [
        client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 2000}}) for _ in range(6)
    ]
    codes = []
    for msgid in ids:
        try:
            client.wait(msgid)
        except RpcError as error:
            codes.append(error.code)
            assert "inflight" in error.message and error.retryable
    assert codes == ["OVERLOADED", "OVERLOADED"]
    assert client.text("echo/echo", {"message": "x"}) == "x"


def test_calls_in_the_daemon(daemon):
    daemon.settings({"limits": {"calls": 3}})
    daemon.services({"bad": stdio()})
    daemon.start()
    clients = [daemon.client() for _ in range(5)]
    ids = [c.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 2000}}) for c in clients]
    codes = []
    for client, msgid in zip(clients, ids):
        try:
            client.wait(msgid)
        except RpcError as error:
            codes.append(error.code)
            assert "limits.calls" in error.message
    assert codes == ["OVERLOADED", "OVERLOADED"]


def test_a_services_concurrency(daemon):
    daemon.services({"bad": stdio(limits={"concurrency": 2}), "echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    client.text("bad/echo", {"message": "warm"})
    started = time.monotonic()
    ids = [
        client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 400}}) for _ in range(4)
    ]
    assert client.text("echo/echo", {"message": "x"}) == "x"
    for msgid in ids:
        client.wait(msgid)
    assert time.monotonic() - started > 0.75


def test_connections(daemon):
    daemon.settings({"limits": {"connections": 3}})
    daemon.start()
    clients = [daemon.client() for _ in range(3)]
    fourth = Client(daemon.socket, 30)
    try:
        fourth.call("ping")
        raise AssertionError("a fourth connection was served")
    except (Closed, ConnectionError, RpcError):
        pass
    clients.pop().close()
    eventually(daemon.answers, what="a free place")


def test_frames(daemon):
    daemon.settings({"limits": {"frame_bytes": 5000, "frame_depth": 8, "frame_items": 200}})
    daemon.start()
    for value in ("x" * 6000, [0] * 300, [[[[[[[[[[[]]]]]]]]]]]):
        with Client(daemon.socket, 30) as client:
            client.send_bytes(pack([0, 1, "ping", [{"v": value}]]) + pack([0, 99, "ping", []]))
            try:
                while True:
                    message = client.receive()
                    assert message[1] != 99, "went on after a frame beyond its limit"
            except (Closed, ConnectionError):
                pass
    assert daemon.client().call("ping", v="x" * 4000) == {"v": "x" * 4000}


def test_a_result_beyond_reply_bytes_is_an_error_of_its_call(daemon):
    daemon.settings({"limits": {"reply_bytes": 100_000}})
    daemon.services({"bad": stdio()})
    daemon.start()
    client = daemon.client()
    error = client.tool_fails("bad/big", {"bytes": 200_000})
    assert "reply_bytes" in error.message or "reply_bytes" in error.suggestion, error.error
    assert len(client.text("bad/big", {"bytes": 50_000})) == 50_000


def test_a_message_beyond_message_bytes_is_an_error_of_its_service(daemon):
    daemon.settings({"limits": {"message_bytes": 100_000}})
    daemon.services({"bad": stdio(), "echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    error = client.tool_fails("bad/big", {"bytes": 200_000}, timeout_ms=20_000)
    assert error.code in ("EXTERNAL_TOOL_EXECUTION_FAILED", "OUTCOME_UNKNOWN"), error.error
    assert client.text("echo/echo", {"message": "x"}) == "x"
    assert len(client.text("bad/big", {"bytes": 50_000})) == 50_000


def test_a_peer_that_does_not_read_is_throttled_then_dropped(daemon):
    daemon.settings({"limits": {"peer_buffer_bytes": 4 * MB}})
    daemon.services({"bad": stdio()})
    daemon.start()
    before = daemon.resident()
    deaf, other = daemon.client(), daemon.client()
    other.text("bad/echo", {"message": "warm"})
    with Pinger(daemon):
        for _ in range(20):
            deaf.start("tools.call", {"tool": "bad/big", "arguments": {"bytes": MB}})

        def is_dropped():
            return other.call("daemon.info")["connections"] <= 2  # the other one and the pinger

        eventually(is_dropped, 30, "the end of the deaf one")
        assert other.text("bad/echo", {"message": "x"}) == "x"
    assert daemon.resident() - before < (400 * MB if IS_SANITIZED else 60 * MB)


def test_a_flood_from_a_peer_that_does_not_read_is_not_taken_in(daemon):
    """Pipelined pings whose answers nobody reads: the daemon stops reading."""
    daemon.settings({"limits": {"peer_buffer_bytes": 4 * MB}})
    daemon.start()
    before = daemon.resident()
    deaf = daemon.client()
    deaf.socket.settimeout(2)
    frame = pack([0, 1, "ping", [{"text": "x" * 1000}]]) * 100
    with Pinger(daemon):
        try:
            for _ in range(600):  # 60 MB
                deaf.send_bytes(frame)
            raise AssertionError("the daemon took in 60 MB that nobody reads")
        except (TimeoutError, ConnectionError):
            pass
    assert daemon.resident() - before < (200 * MB if IS_SANITIZED else 40 * MB)


def test_many_idle_connections_cost_little(daemon):
    daemon.start()
    with daemon.client() as client:
        client.call("ping")
    before = daemon.resident()
    idle = [Client(daemon.socket) for _ in range(500)]
    for client in idle:
        client.call("ping")
    grown = daemon.resident() - before
    print(f"{grown // 500} bytes for an idle connection")
    assert grown < 500 * (20_000 if IS_SANITIZED else 1500)
    with Pinger(daemon):
        for client in idle:
            client.close()
    eventually(lambda: daemon.descriptors() < 60, 10, "closed connections")


def test_a_log_that_reaches_the_longest_file(daemon):
    """`ulimit -f`: lines are lost, and nothing else."""
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    assert client.text("echo/echo", {"message": "first"}) == "first"
    reached = daemon.log_path.stat().st_size + 2000  # a thread writes it: there may be more by now
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (reached, resource.RLIM_INFINITY))
    for i in range(50):
        assert client.text("echo/echo", {"message": str(i)}) == str(i)
    eventually(lambda: daemon.log_path.stat().st_size == reached, what="the end of the log")
    resource.prlimit(
        daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    assert client.text("echo/echo", {"message": "last"}) == "last"
    eventually(lambda: daemon.log_path.stat().st_size > reached, what="the log")
