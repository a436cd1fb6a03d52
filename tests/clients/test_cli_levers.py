# SPDX-License-Identifier: MIT
"""The tool when something fails: status, test, health, levers, history and activity."""

import json
import re
import time

import pytest

from test_cli import GOOD, INFO, last_params, service, since, tool  # noqa: F401

A_DAY, TWO_DAYS, THREE_DAYS = 93660, 183660, 266460  # 1 d 2 h, 2 d 3 h, 3 d 2 h, and a minute

# Ages that are told in the same words for most of an hour, however slow the machine.
OPEN = service(
    "crm", "stopped", 500, inflight=0, waiting=0, users_held=0,
    breaker={"state": "open", "since": since(A_DAY), "left_ms": 40000, "failures": 5,
             "reason": "5 failures in a row"},
    retries={"attempts": 12, "succeeded": 9, "failed": 3, "average_attempts": 1.25,
             "last": since(TWO_DAYS), "refused_by_budget": 2},
    failures_by_class={"network": 3, "server": 0, "rate_limit": 1},
    last_error={"code": "UNAVAILABLE", "message": "refused\x1b[2J", "suggestion": "Start it."},
)  # fmt: skip
HELD = service("zoho", "quarantined", TWO_DAYS, quarantine={
    "since": since(TWO_DAYS), "left_ms": 25000, "by_hand": False, "level": 1, "reason": "5 crashes in a row"})  # fmt: skip
LIMITED = service("mail", "running", 5, limited={"left_ms": 12000}, waiting=2)


def test_status_at_three_in_the_morning(tool):
    tool.daemon(daemon_info=INFO, services_status={"services": [GOOD, OPEN, HELD, LIMITED]})
    done = tool.run("status")
    assert done.returncode == 1
    assert re.search(r"^crm +breaker open +1 d 2 h +http", done.stdout, re.M), done.stdout
    assert re.search(r"^zoho +quarantined +2 d 3 h ", done.stdout, re.M)
    assert re.search(r"^mail +rate limited ", done.stdout, re.M)
    crm, zoho, mail, remarks = done.stdout.split("\n\n")[2:]
    assert re.fullmatch(
        r"crm: breaker open for 1 d 2 h, tried again within 40 s: 5 failures in a row \(UNAVAILABLE\)\n"
        r"    why  refused\?\[2J\n    do   Start it\.\n"
        r"    do   toolbroker test crm  # what is wrong now\n"
        r"    do   toolbroker breaker crm reset  # uses it again at once", crm)  # fmt: skip
    assert re.fullmatch(
        r"zoho: quarantined for 2 d 3 h, 25 s left: 5 crashes in a row\n"
        r"    do   toolbroker test zoho  # what is wrong now\n"
        r"    do   toolbroker release zoho  # uses it again at once", zoho)  # fmt: skip
    assert mail.startswith("mail: rate limited by the service, 12 s left, 2 calls wait\n    do   ")
    assert remarks.startswith("crm: 2 retries left out")


def test_marks_of_a_terminal(tool):
    tool.daemon(daemon_info=INFO, services_status={"services": [GOOD, OPEN, HELD, LIMITED]})
    shown, _ = tool.on_terminal("status", "--no-color", columns=160)
    for mark, name in (("✓", "everything"), ("✗", "crm"), ("⏸", "zoho"), ("⚠", "mail")):
        assert re.search(rf"^{mark} {name} ", shown, re.M), shown
    assert "\x1b" not in shown


def test_status_of_one_tells_its_numbers(tool):
    tool.daemon(services_status={"services": [OPEN]})
    done = tool.run("status", "crm")
    assert done.returncode == 1
    for line in (
        r"breaker    open for 1 d 2 h, 5 failures in a row",
        r"now        0 calls under way, 0 wait for a place or a limit",
        r"retries    12 made; 9 calls saved by them, 3 not; 1\.25 attempts a call; the last 2 d 3 h ago; 2 left out \(budget\)",
        r"failures   network 3, rate_limit 1",
        r"state: stopped",
    ):
        assert re.search(rf"^{line}$", done.stdout, re.M), done.stdout
    assert "failures_by_class" not in done.stdout
    assert json.loads(tool.run("status", "crm", "--json").stdout) == {"services": [OPEN]}


OVER = {"code": "UNAVAILABLE", "message": "killed", "suggestion": "Start it.", "time": since(A_DAY),
        "is_over": True}  # fmt: skip


def test_what_is_over_is_no_trouble(tool):
    """A service that rests after it has worked again is well, whatever it died of once."""
    rests = service("mail", "stopped", A_DAY, last_error=OVER, health={"status": "up", "since": since(A_DAY)})
    begins = service("new", "starting", A_DAY, health={"status": "unknown", "since": since(A_DAY)})
    tool.daemon(daemon_info=INFO, services_status={"services": [rests, begins]})
    done = tool.run("status")
    assert done.returncode == 0 and "killed" not in done.stdout, done.stdout


def test_status_and_health_say_the_same(tool):
    """Nothing is open or held, but calls fail: the health of a service is in its status."""
    ill = service("crm", "running", A_DAY, last_error=OVER, health={
        "status": "degraded", "since": since(TWO_DAYS), "reason": "it answered 503", "next_check": since(-9000)})  # fmt: skip
    ends = service("fs", "error", 5, reason="could not start", health={"status": "down", "since": since(TWO_DAYS)},
                   last_error={**OVER, "is_over": False, "stderr_tail": "1\n2\n3\n4\n5\nno such \x1bdatabase"})  # fmt: skip
    nobodys = service("zoho", "error", 5, health={"status": "not_linked", "since": since(TWO_DAYS)})
    tool.daemon(daemon_info=INFO, services_status={"services": [ill, ends, nobodys]})
    done = tool.run("status")
    assert done.returncode == 1
    table, crm, fs = done.stdout.split("\n\n")[1:]
    assert re.search(r"^crm +degraded +2 d 3 h ", table, re.M), table
    assert re.search(r"^fs +error +2 d 3 h ", table, re.M), "each attempt begins a state; the trouble goes on"
    assert re.search(r"^zoho +not linked +2 d 3 h ", table, re.M), table
    assert re.fullmatch(r"crm: degraded for 2 d 3 h, asked again in 2 h (29|30) min: it answered 503\n"
                        r"    do   toolbroker test crm  # what is wrong now", crm), crm  # fmt: skip
    assert fs == ("fs: error for 2 d 3 h, could not start (UNAVAILABLE)\n    why  killed\n"
                  "    said 2\n    said 3\n    said 4\n    said 5\n    said no such ?database\n    do   Start it.\n"
                  "    do   toolbroker test fs  # what is wrong now\n"), fs  # fmt: skip


def test_the_daemon_itself_may_be_in_trouble(tool):
    store = {"state": "failed", "reason": "the disk is full"}
    sick = {**INFO, "store": store, "policy": {"errors": 2}, "reload_refused": {"time": since(A_DAY), "faults": 1}}
    tool.daemon(daemon_info=sick, services_status={"services": [GOOD]})
    done = tool.run("status")
    assert done.returncode == 1
    for words in ("    why  the disk is full\n", "refused 1 d 2 h ago for 1 fault, ", "policy: failed 2 times"):
        assert words in done.stdout, done.stdout


def test_a_database_that_is_full(tool):
    store = {"state": "full", "reason": "the database holds as much as store.database_bytes allows"}
    tool.daemon(daemon_info={**INFO, "store": store}, services_status={"services": [GOOD]})
    done = tool.run("status")
    assert done.returncode == 1
    assert "database: full\n    why  the database holds as much as" in done.stdout
    assert "    do   raise store.database_bytes, then toolbroker policy reload\n" in done.stdout


LONG = {**service("google_calendar", "running", A_DAY), "title": "Title " * 9}


@pytest.mark.parametrize("words", [["status"], ["list"], ["health"], ["history"], ["activity"], ["calls"]])
def test_tables_fit_the_terminal(tool, words):
    """Columns are left out, what must be read is put below: nothing is cut that one would need."""
    why = "could not connect to http://127.0.0.1:9/mcp: Connection refused, as " + "it seems " * 9
    name = LONG["name"]
    ill = {**DOWN, "service": name, "reason": why, "last_success": since(A_DAY), "checking_since": since(A_DAY)}
    row = {"time": since(5), "service": name, "kind": "quarantine", "state": "begun", "ms": 12345, "reason": why}
    call = {"time": since(5), "service": name, "tool": "list-events", "agent": "meeting_scheduler", "user": "ana@example.com",
            "outcome": "OUTCOME_UNKNOWN", "ms": 12, "attempts": 3, "request_id": "0123456789abcdef",
            "since_ms": 1000, "deadline_ms": 2000, "stage": "execute", "waits_for": "answer"}  # fmt: skip
    tool.daemon(daemon_info=INFO, services_status={"services": [LONG]}, services_list={"services": [LONG]},
                health_get={"status": "down", "services": [ill]}, services_events={"events": [row]},
                activity_query={"calls": [call]}, calls_list={"calls": [call]})  # fmt: skip
    wide, _ = tool.on_terminal(*words, "--no-color", columns=300)
    narrow, _ = tool.on_terminal(*words, "--no-color", columns=80)
    assert all(len(line) <= 300 for line in wide.splitlines())
    rows = [line for line in narrow.splitlines() if "it seems" not in line and "toolbrokerd" not in line]
    assert rows and max(map(len, rows)) <= 80, narrow
    if words[0] in ("health", "history"):
        assert why.strip() in narrow and why.strip() in wide
    if words[0] in ("activity", "calls"):
        assert "0123456789abcdef" in wide
    assert tool.run(*words).stdout.count("\n") == wide.count("\n")


# ---- test and health -------------------------------------------------------------------------

WORKS = {"service": "crm", "ok": True, "transport": "http", "protocol": "2025-11-25",
         "server": {"name": "crm-mcp", "version": "1.2"}, "tools": 14,
         "steps": [{"step": "connect", "ms": 12, "ok": True}, {"step": "tools", "ms": 1988, "ok": True}]}  # fmt: skip
REFUSED = {"code": "UNAVAILABLE", "message": "connection refused", "suggestion": "Start it.",
           "retryable": True}  # fmt: skip
FAILS = {"service": "crm", "ok": False, "transport": "http", "error": REFUSED,
         "steps": [{"step": "connect", "ms": 3, "ok": False, "error": REFUSED}]}  # fmt: skip


def test_a_service_that_works(tool):
    tool.daemon(services_test=WORKS)
    done = tool.run("test", "crm", "--user", "ana", "--agent", "a", "--timeout", "5s")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "STEP      TOOK  RESULT\nconnect  12 ms  ok\ntools      1 s  ok\n\n"
        "crm works: http, MCP 2025-11-25, crm-mcp 1.2, 14 tools, in 2 s\n"
    )
    assert last_params(tool, "services.test") == {
        "service": "crm", "user": "ana", "agent": "a", "timeout_ms": 5000
    }  # fmt: skip
    assert json.loads(tool.run("test", "crm", "--json").stdout) == WORKS
    shown, _ = tool.on_terminal("test", "crm", "--no-color")
    assert "✓ connect" in shown and "✓ crm works" in shown


@pytest.mark.parametrize("retryable, code", [(True, 4), (False, 1)])
def test_a_service_that_does_not(tool, retryable, code):
    tool.daemon(services_test={**FAILS, "error": {**REFUSED, "retryable": retryable}})
    done = tool.run("test", "crm")
    assert done.returncode == code
    assert done.stdout == (
        "STEP     TOOK  RESULT\nconnect  3 ms  failed: UNAVAILABLE\n\n"
        "crm does not work: http, after 3 ms (UNAVAILABLE)\n"
        "    why  connection refused\n    do   Start it.\n"
    )
    assert tool.run("test", "crm", "--json").returncode == code


UP = {"service": "fs", "status": "up", "since": since(A_DAY), "priority": "optional",
      "last_success": since(TWO_DAYS), "last_check": {"at": since(THREE_DAYS), "ok": True, "ms": 35}}  # fmt: skip
DOWN = {"service": "crm", "status": "down", "since": since(A_DAY), "priority": "critical",
        "reason": "breaker open\x1b", "last_failure": since(A_DAY),
        "last_check": {"at": since(TWO_DAYS), "ok": False, "ms": 2, "error": REFUSED}}  # fmt: skip
SILENT = {"service": "x", "status": "not_linked", "priority": "optional"}


def test_health(tool):
    tool.daemon(health_get={"status": "down", "services": [UP, DOWN, SILENT]},
                health_check={"status": "up", "services": [UP]})  # fmt: skip
    done = tool.run("health")
    assert done.returncode == 1
    assert re.search(r"^fs +up +1 d 2 h +optional +ok 3 d 2 h ago, 35 ms +2 d 3 h ago$", done.stdout, re.M), done.stdout  # fmt: skip
    assert re.search(r"^crm +down +1 d 2 h +critical +failed 2 d 3 h ago, 2 ms +1 d 2 h ago +breaker open\?$", done.stdout, re.M), done.stdout  # fmt: skip
    assert re.search(r"^x +not_linked +optional$", done.stdout, re.M)
    assert "all in all: down; 1 not well" in done.stdout
    done = tool.run("health", "fs", "--check", "--timeout", "2s")
    assert done.returncode == 0 and "all in all" not in done.stdout
    assert last_params(tool, "health.check") == {"service": "fs", "timeout_ms": 2000}
    assert tool.run("health", "--timeout", "2s").returncode == 2


def test_no_answer_to_a_check_is_not_well(tool):
    """What was known before the check is not what came of it."""
    tool.daemon(health_check={"status": "up", "services": [{**UP, "checking_since": since(A_DAY)}]})
    done = tool.run("health", "fs", "--check", "--timeout", "2s")
    assert done.returncode == 1 and " no answer for 1 d 2 h " in done.stdout, done.stdout


# ---- levers ----------------------------------------------------------------------------------


def status(**more):
    base = {**service("crm", "stopped", 90030), "since": since(90030)}
    return {**base, "breaker": {"state": "closed", "failures": 0}, "kept": True, **more}


def test_breaker(tool):
    held = {"state": "open", "forced": "open", "since": since(TWO_DAYS), "failures": 0}
    tool.daemon(services_breaker=status(breaker=held))
    done = tool.run("breaker", "crm", "open", "--reason", "maintenance")
    assert done.returncode == 0
    assert done.stdout == (
        "crm: breaker held open, calls fail with CIRCUIT_OPEN\n"
        "    do   toolbroker breaker crm auto  # ends that\n"
    )
    assert last_params(tool, "services.breaker") == {
        "service": "crm", "action": "open", "reason": "maintenance"
    }  # fmt: skip
    tool.peer.table["services.breaker"] = status()
    for action in ("close", "reset", "auto"):
        done = tool.run("breaker", "crm", action)
        assert done.returncode == 0 and done.stdout.startswith("crm: breaker ")
        assert last_params(tool, "services.breaker") == {"service": "crm", "action": action}
    assert json.loads(tool.run("breaker", "crm", "auto", "--json").stdout)["kept"] is True
    wrong = tool.run("breaker", "crm", "shut")
    assert wrong.returncode == 2 and "open, close, reset or auto" in wrong.stderr


def test_a_lever_that_does_not_cure_and_is_not_kept(tool):
    tool.daemon(services_breaker=status(kept=False, state="quarantined", quarantine={"level": 1, "left_ms": 9000}))
    done = tool.run("breaker", "crm", "reset")
    assert done.returncode == 0
    assert done.stdout == (
        "crm: breaker closed, those of its users too, with nothing counted\n"
        "    but  it could not be written down: a restart of the daemon forgets it\n\n"
        "crm: quarantined for 1 d 1 h, 9 s left\n"
        "    do   toolbroker test crm  # what is wrong now\n"
        "    do   toolbroker release crm  # uses it again at once\n"
    )


def test_quarantine_and_release(tool):
    tool.daemon(services_quarantine=status(state="quarantined", quarantine={"level": 1, "by_hand": True}),
                services_release=status())  # fmt: skip
    done = tool.run("quarantine", "crm", "--for", "1h30m", "--reason", "nonsense")
    assert done.returncode == 0
    assert done.stdout == (
        "crm: out of use for 1 h 30 min\n    do   toolbroker release crm  # ends that\n"
    )
    assert last_params(tool, "services.quarantine") == {
        "service": "crm", "for_ms": 5400000, "reason": "nonsense"
    }  # fmt: skip
    assert "until it is released" in tool.run("quarantine", "crm").stdout
    assert last_params(tool, "services.quarantine") == {"service": "crm"}
    for wrong in ("soon", "0", "31d", "30m1h", "1h 30m"):
        assert tool.run("quarantine", "crm", "--for", wrong).returncode == 2
    done = tool.run("release", "crm")
    assert (done.returncode, done.stdout) == (0, "crm: no longer quarantined\n")
    assert last_params(tool, "services.release") == {"service": "crm"}


# ---- history and activity --------------------------------------------------------------------


def call(number, **more):
    return {"id": number, "time": f"2026-11-21T03:00:{number % 60:02}.000Z", "request_id": f"{number:x}",
            "method": "tools.call", "agent": "a", "user": "ana", "service": "crm", "tool": "find",
            "outcome": "live", "ms": 42, "attempts": 1, "uid": 0, "pid": 1, **more}  # fmt: skip


def test_activity(tool):
    rows = [call(3, outcome="UNAVAILABLE", attempts=3, ms=4100),
            call(2, outcome="fallback", fallback_from="zoho"), call(1, tool="", service="", method="tools.list")]  # fmt: skip
    tool.daemon(activity_query={"calls": rows})
    done = tool.run("activity", "--since", "1h", "--agent", "a", "--user", "ana", "--service", "crm",
                    "--tool", "find", "--outcome", "failed")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"2026-11-21T03:00:01.000Z  tools.list +a +ana +live +42 ms +1  1", lines[1])
    assert re.fullmatch(r"\S+  crm/find +a +ana +fallback for zoho +42 ms +1  2", lines[2])
    assert re.fullmatch(r"\S+  crm/find +a +ana +UNAVAILABLE +4 s +3  3", lines[3])
    params = last_params(tool, "activity.query")
    asked = params.pop("since")
    assert params == {"agent": "a", "user": "ana", "service": "crm", "tool": "find",
                      "outcome": "failed", "limit": 50}  # fmt: skip
    assert abs(time.time() - 3600 - asked / 1000) < 60
    assert json.loads(tool.run("activity", "--json").stdout) == {"calls": rows}
    shown, _ = tool.on_terminal("activity", "--no-color", columns=200)
    assert "✗ 2026" in shown and "⚠ 2026" in shown and "✓ 2026" in shown


def test_activity_in_pages(tool):
    def page(peer, msgid, params):
        first = params.get("before", 2501) - 1
        if first == 1500:  # a page that had nothing that fits
            return {"calls": [], "next": 1400}
        rows = [call(number) for number in range(first, max(0, first - params["limit"]), -1)]
        return {"calls": rows, **({"next": rows[-1]["id"]} if rows[-1]["id"] > 1 else {})}

    tool.daemon(activity_query=page)
    done = tool.run("activity", "--limit", "2400")
    assert done.returncode == 0 and done.stderr == ""
    numbers = [int(line.split()[-1], 16) for line in done.stdout.splitlines()[1:]]
    assert numbers == [*range(1, 1400), *range(1501, 2501)]
    assert [request[1]["limit"] for request in tool.peer.requests if request[0] == "activity.query"] == [1000, 1000, 1000, 400]  # fmt: skip
    done = tool.run("activity", "--limit", "3")
    assert "there are older ones" in done.stderr and len(done.stdout.splitlines()) == 4
    answer = json.loads(tool.run("activity", "--limit", "3", "--json").stdout)
    assert [row["id"] for row in answer["calls"]] == [2500, 2499, 2498] and answer["next"] == 2498


def test_pages_that_never_end(tool):
    tool.daemon(activity_query={"calls": [], "next": 7})
    done = tool.run("activity")
    assert done.returncode == 1 and "do not come to an end" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["--limit", "0"], ["--limit", "x"], ["--limit", "-1"], ["--limit", "100001"], ["--limit", ""],
     ["--since", "yesterday"], ["--since", "1h 3m"], ["word"]],
)  # fmt: skip
def test_activity_that_cannot_be_meant(tool, words):
    done = tool.run("activity", *words)
    assert done.returncode == 2 and not done.stdout


def test_history(tool):
    rows = [{"id": 2, "time": "t2", "service": "crm", "kind": "breaker", "state": "open",
             "reason": "5 failures\n in a row"},
            {"id": 1, "time": "t1", "service": "crm", "kind": "check", "state": "ok", "ms": 12}]  # fmt: skip
    tool.daemon(services_events={"events": rows})
    done = tool.run("history", "crm")
    assert done.stdout == (
        "TIME  SERVICE  KIND     STATE   TOOK  REASON\n"
        "t1    crm      check    ok     12 ms\n"
        "t2    crm      breaker  open          5 failures in a row\n"
    )
    assert last_params(tool, "services.events") == {"service": "crm", "limit": 50}
    tool.run("history")
    assert last_params(tool, "services.events") == {"limit": 50}
    shown, _ = tool.on_terminal("history", "--no-color")
    assert "✓ t1" in shown and "✗ t2" in shown


def test_history_out_of_memory(tool):
    rows = [{"time": "t1", "service": "crm", "kind": "check", "state": "ok"}]
    tool.daemon(services_events={"events": rows, "from": "memory"})
    done = tool.run("history")
    assert done.returncode == 0 and "t1" in done.stdout and "the database cannot be read" in done.stderr
    assert json.loads(tool.run("history", "--json").stdout) == {"events": rows, "from": "memory"}


def test_nothing_happened(tool):
    tool.daemon(services_events={"events": []}, activity_query={"calls": []})
    assert tool.run("history").stdout == "Nothing is recorded that fits.\n"
    assert tool.run("activity").stdout == "No call is recorded that fits.\n"
