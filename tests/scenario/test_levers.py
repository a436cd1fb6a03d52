# SPDX-License-Identifier: MIT
"""What an operator does to the door of a service, and sees of it: breakers, quarantine, records of calls,
numbers."""

import time

import pytest

from daemon import PATIENCE, echo_stdio, eventually, stdio

ECHO = {"message": "m"}
METHODS = {
    "services.test": "client", "services.breaker": "admin", "services.quarantine": "admin",
    "services.release": "admin", "services.events": "client", "health.get": "client",
    "health.check": "client", "health.history": "client", "activity.query": "admin",
    "metrics.get": "client",
}  # fmt: skip


def status(client, name="s"):
    (one,) = client.call("services.status", service=name)["services"]
    return one


def events(client, kind):
    client.call("ping")
    return [note[2][0] for note in client.notes if note[1] == "event" and note[2][0]["kind"] == kind]


@pytest.fixture
def client(daemon):
    daemon.services({"s": stdio(), "t": echo_stdio()})
    daemon.start()
    with daemon.client() as it:
        it.text("s/echo", ECHO)
        yield it


def test_the_methods_describe_themselves(client):
    methods = {method["name"]: method for method in client.call("describe")["methods"]}
    assert {name: methods[name]["role"] for name in METHODS} == METHODS
    for name in METHODS:
        assert methods[name]["result"]["type"] == "object" and methods[name]["summary"]


def test_the_breaker_by_hand(client):
    client.call("events.subscribe", kinds=["service.breaker"])
    now = client.call("services.breaker", service="s", action="open", reason="a test")
    assert now["name"] == "s" and now["kept"] is True
    assert now["breaker"]["state"] == "open" and now["breaker"]["forced"] == "open"
    assert now["breaker"]["reason"] == "a test" and "left_ms" not in now["breaker"]
    error = client.tool_fails("s/echo", ECHO)
    assert error.code == "CIRCUIT_OPEN" and "a test" in error.message + error.suggestion
    assert client.text("t/echo", ECHO) == "m", "others go on"
    now = client.call("services.breaker", service="s", action="close")
    assert now["breaker"]["state"] == "closed" and now["breaker"]["forced"] == "closed"
    assert client.text("s/echo", ECHO) == "m"
    now = client.call("services.breaker", service="s", action="auto")
    assert now["breaker"]["state"] == "closed" and "forced" not in now["breaker"]
    assert client.text("s/echo", ECHO) == "m"
    told = events(client, "service.breaker")
    assert [event["state"] for event in told] == ["open", "closed", "closed"]
    assert told[0]["service"] == "s" and told[0]["reason"] == "a test"


def test_reset_closes_what_opened_by_itself(daemon):
    daemon.services({"s": stdio("exit", breaker={"failures": 2}, quarantine=False)})
    daemon.start()
    client = daemon.client()
    eventually(lambda: client.tool_fails("s/echo", ECHO).code == "CIRCUIT_OPEN", 30, "an open breaker")
    now = status(client)["breaker"]
    assert now["state"] == "open" and 0 < now["left_ms"] <= 60_000 and now["reason"]
    error = client.tool_fails("s/echo", ECHO)
    assert error.code in ("CIRCUIT_OPEN", "UNAVAILABLE") and error.retryable
    now = client.call("services.breaker", service="s", action="reset")
    assert now["breaker"]["state"] == "closed" and now["breaker"]["failures"] == 0


def test_quarantine_and_release(client):
    client.call("events.subscribe", kinds=["service.quarantine"])
    now = client.call("services.quarantine", service="s", reason="a test")
    assert now["state"] == "quarantined" and now["quarantine"]["by_hand"] is True
    assert now["quarantine"]["reason"] == "a test" and "left_ms" not in now["quarantine"]
    error = client.tool_fails("s/echo", ECHO)
    assert error.code == "QUARANTINED" and "a test" in error.message + error.suggestion
    assert {one["name"]: one["state"] for one in client.call("services.list")["services"]}["s"] == "quarantined"
    assert client.call("services.get", service="s")["status"]["state"] == "quarantined"
    listed = client.call("tools.list")
    assert not [tool for tool in listed["tools"] if tool["name"].startswith("s/")]
    assert [(one["service"], one["error"]["code"]) for one in listed["unavailable"]] == [("s", "QUARANTINED")]
    now = client.call("services.release", service="s")
    assert now["state"] == "running" and "quarantine" not in now
    assert client.text("s/echo", ECHO) == "m"
    assert [event["state"] for event in events(client, "service.quarantine")] == ["begun", "ended"]


def test_a_quarantine_ends_by_itself(client):
    began = time.monotonic()
    now = client.call("services.quarantine", service="s", for_ms=1500)
    assert 0 < now["quarantine"]["left_ms"] <= 1500
    error = client.tool_fails("s/echo", ECHO)
    assert error.code == "QUARANTINED" and 0 < error.retry_after_ms <= 1500
    eventually(lambda: status(client)["state"] == "running", 10, "its end")
    assert 1.2 < time.monotonic() - began < 5 * PATIENCE
    assert client.text("s/echo", ECHO) == "m"


def test_what_makes_no_sense_is_refused(client):
    for method in ("services.breaker", "services.quarantine", "services.release"):
        more = {"action": "open"} if method == "services.breaker" else {}
        assert client.fails(method, service="nobody", **more).code == "NOT_FOUND"
    assert client.fails("services.breaker", service="s").code == "INVALID_REQUEST"
    assert client.fails("services.breaker", service="s", action="half").code == "INVALID_REQUEST"
    for wrong in (0, -5, 1 << 60):
        error = client.fails("services.quarantine", service="s", for_ms=wrong)
        assert error.code == "INVALID_REQUEST" and error.details["field"] == "for_ms"
    assert client.text("s/echo", ECHO) == "m"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_levers_outlive_the_daemon(daemon, client, end):
    client.call("services.breaker", service="t", action="open", reason="until tomorrow")
    client.call("services.quarantine", service="s", for_ms=600_000, reason="ten minutes")
    for _ in range(2):
        client.close()
        getattr(daemon, end)()
        daemon.start()
        client = daemon.client()
        error = client.tool_fails("t/echo", ECHO)
        assert error.code == "CIRCUIT_OPEN", error.error
        assert client.tool_fails("s/echo", ECHO).code == "QUARANTINED"
        now = status(client, "t")["breaker"]
        assert (now["state"], now["forced"], now["reason"]) == ("open", "open", "until tomorrow")
        held = status(client)["quarantine"]
        assert held["by_hand"] and held["reason"] == "ten minutes"
        assert 500_000 < held["left_ms"] <= 600_000
    client.call("services.release", service="s")
    client.call("services.breaker", service="t", action="auto")
    client.close()
    getattr(daemon, end)()
    daemon.start()
    with daemon.client() as client:
        assert client.text("t/echo", ECHO) == "m" and client.text("s/echo", ECHO) == "m"
        assert "forced" not in status(client, "t")["breaker"]


def test_a_breaker_that_opened_by_itself_outlives_a_kill(daemon):
    daemon.services({"s": stdio("exit", breaker={"failures": 2}, quarantine=False, health={"interval_s": 0})})
    daemon.start()
    client = daemon.client()
    client.call("events.subscribe", kinds=["service.breaker"])
    eventually(lambda: client.tool_fails("s/echo", ECHO).code == "CIRCUIT_OPEN", 30, "an open breaker")

    def is_written():
        store = client.call("daemon.info")["store"]
        return store["state"] == "open" and store["queued"] == 0

    eventually(is_written, what="the store")
    client.close()
    daemon.kill()
    daemon.start()
    client = daemon.client()
    now = eventually(lambda: status(client)["breaker"]["state"] != "closed" and status(client)["breaker"])
    assert now["state"] in ("open", "half_open")


# ---- records and numbers -----------------------------------------------------------------------------


def test_calls_are_recorded(daemon, client):
    time.sleep(0.01)  # the call of the fixture may have ended in this very millisecond
    began = int(time.time() * 1000)
    client.text("s/echo", ECHO, agent="tester", user="ana")
    client.tool_fails("s/refuses", user="ben")
    client.tool("s/fails", user="ben")
    client.text("t/echo", ECHO, user="ben")
    eventually(lambda: len(client.call("activity.query", since=began)["calls"]) == 4, what="the records")
    calls = client.call("activity.query", since=began)["calls"]
    assert [(call["service"], call["tool"], call["user"]) for call in calls] == [
        ("t", "echo", "ben"), ("s", "fails", "ben"), ("s", "refuses", "ben"), ("s", "echo", "ana"),
    ]  # fmt: skip
    assert [call["outcome"] for call in calls] == ["live", "live", "EXTERNAL_TOOL_EXECUTION_FAILED", "live"]
    for call in calls:
        assert call["agent"] == "tester" and call["method"] == "tools.call" and call["attempts"] == 1
        assert call["ms"] >= 0 and call["request_id"] and call["time"].endswith("Z") and call["id"] > 0

    def ask(**more):
        return [call["id"] for call in client.call("activity.query", since=began, **more)["calls"]]

    ids = [call["id"] for call in calls]
    assert ask(user="ana") == ids[3:] and ask(service="t") == ids[:1] and ask(tool="echo") == [ids[0], ids[3]]
    assert ask(outcome="failed") == [ids[2]] and ask(outcome="live", user="ben") == ids[:2]
    assert ask(agent="nobody") == [] and ask(limit=2) == ids[:2]
    page = client.call("activity.query", since=began, limit=3)
    assert ask(before=page["next"]) == ids[3:]
    moment = calls[1]["time"]
    rows = client.call("activity.query", since=moment)["calls"]
    assert [row["id"] for row in rows] == [call["id"] for call in calls if call["time"] >= moment]
    assert client.fails("activity.query", since="now").code == "INVALID_REQUEST"
    client.close()
    daemon.stop()
    daemon.start()
    with daemon.client() as again:
        assert [call["id"] for call in again.call("activity.query", since=began)["calls"]] == ids


def test_numbers(client):
    client.tool_fails("s/refuses")
    numbers = client.call("metrics.get")
    assert numbers["counters"]["calls"] >= 2
    assert numbers["counters"] .keys() == client.call("daemon.info")["counters"].keys()
    named = {one["name"]: one for one in numbers["services"]}
    assert named.keys() == {"s", "t"}
    assert named["s"]["failures_by_class"]["answer"] == 1 and named["s"]["inflight"] == 0
    assert named["s"]["breaker"]["state"] == "closed"
    assert named["t"]["retries"]["attempts"] == 0
