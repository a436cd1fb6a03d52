# SPDX-License-Identifier: MIT
"""Servers over stdio that misbehave: the right error in time, the next call works, nobody is left."""

import json
import time

import pytest

from daemon import PATIENCE, Pinger, alive, echo_stdio, eventually, read_journal, stat, stdio

MB = 1 << 20


@pytest.fixture
def start(daemon, journal):
    def start(mode="normal", settings=None, **more):
        daemon.services({"bad": stdio(mode, journal=journal, **more), "echo": echo_stdio()})
        if settings:
            daemon.settings(settings)
        daemon.start()
        return daemon.client()

    return start


LOST = ("OUTCOME_UNKNOWN",)  # it was sent, and repeating it could do it twice
BROKEN = ("EXTERNAL_TOOL_EXECUTION_FAILED",)

# tool, arguments, the codes that are right, the longest that the answer may take
CALLS = [
    ("die", {}, LOST, 3),
    ("leave", {}, LOST, 3),
    ("half_line", {}, LOST, 3),
    ("hang", {}, ("TIMEOUT",), 3),
    ("wrong_id", {}, ("TIMEOUT",), 3),
    ("refuses", {}, BROKEN, 3),
    ("bad_utf8", {}, BROKEN, 3),
    ("twice_a_key", {}, BROKEN, 3),
    ("deep", {"depth": 100_000}, BROKEN, 3),
    ("huge_line", {"bytes": 100 * MB}, BROKEN, 20),
]


@pytest.mark.parametrize("tool, arguments, codes, seconds", CALLS, ids=[c[0] for c in CALLS])
def test_a_bad_answer_is_an_error_in_time(start, daemon, tool, arguments, codes, seconds):
    client = start()
    assert client.text("bad/echo", {"message": "first"}) == "first"
    before = daemon.resident()
    timeout = 900 if codes == ("TIMEOUT",) else 20_000
    with Pinger(daemon):
        other = daemon.client()
        msgid = client.start(
            "tools.call", {"tool": f"bad/{tool}", "arguments": arguments, "timeout_ms": timeout}
        )
        for i in range(20):  # other services are not delayed
            started = time.monotonic()
            assert other.text("echo/echo", {"message": str(i)}) == str(i)
            assert time.monotonic() - started < 1 * PATIENCE
        started = time.monotonic()
        try:
            raise AssertionError(client.wait(msgid))
        except Exception as error:
            assert getattr(error, "code", None) in codes, error
            assert error.details["service"] == "bad" and error.details["tool"] == tool
            failed = error
        assert time.monotonic() - started < seconds * PATIENCE
    if tool == "leave":
        assert "leaving in the middle" in failed.details["stderr_tail"]
        assert "7" in failed.message
    if tool == "refuses":
        assert failed.details["jsonrpc"]["code"] == -32000
        assert failed.details["jsonrpc"]["data"] == {"why": "as asked"}
    assert client.text("bad/echo", {"message": "next"}) == "next"
    if tool == "huge_line":
        assert daemon.resident() - before < 400 * MB


def test_rubbish_between_messages_is_passed_over(start):
    client = start()
    assert client.text("bad/rubbish") == "after the rubbish"
    assert client.text("bad/echo", {"message": "next"}) == "next"


def test_a_banner_before_the_first_message_is_passed_over(start):
    assert start("banner").text("bad/echo", {"message": "x"}) == "x"


STARTS = [
    ("silent", ("TIMEOUT",)),
    ("exit", ("UNAVAILABLE",)),
    ("rubbish", ("TIMEOUT",)),
    ("endless", BROKEN),
]


@pytest.mark.parametrize("mode, codes", STARTS, ids=[s[0] for s in STARTS])
def test_a_server_that_does_not_start_is_an_error_in_time(start, daemon, mode, codes):
    client = start(mode, retry=False)
    timeout = 1000 if codes == ("TIMEOUT",) else 20_000
    with Pinger(daemon):
        for _ in range(2):
            error = client.tool_fails("bad/echo", {"message": "x"}, timeout_ms=timeout)
            assert error.code in codes and error.seconds < timeout / 1000 + 2 * PATIENCE, error.error
            assert client.text("echo/echo", {"message": "y"}) == "y"
    if mode == "exit":
        assert "no such database" in error.details["stderr_tail"]
    state = client.call("services.status", service="bad")["services"][0]
    assert state["state"] in ("error", "starting", "stopped", "running"), state


def test_no_such_command_says_so(daemon):
    daemon.services({"bad": {"transport": "stdio", "command": "/no/such/program"}})
    daemon.start()
    error = daemon.client().tool_fails("bad/x")
    assert error.code == "UNAVAILABLE" and "/no/such/program" in error.message
    assert "No such file" in error.message


def test_a_slow_start_delays_its_own_callers_only(start, daemon):
    client = start("slow", arguments=["--delay", 1200])
    with Pinger(daemon):
        slow = [
            client.start("tools.call", {"tool": "bad/echo", "arguments": {"message": str(i)}})
            for i in range(10)
        ]
        assert client.text("echo/echo", {"message": "y"}) == "y"
        for i, msgid in enumerate(slow):
            assert client.wait(msgid)["result"]["content"][0]["text"] == str(i)


def test_a_flood_on_stderr_blocks_nobody(start, daemon):
    client = start("noisy")
    with Pinger(daemon):
        assert client.text("bad/echo", {"message": "x"}) == "x"
        assert client.text("bad/stderr", {"bytes": 5 * MB}) == "said"


def test_a_server_that_does_not_read_is_refused_in_time(start, daemon):
    client = start()
    client.text("bad/stop_reading", {"ms": 6000})
    client.start("tools.call", {"tool": "bad/echo", "arguments": {"message": "stops it"}})
    with Pinger(daemon):
        large = "x" * 1_000_000
        sent = [
            client.start(
                "tools.call",
                {"tool": "bad/echo", "arguments": {"message": large}, "timeout_ms": 1000},
            )
            for _ in range(24)
        ]
        for msgid in sent:
            try:
                raise AssertionError(client.wait(msgid))
            except Exception as error:
                assert getattr(error, "code", None) in ("TIMEOUT", "OVERLOADED"), error
        assert client.text("echo/echo", {"message": "y"}) == "y"
    eventually(lambda: echoes(client), 60, "the next call")


def echoes(client):
    try:
        return client.text("bad/echo", {"message": "next"}, timeout_ms=5000) == "next"
    except Exception as error:
        if not hasattr(error, "code"):
            raise
        return False


def family_of(client):
    return json.loads(client.text("bad/forks")), json.loads(client.text("bad/process"))["pid"]


def test_nobody_is_left_after_the_end(start, daemon):
    client = start()
    pids, server = family_of(client)
    everybody = {(pid, stat(pid)[2]) for pid in [*pids, server]}
    assert alive(everybody) == {*pids, server}
    daemon.stop()
    eventually(lambda: not alive(everybody), what="the end of everybody")


def test_nobody_is_left_after_kill_9(start, daemon):
    client = start()
    pids, server = family_of(client)
    client.text("echo/echo", {"message": "started"})
    everybody = {(pid, stat(pid)[2]) for pid in [*pids, server]}
    daemon.kill()
    daemon.family |= everybody
    daemon.no_family()


def test_nobody_is_left_after_a_server_died(start, daemon):
    client = start()
    pids, _server = family_of(client)
    grandchild = {(pids[0], stat(pids[0])[2])}
    client.tool_fails("bad/die")
    eventually(lambda: not alive(grandchild), what="the end of the grandchild")
    assert client.text("bad/echo", {"message": "again"}) == "again"


@pytest.mark.parametrize("mode", ["stubborn", "family"])
def test_a_stubborn_server_is_ended(start, daemon, mode):
    client = start(mode)
    assert client.text("bad/echo", {"message": "x"}) == "x"
    started = time.monotonic()
    daemon.stop()
    assert time.monotonic() - started < 12 * PATIENCE


def test_the_end_is_polite_first(start, daemon, journal):
    client = start()
    client.text("bad/echo", {"message": "x"})
    daemon.stop()
    assert read_journal(journal, "end of input"), "stdin was not closed before the end"


def test_a_crash_loop_does_not_spin(start, daemon, journal):
    client = start()
    started = time.monotonic()
    count = 0
    while time.monotonic() - started < 2:
        client.tool_fails("bad/die", timeout_ms=3000)
        count += 1
    assert len(read_journal(journal, "start")) <= count + 1
    status = client.call("services.status", service="bad")["services"][0]
    assert status["failures"] >= 1


def test_children_get_only_what_they_are_given(daemon):
    service = stdio(env={"GIVEN": "yes", "FROM": "${env:SCENARIO_VALUE}"})
    daemon.services({"bad": service})
    daemon.start(env={"SCENARIO_VALUE": "v1", "SCENARIO_OTHER": "v2"})
    environment = json.loads(daemon.client().text("bad/process"))["env"]
    assert environment["GIVEN"] == "yes" and environment["FROM"] == "v1"
    assert "SCENARIO_OTHER" not in environment and "SCENARIO_VALUE" not in environment
    shown = json.dumps(daemon.client().call("services.get", service="bad"))
    assert "${env:SCENARIO_VALUE}" in shown and '"v1"' not in shown


def test_a_missing_variable_is_named(daemon):
    daemon.services({"bad": stdio(env={"FROM": "${env:SCENARIO_MISSING}"})})
    daemon.start()
    error = daemon.client().tool_fails("bad/echo", {"message": "x"})
    assert "SCENARIO_MISSING" in error.message, error.error


def test_start_on_demand_and_stop_when_idle(daemon, journal):
    daemon.services({"bad": stdio(journal=journal, idle_stop_s=1)})
    daemon.start()
    client = daemon.client()
    assert read_journal(journal) == []
    client.text("bad/echo", {"message": "x"})
    eventually(lambda: read_journal(journal, "end of input"), 10, "the idle stop")
    state = eventually(
        lambda: client.call("services.status", service="bad")["services"][0]["state"] == "stopped",
        what="stopped",
    )  # fmt: skip
    assert state
    assert client.text("bad/echo", {"message": "again"}) == "again"


def test_one_process_for_all_unless_it_depends_on_the_user(daemon, tmp_path):
    shared, own = tmp_path / "shared", tmp_path / "own"
    daemon.services(
        {
            "shared": stdio(journal=shared),
            "own": stdio(journal=own, env={"WHO": "${user}"}),
        }
    )
    daemon.start()
    for user in ("u1", "u2", "u1"):
        client = daemon.client(user=user)
        client.text("shared/echo", {"message": "x"})
        who = json.loads(client.text("own/process"))["env"]["WHO"]
        assert who == user
    assert len(read_journal(shared, "start")) == 1
    assert len(read_journal(own, "start")) == 2


def test_a_child_is_limited_as_configured(start, daemon):
    client = start(limits={"memory_bytes": 1 << 30, "open_files": 100})
    assert client.text("bad/echo", {"message": "x"}) == "x"
    pid = {s["name"]: s for s in client.call("services.status")["services"]}["bad"]["pid"]
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
    assert limits["Max data size"] == [str(1 << 30)] * 2
    assert limits["Max open files"] == ["100"] * 2
