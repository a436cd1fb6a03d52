# SPDX-License-Identifier: MIT
"""Servers over HTTP that misbehave: the right error in time, the next call works."""

import socket
import time

import pytest

from daemon import PATIENCE, Pinger, echo_stdio, eventually, free_port, http, http_server, read_journal
from rpc import RpcError

MB = 1 << 20
BROKEN = ("EXTERNAL_TOOL_EXECUTION_FAILED",)
LOST = ("OUTCOME_UNKNOWN",)

# tool, arguments, right codes, longest time
CALLS = [
    ("half", {}, LOST, 3),
    ("half_event", {}, LOST, 3),
    ("no_answer", {}, LOST, 3),
    ("broken_event", {}, BROKEN, 3),
    ("broken_json", {}, BROKEN, 3),
    ("broken_http", {}, BROKEN, 3),
    ("page", {}, BROKEN, 3),
    ("wrong_id", {}, BROKEN, 3),
    ("big", {"bytes": 100 * MB}, BROKEN, 20),
    ("hang", {}, ("TIMEOUT",), 3),
    ("drip", {"bytes": 100_000}, ("TIMEOUT",), 3),
    ("endless", {}, ("TIMEOUT",), 3),
    ("refuses", {}, BROKEN, 3),
    ("redirect", {"to": "http://127.0.0.1:1/"}, BROKEN, 3),
]


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
@pytest.mark.parametrize("tool, arguments, codes, seconds", CALLS, ids=[c[0] for c in CALLS])
def test_a_bad_answer_is_an_error_in_time(daemon, bad_http, tool, arguments, codes, seconds, path):
    daemon.services({"bad": http(bad_http.port, path), "echo": echo_stdio()})
    daemon.start()
    client, other = daemon.client(), daemon.client()
    assert client.text("bad/echo", {"message": "first"}) == "first"
    other.text("echo/echo", {"message": "warm"})
    before = daemon.resident()
    timeout = 900 if codes == ("TIMEOUT",) else 20_000
    with Pinger(daemon):
        params = {"tool": f"bad/{tool}", "arguments": arguments, "timeout_ms": timeout}
        msgid = client.start("tools.call", params)
        for i in range(20):
            started = time.monotonic()
            assert other.text("echo/echo", {"message": str(i)}) == str(i)
            assert time.monotonic() - started < 1 * PATIENCE
        started = time.monotonic()
        with pytest.raises(RpcError) as failed:
            client.wait(msgid)
        assert time.monotonic() - started < seconds * PATIENCE
        assert failed.value.code in codes, failed.value.error
        assert failed.value.details["service"] == "bad"
    if tool == "refuses":
        assert failed.value.details["jsonrpc"]["code"] == -32000
    assert client.text("bad/echo", {"message": "next"}) == "next"
    if tool == "big":
        assert daemon.resident() - before < 400 * MB


STATUSES = [
    (400, None, BROKEN),
    (401, None, ("AUTH_FAILED",)),
    (403, None, ("AUTH_FAILED",)),
    (404, None, ("UNAVAILABLE",) + BROKEN),
    (429, 7, ("RATE_LIMITED",)),
    (500, None, ("UNAVAILABLE",) + LOST),
    (503, 7, ("UNAVAILABLE",)),
]


@pytest.mark.parametrize("status, after, codes", STATUSES, ids=[str(s[0]) for s in STATUSES])
def test_a_status_is_the_right_error(daemon, bad_http, status, after, codes):
    daemon.services({"bad": http(bad_http.port)})
    daemon.start()
    client = daemon.client()
    arguments = {"status": status, **({"after": after} if after else {})}
    error = client.tool_fails("bad/status", arguments, timeout_ms=6000)
    assert error.code in codes, error.error
    if status != 404:  # taken as a forgotten session, and again with the new one
        assert error.details["http_status"] == status
    if after:
        assert 5000 <= error.retry_after_ms <= 7000 and error.retryable
    assert client.text("bad/echo", {"message": "next"}) == "next"


@pytest.mark.parametrize("status, after, codes", STATUSES, ids=[str(s[0]) for s in STATUSES])
def test_a_status_to_the_handshake_is_the_right_error(daemon, bad_http, status, after, codes):
    path = f"/status/{status}" + (f"/{after}" if after else "")
    daemon.services({"bad": http(bad_http.port, path, retry=False)})
    daemon.start()
    error = daemon.client().tool_fails("bad/echo", {"message": "x"}, timeout_ms=6000)
    assert error.code in set(codes) - {"OUTCOME_UNKNOWN"}, error.error
    assert error.seconds < 3 * PATIENCE


def test_nobody_listens(daemon):
    port = free_port()
    daemon.services({"bad": http(port, retry=False), "echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    with Pinger(daemon):
        error = client.tool_fails("bad/x")
        assert error.code == "UNAVAILABLE" and error.retryable and error.seconds < 3 * PATIENCE
        assert str(port) in error.message
        client.text("echo/echo", {"message": "y"})
        listed = client.call("tools.list")
        assert [entry["service"] for entry in listed["unavailable"]] == ["bad"]
        assert listed["unavailable"][0]["error"]["code"] == "UNAVAILABLE"
        assert "echo/echo" in [tool["name"] for tool in listed["tools"]]


def test_no_such_host(daemon):
    daemon.services({"bad": {"transport": "http", "url": "https://no-such-host.invalid/mcp"}})
    daemon.start()
    with Pinger(daemon):
        error = daemon.client().tool_fails("bad/x", timeout_ms=20_000)
    assert error.code == "UNAVAILABLE" and "no-such-host.invalid" in error.message


def test_nobody_accepts(daemon):
    """A full backlog: the connection is never made."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = server.getsockname()[1]
        full = [socket.socket() for _ in range(4)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        daemon.services({"bad": http(port, connect_timeout_ms=700)})
        daemon.start()
        error = daemon.client().tool_fails("bad/x", timeout_ms=2500)
        assert error.code in ("UNAVAILABLE", "TIMEOUT") and error.seconds < 3.5 * PATIENCE
        for one in full:
            one.close()


def test_a_server_that_comes_back_is_used_again(daemon, journal):
    first = http_server(journal)
    port = first.port
    daemon.services({"bad": http(port)})
    daemon.start()
    client = daemon.client()
    assert client.text("bad/echo", {"message": "x"}) == "x"
    first.stop()
    assert client.tool_fails("bad/echo", {"message": "x"}).code in ("UNAVAILABLE",) + LOST
    second = http_server(journal, port)
    try:
        # A new process knows no session: 404, then a new one, without the caller noticing.
        def works():
            try:
                return client.text("bad/echo", {"message": "y"}) == "y"
            except RpcError:
                return False

        eventually(works, 10, "the next call")
    finally:
        second.stop()


def test_a_forgotten_session_is_renewed_unnoticed(daemon, bad_http, journal):
    daemon.services({"bad": http(bad_http.port)})
    daemon.start()
    client = daemon.client()
    for _ in range(3):
        assert client.text("bad/expire") == "forgotten"
        assert client.text("bad/echo", {"message": "x"}) == "x"
    assert len(read_journal(journal, method="initialize")) == 4


def test_many_calls_on_a_forgotten_session_make_one_new_one(daemon, bad_http, journal):
    daemon.services({"bad": http(bad_http.port)})
    daemon.start()
    client = daemon.client()
    client.text("bad/expire")
    sent = [
        client.start("tools.call", {"tool": "bad/echo", "arguments": {"message": str(i)}})
        for i in range(20)
    ]
    for i, msgid in enumerate(sent):
        assert client.wait(msgid)["result"]["content"][0]["text"] == str(i)
    assert len(read_journal(journal, method="initialize")) == 2


def test_headers_of_the_protocol(daemon, bad_http, journal):
    daemon.services({"bad": http(bad_http.port, headers={"X-Own": "yes"})})
    daemon.start()
    daemon.client().text("bad/echo", {"message": "x"})
    requests = [r for r in read_journal(journal, "request") if r["verb"] == "POST"]
    for request in requests:
        headers, message = request["headers"], request["message"]
        assert "application/json" in headers["accept"] and "text/event-stream" in headers["accept"]
        assert headers["content-type"].startswith("application/json")
        assert headers["x-own"] == "yes"
        if message["method"] == "server/discover":
            assert "mcp-session-id" not in headers
            assert headers["mcp-protocol-version"] == "2026-07-28"
            assert headers["mcp-method"] == "server/discover"
        elif message["method"] == "initialize":
            assert "mcp-session-id" not in headers
            assert "mcp-protocol-version" not in headers
        else:
            assert headers["mcp-session-id"] == "session-1"
            assert headers["mcp-protocol-version"] == "2025-11-25"
    methods = [r["message"]["method"] for r in requests]
    assert methods[:3] == ["server/discover", "initialize", "notifications/initialized"]
    daemon.stop()
    assert [r for r in read_journal(journal, "request") if r["verb"] == "DELETE"]


def test_a_secret_in_a_header_or_url_is_never_told(daemon, bad_http):
    secret = "s3cr3t-v4lue"
    daemon.services(
        {
            "bad": http(bad_http.port, headers={"X-Key": "${env:SCENARIO_KEY}"}),
            "down": http(1, "/of/${env:SCENARIO_KEY}/mcp", headers={"X-Key": "${env:SCENARIO_KEY}"}),
        }
    )
    daemon.settings({"log": {"level": "debug"}})
    daemon.start(env={"SCENARIO_KEY": secret})
    client = daemon.client()
    assert secret in client.text("bad/headers")
    told = [client.call(m) for m in ("services.list", "services.status", "daemon.info")]
    told += [client.call("services.get", service=name) for name in ("bad", "down")]
    told += [client.tool_fails("down/x").error, client.tool_fails("bad/half").error]
    assert secret not in repr(told)
    daemon.stop()
    assert secret not in daemon.log()
