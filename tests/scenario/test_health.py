# SPDX-License-Identifier: MIT
"""How services are: tested, checked, watched, and what is kept of it."""

import os
import signal
import sqlite3
import time

import pytest

from daemon import PATIENCE, alive, echo_stdio, eventually, free_port, http, http_server, read_journal
from daemon import stdio
from rpc import RpcError


def health(client, name):
    (one,) = client.call("health.get", service=name)["services"]
    return one


def status(client, name):
    (one,) = client.call("services.status", service=name)["services"]
    return one


def events(client, kind):
    client.call("ping")
    return [note[2][0] for note in client.notes if note[1] == "event" and note[2][0]["kind"] == kind]


def steps(tested):
    return [step["step"] for step in tested["steps"]]


# ---- services.test -------------------------------------------------------------------------------


def test_what_is_over_is_no_trouble(daemon):
    """What a server said as it ended is shown; once it works again it is past, idle or not."""
    daemon.services({"s": stdio(idle_stop_s=1), "ends": stdio("exit", retry=False, health=False)})
    daemon.start()
    client = daemon.client()
    client.call("events.subscribe", kinds=["service.state", "service.health"])
    client.tool("s/echo", {"message": "a"})
    os.kill(status(client, "s")["pid"], signal.SIGKILL)
    eventually(lambda: status(client, "s")["state"] == "error", what="its end")
    one = status(client, "s")
    assert one["reason"] == "ended by itself" and one["last_error"]["is_over"] is False
    assert one["last_error"]["time"] >= one["since"][:-5]
    assert any("killed by signal 9" in event["reason"] for event in events(client, "service.state"))
    client.tool("s/echo", {"message": "a"})
    assert status(client, "s")["last_error"]["is_over"] is True
    assert status(client, "s")["health"]["status"] == "up"
    eventually(lambda: status(client, "s")["state"] == "stopped", what="its rest")
    assert status(client, "s")["last_error"]["is_over"] is True

    client.tool_fails("ends/echo", {"message": "a"})
    one = status(client, "ends")
    assert "no such database" in one["last_error"]["stderr_tail"]
    assert one["health"]["status"] in ("down", "degraded") and one["health"]["reason"]
    (row,) = [row for row in client.call("services.events", service="ends")["events"] if row["kind"] == "state"]
    assert row["state"] == "error" and "status" in row["reason"]


def test_a_test_of_a_process_tells_each_step(daemon, journal):
    daemon.services({"s": stdio(journal=journal)})
    daemon.start()
    client = daemon.client()
    for _ in range(2):
        tested = client.call("services.test", service="s")
        assert tested["ok"] and tested["service"] == "s" and tested["transport"] == "stdio"
        assert tested["server"]["name"] == "misbehaving" and tested["server"]["version"] == "1"
        assert tested["tools"] > 10 and tested["protocol"] == "2025-11-25"
        assert steps(tested) == ["connect", "handshake", "list"]
        assert all(step["ok"] and step["ms"] >= 0 for step in tested["steps"])
        assert "error" not in tested
    assert len(read_journal(journal, "start")) == 2, "each has a process of its own"
    eventually(lambda: status(client, "s")["sessions"] == 0, what="the end of it")


def test_a_test_over_http(daemon, bad_http, journal):
    daemon.services({"s": http(bad_http.port), "lost": http(free_port())})
    daemon.start()
    client = daemon.client()
    tested = client.call("services.test", service="s")
    assert tested["ok"] and tested["transport"] == "http" and tested["tools"] > 10
    assert steps(tested)[-1] == "list"
    tested = client.call("services.test", service="lost")
    assert tested["ok"] is False and tested["error"]["code"] == "UNAVAILABLE"
    assert tested["error"]["retryable"] and tested["error"]["request_id"]
    (step,) = tested["steps"]
    assert step["step"] == "connect" and step["ok"] is False
    assert step["error"]["code"] == "UNAVAILABLE" and "tools" not in tested


def test_a_test_that_fails_says_why(daemon):
    daemon.services({"ends": stdio("exit"), "none": {"transport": "stdio", "command": "/no/such"}})
    daemon.start()
    client = daemon.client()
    tested = client.call("services.test", service="ends")
    assert not tested["ok"] and tested["error"]["code"] == "UNAVAILABLE"
    assert "no such database" in str(tested["error"])
    tested = client.call("services.test", service="none")
    assert not tested["ok"] and "/no/such" in tested["error"]["message"]
    assert client.fails("services.test", service="nobody").code == "NOT_FOUND"
    assert client.fails("services.test", service="ends", timeout_ms=0).code == "INVALID_REQUEST"


def test_a_test_ends_in_time(daemon):
    daemon.services({"slow": stdio("slow", arguments=["--delay", "60000"])})
    daemon.start()
    client = daemon.client()
    began = time.monotonic()
    tested = client.call("services.test", service="slow", timeout_ms=800)
    assert time.monotonic() - began < 3 * PATIENCE
    assert not tested["ok"] and tested["error"]["code"] == "TIMEOUT"
    assert tested["steps"][-1]["step"] == "handshake" and not tested["steps"][-1]["ok"]


def test_a_test_that_nobody_waits_for_ends(daemon):
    daemon.services({"slow": stdio("slow", arguments=["--delay", "60000"])})
    daemon.start()
    client = daemon.client()
    msgid = client.start("services.test", {"service": "slow"})
    client.call("ping")
    client.notify("cancel", msgid=msgid)
    with pytest.raises(RpcError) as cancelled:
        client.wait(msgid)
    assert cancelled.value.code == "CANCELLED"
    client.start("services.test", {"service": "slow"})
    client.close()
    with daemon.client() as other:
        eventually(lambda: not daemon_children(daemon), what="the end of its processes")
        other.call("ping")


def daemon_children(daemon):
    return [pid for pid in alive(daemon.remember_family()) if "stdio_server" in command_of(pid)]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="latin-1") as file:
            return file.read()
    except OSError:
        return ""


def test_a_test_tells_the_truth_whatever_the_gate_says(daemon, journal):
    daemon.services({"s": stdio(journal=journal)})
    daemon.start()
    client = daemon.client()
    client.call("services.breaker", service="s", action="open")
    assert client.call("services.test", service="s")["ok"]
    client.call("services.quarantine", service="s")
    assert client.call("services.test", service="s")["ok"]
    assert client.tool_fails("s/echo", {"message": "m"}).code == "QUARANTINED"


# ---- health --------------------------------------------------------------------------------------


def test_health_follows_calls(daemon):
    daemon.services({"good": echo_stdio(), "off": {**echo_stdio(), "enabled": False}})
    daemon.start()
    client = daemon.client()
    whole = client.call("health.get")
    assert whole["status"] == "up"
    assert [one["service"] for one in whole["services"]] == ["good", "off"]
    assert health(client, "good")["status"] == "unknown"
    assert health(client, "off")["status"] == "disabled"
    client.text("good/echo", {"message": "m"})
    now = health(client, "good")
    assert now["status"] == "up" and now["breaker"] == "closed" and now["priority"] == "optional"
    assert now["last_success"].endswith("Z") and "last_failure" not in now
    assert client.fails("health.get", service="nobody").code == "NOT_FOUND"


def test_a_check_really_asks(daemon, journal):
    port = free_port()
    off = {**echo_stdio(), "enabled": False}
    daemon.services({"good": stdio(journal=journal), "lost": http(port), "off": off})
    daemon.start()
    client = daemon.client()
    client.call("events.subscribe", kinds=["service.health"])
    began = time.monotonic()
    whole = client.call("health.check")
    assert time.monotonic() - began < 8 * PATIENCE
    now = {one["service"]: one for one in whole["services"]}
    assert whole["status"] == "degraded"
    assert now["good"]["status"] == "up" and now["good"]["last_check"]["ok"]
    assert now["lost"]["status"] == "down" and not now["lost"]["last_check"]["ok"]
    assert str(port) in now["lost"]["last_check"]["error"]
    assert now["lost"]["next_check"] > now["lost"]["last_check"]["at"]
    assert now["off"]["status"] == "disabled" and "last_check" not in now["off"]
    told = {event["service"]: event for event in events(client, "service.health")}
    assert told["lost"]["state"] == "down" and told["lost"]["from"] == "unknown"
    assert told["good"]["state"] == "up"
    server = http_server(port=port)
    try:
        whole = client.call("health.check", service="lost")
        assert [one["status"] for one in whole["services"]] == ["up"]
        assert whole["status"] == "up"
    finally:
        server.stop()
    assert client.fails("health.check", service="nobody").code == "NOT_FOUND"
    assert client.fails("health.check", timeout_ms=-1).code == "INVALID_REQUEST"


def test_a_check_of_what_hangs_ends_in_time(daemon):
    daemon.services({"slow": stdio("slow", arguments=["--delay", "60000"]), "good": echo_stdio()})
    daemon.start()
    client = daemon.client()
    began = time.monotonic()
    whole = client.call("health.check", timeout_ms=1500)
    assert 1 < time.monotonic() - began < 5 * PATIENCE
    assert {one["service"]: one["status"] for one in whole["services"]}["good"] == "up"


def test_a_critical_service_is_looked_after_from_the_start(daemon, journal):
    daemon.services({"c": stdio(journal=journal, priority="critical"), "o": stdio()})
    daemon.start()
    client = daemon.client()
    eventually(lambda: health(client, "c")["status"] == "up", 15, "the first look")
    assert health(client, "o")["status"] == "unknown"
    assert len(read_journal(journal, "start")) == 1


def test_a_critical_one_that_is_down(daemon):
    daemon.services({"c": {**http(free_port()), "priority": "critical"}})
    daemon.start()
    client = daemon.client()
    eventually(lambda: client.call("health.get")["status"] == "down", 15, "the first look")
    assert health(client, "c")["priority"] == "critical"


# ---- history -------------------------------------------------------------------------------------


def test_history_outlives_a_restart(daemon):
    port = free_port()
    daemon.services({"lost": http(port), "good": echo_stdio()})
    daemon.start()
    with daemon.client() as client:
        client.call("health.check")
        client.call("services.quarantine", service="good", for_ms=60_000, reason="for a test")
    daemon.stop()
    daemon.start()
    with daemon.client() as client:
        rows = client.call("services.events")["events"]
        assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)
        (begun,) = [row for row in rows if row["state"] == "begun" and row["reason"] == "for a test"
                    and row["kind"] == "quarantine"][-1:]  # fmt: skip
        assert begun["service"] == "good"
        rows = client.call("health.history", service="lost")["events"]
        assert {row["kind"] for row in rows} == {"check", "health"}
        assert {row["service"] for row in rows} == {"lost"}
        (failed,) = [row for row in rows if row["kind"] == "check"]
        assert failed["state"] == "failed" and str(port) in failed["reason"] and failed["ms"] >= 0
        everything = client.call("services.events")["events"]
        pages, before = [], None
        while True:
            page = client.call("services.events", limit=1, **({"before": before} if before else {}))
            pages += page["events"]
            before = page.get("next")
            if not before:
                break
        assert pages == everything and len(pages) > 3
        at = pages[1]["time"]
        later = client.call("services.events", since=at)["events"]
        assert later == [row for row in everything if row["time"] >= at]
        earlier = client.call("services.events", until=at)["events"]
        assert earlier == [row for row in everything if row["time"] <= at]
        assert client.call("services.events", since="2999-01-01")["events"] == []
        for wrong in ({"since": "yesterday"}, {"until": True}, {"limit": 0}, {"limit": 1001},
                      {"before": 0}):  # fmt: skip
            error = client.fails("services.events", **wrong)
            assert error.code == "INVALID_REQUEST" and error.details["field"] in wrong


def test_what_memory_has_is_better_than_nothing(daemon):
    daemon.services({"lost": http(free_port())})
    (daemon.state / "toolbroker.db").mkdir()  # no database can be there
    daemon.start()
    client = daemon.client()
    client.call("health.check")
    answer = client.call("health.history")
    assert answer["from"] == "memory"
    assert ("check", "failed") in [(row["kind"], row["state"]) for row in answer["events"]]
    assert client.call("services.events")["from"] == "memory"
    assert client.fails("activity.query").code in ("UNAVAILABLE", "INTERNAL")
    (daemon.state / "toolbroker.db").rmdir()


def test_a_database_of_one_kept_row(daemon):
    """What is written is there for others to read, too."""
    daemon.services({"lost": http(free_port())})
    daemon.start()
    with daemon.client() as client:
        client.call("health.check")
    daemon.stop()
    with sqlite3.connect(daemon.state / "toolbroker.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
