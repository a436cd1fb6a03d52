# SPDX-License-Identifier: MIT
"""Who goes away or cancels ends the call at the server; deadlines hold; calls.list tells all."""

import time

import pytest

from daemon import PATIENCE, eventually, http, http_server, read_journal, stdio
from rpc import RpcError


@pytest.fixture(params=["stdio", "json", "sse"])
def slow(request, daemon, journal):
    server = None if request.param == "stdio" else http_server(journal)
    daemon.services(
        {
            "bad": stdio(journal=journal)
            if server is None
            else http(server.port, "/mcp" if request.param == "json" else "/sse")
        }
    )
    daemon.start()
    client = daemon.client()
    client.text("bad/echo", {"message": "warm"})
    msgid = client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 30_000}})
    eventually(lambda: len(read_journal(journal, method="tools/call")) == 2, 10, "the call")
    yield client, msgid
    client.close()
    daemon.stop()
    if server:
        server.stop()


def told(journal):
    call = read_journal(journal, method="tools/call")[-1]
    cancelled = read_journal(journal, method="notifications/cancelled")
    return [note for note in cancelled if note["params"]["requestId"] == call["id"]]


def test_cancel_reaches_the_server(slow, journal):
    client, msgid = slow
    started = time.monotonic()
    client.notify("cancel", msgid=msgid)
    with pytest.raises(RpcError) as cancelled:
        client.wait(msgid)
    assert cancelled.value.code == "CANCELLED" and time.monotonic() - started < 2 * PATIENCE
    eventually(lambda: told(journal), what="notifications/cancelled")
    eventually(lambda: read_journal(journal, "stopped"), what="the server's stop")
    assert client.text("bad/echo", {"message": "next"}) == "next"
    assert len(told(journal)) <= 1


def test_a_client_that_goes_away_cancels(slow, journal, daemon):
    client, _ = slow
    client.close()
    eventually(lambda: told(journal), what="notifications/cancelled")
    other = daemon.client()
    eventually(lambda: other.call("calls.list")["calls"] == [], what="no live call")
    assert other.text("bad/echo", {"message": "next"}) == "next"


def test_a_deadline_cancels(slow, journal):
    client, _ = slow
    error = client.tool_fails("bad/slow", {"ms": 30_000}, timeout_ms=1500)
    assert error.code == "TIMEOUT" and 1.4 < error.seconds < 3 * PATIENCE
    eventually(lambda: told(journal), what="notifications/cancelled")


def test_calls_list_says_what_each_waits_for(slow, daemon):
    client, _ = slow
    calls = daemon.client().call("calls.list")["calls"]
    assert len(calls) == 1
    call = calls[0]
    assert call["service"] == "bad" and call["tool"] == "slow" and call["method"] == "tools.call"
    assert call["waits_for"] and call["since_ms"] >= 0 and call["request_id"] and call["stage"]


def test_a_late_answer_is_nobodys(slow, journal):
    client, _ = slow
    for i in range(5):
        assert client.tool_fails("bad/slow", {"ms": 300}, timeout_ms=100).code == "TIMEOUT"
        assert client.text("bad/echo", {"message": str(i)}) == str(i)
    time.sleep(0.5)
    assert client.text("bad/echo", {"message": "end"}) == "end"


def test_cancel_while_the_server_starts(daemon, journal):
    daemon.services({"bad": stdio("slow", journal=journal, arguments=["--delay", 4000])})
    daemon.start()
    client = daemon.client()
    msgid = client.start("tools.call", {"tool": "bad/echo", "arguments": {"message": "x"}})
    eventually(lambda: read_journal(journal, method="initialize"), 10, "the start")
    client.notify("cancel", msgid=msgid)
    with pytest.raises(RpcError) as cancelled:
        client.wait(msgid)
    assert cancelled.value.code == "CANCELLED"
    assert client.text("bad/echo", {"message": "y"}) == "y"
    assert len(read_journal(journal, method="tools/call")) == 1


def test_cancelling_twice_or_nothing_is_nothing(slow):
    client, msgid = slow
    client.notify("cancel", msgid=12345)
    client.notify("cancel", msgid=msgid)
    client.notify("cancel", msgid=msgid)
    client.notify("cancel")
    with pytest.raises(RpcError):
        client.wait(msgid)
    assert client.call("ping") == {}
