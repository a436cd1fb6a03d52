# SPDX-License-Identifier: MIT
"""Outages in real time: what is back is used within ten seconds."""

import signal
import time

import pytest

from daemon import echo_stdio, eventually, free_port, freeze, http, http_server, read_journal, stat, stdio
from rpc import RpcError
from test_health import events, health, status

# A breaker that opens soon, so that the tests are not long.
SOON = {"breaker": {"failures": 2}, "retry": {"max_attempts": 1}}
BACK = 10.0


def break_down(client, name):
    def is_open():
        return client.tool_fails(f"{name}/echo", {"message": "m"}, timeout_ms=3000).code == "CIRCUIT_OPEN"

    eventually(is_open, 30, "an open breaker")


@pytest.mark.parametrize("is_used", [True, False], ids=["used", "left alone"])
def test_what_is_back_is_used_within_ten_seconds(daemon, is_used):
    server = http_server()
    try:
        daemon.services({"s": http(server.port, **SOON), "t": echo_stdio()})
        daemon.start()
        client = daemon.client()
        client.call("events.subscribe", kinds=["service.breaker", "service.health"])
        assert client.text("s/echo", {"message": "before"}) == "before"
        assert client.text("t/echo", {"message": "before"}) == "before"
        server.stop()
        break_down(client, "s")
        assert health(client, "s")["status"] == "down"
        assert client.tool_fails("s/echo", {"message": "m"}).retryable
        time.sleep(6)
    finally:
        port = server.port
    server = http_server(port=port)
    try:
        began = time.monotonic()
        if not is_used:
            time.sleep(BACK - 0.5)
        while time.monotonic() - began < 30:
            took = time.monotonic() - began  # when the call was made that succeeds
            try:
                assert client.text("s/echo", {"message": "back"}) == "back"
                break
            except RpcError as error:
                assert error.code in ("CIRCUIT_OPEN", "UNAVAILABLE"), error.error
                time.sleep(0.2)
        print(f"used again after {took:.1f} s")
        assert took < BACK
        eventually(lambda: status(client, "s")["breaker"]["state"] == "closed", 10, "a closed breaker")
        eventually(lambda: health(client, "s")["status"] == "up", 5, "that it is well")
    finally:
        server.stop()
    states = [event["state"] for event in events(client, "service.breaker")]
    assert states[0] == "open" and states[-1] == "closed" and "half_open" in states
    assert {event["service"] for event in events(client, "service.breaker")} == {"s"}
    assert health(client, "t")["status"] == "up" and "last_failure" not in health(client, "t")
    said = client.call("services.events", service="s")["events"]
    kinds = [(event["kind"], event["state"]) for event in reversed(said)]
    assert kinds.count(("breaker", "open")) == 1 and kinds.count(("breaker", "closed")) == 1
    assert ("health", "down") in kinds and ("check", "failed") in kinds
    assert ("check", "ok") in kinds


HANGS = {"breaker": {"failures": 1}, "retry": {"max_attempts": 1}}


def open_by_hanging(client):
    error = client.tool_fails("s/echo", {"message": "m"}, timeout_ms=5500)
    assert error.code in ("OUTCOME_UNKNOWN", "TIMEOUT"), error.error
    assert client.tool_fails("s/echo", {"message": "m"}).code == "CIRCUIT_OPEN"


def used_again(client, seconds):
    began = time.monotonic()
    while True:
        took = time.monotonic() - began  # when the call was made that succeeds
        try:
            assert client.text("s/echo", {"message": "back"}) == "back"
            return took
        except RpcError as error:
            assert error.code == "CIRCUIT_OPEN", error.error
            assert time.monotonic() - began < seconds
            time.sleep(0.2)


def test_a_server_that_hung_and_goes_on(daemon, bad_http):
    daemon.services({"s": http(bad_http.port, **HANGS)})
    daemon.start()
    client = daemon.client()
    client.text("s/echo", {"message": "before"})
    freeze(bad_http.process.pid)
    try:
        open_by_hanging(client)
        time.sleep(8)
    finally:
        bad_http.process.send_signal(signal.SIGCONT)
    assert used_again(client, 30) < BACK


def test_a_process_that_hangs_for_good_is_begun_anew(daemon, journal):
    """It is stopped and never goes on: a ping after the other is left unanswered."""
    daemon.services({"s": stdio(journal=journal, **HANGS)})
    daemon.start()
    client = daemon.client()
    client.text("s/echo", {"message": "before"})
    (stuck,) = [note["pid"] for note in read_journal(journal, "start")]
    freeze(stuck)
    open_by_hanging(client)
    took = used_again(client, 60)
    print(f"used again after {took:.1f} s")
    eventually(lambda: stat(stuck) is None or stat(stuck)[0] == "Z", 15, "the end of the old one")
    eventually(lambda: status(client, "s")["breaker"]["state"] == "closed", 10, "a closed breaker")


def test_failures_in_a_row_do_not_fill_the_history(daemon):
    daemon.services({"lost": {**http(free_port()), **SOON}})
    daemon.start()
    client = daemon.client()
    break_down(client, "lost")
    time.sleep(12)
    rows = client.call("services.events")["events"]
    assert [row["state"] for row in rows if row["kind"] == "breaker"] == ["open"]
    assert len([row for row in rows if row["kind"] == "check"]) == 1


def test_a_crowd_behind_a_limit_that_nobody_told_of(daemon, bad_http, journal):
    """A hundred calls of four agents at once, to a server that takes ten a second and tells no rate."""
    daemon.services({"s": http(bad_http.port)})
    daemon.start()
    clients = [daemon.client() for _ in range(4)]
    for client in clients:
        client.text("s/echo", {"message": "before"})
    params = {"tool": "s/rationed", "arguments": {"per_s": 10}, "timeout_ms": 60000}
    began = time.monotonic()
    asked = [(client, client.start("tools.call", params)) for _ in range(25) for client in clients]
    eventually(lambda: "per_min" in status(clients[0], "s").get("limited", {}), 10, "a pace")
    for client, msgid in asked:
        assert client.wait(msgid)["result"]["content"][0]["text"] == "served"
    refused = len(read_journal(journal, "refused"))
    print(f"all served after {time.monotonic() - began:.1f} s, {refused} refused on the way")
    assert refused < 150
