# SPDX-License-Identifier: MIT
"""The command-line tool against a running daemon: what a person and a script see."""

import json
import os
import re
import select
import subprocess

import pytest

from daemon import BIN, echo_stdio, eventually, http, read_journal, stdio


@pytest.fixture
def run(daemon):
    once = {"max_attempts": 1}
    daemon.services({"echo": echo_stdio(), "down": http(1, retry=once, health=False),
                     "mail": stdio(journal=daemon.folder / "mail")})  # fmt: skip
    daemon.start()

    def run(*words):
        done = subprocess.run(
            [str(BIN / "toolbroker"), "--socket", str(daemon.socket), *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        daemon.no_reports(done.stderr)
        return done

    return run


def test_status_and_list(run):
    for command in ("status", "list"):
        done = run(command)
        assert done.returncode in (0, 1) and "echo" in done.stdout and "\x1b" not in done.stdout
        json.loads(run(command, "--json").stdout)


def test_call(run):
    done = run("call", "echo/echo", "--agent", "tester", "--arg", "message=hello there")
    assert done.returncode == 0 and "hello there" in done.stdout, done
    failed = run("call", "down/x", "--agent", "tester")
    assert failed.returncode != 0 and "127.0.0.1:1" in failed.stderr


def test_tools_and_agents(run):
    done = run("tools", "--agent", "tester")
    assert "echo/echo" in done.stdout and "down" in done.stdout + done.stderr
    assert "tester" in run("agents").stdout


def test_policy_check_and_reload(run, daemon):
    assert run("policy", "check").returncode == 0
    assert run("policy", "reload").returncode == 0
    daemon.write("policy.lua", "agent(\n")
    done = run("policy", "check")
    assert done.returncode != 0 and "policy.lua:" in done.stdout + done.stderr
    assert run("policy", "reload").returncode != 0


def test_no_daemon_says_so(daemon):
    done = subprocess.run(
        [str(BIN / "toolbroker"), "--socket", str(daemon.socket), "status"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0 and str(daemon.socket) in done.stderr


def test_help_and_nonsense(run):
    assert "Usage" in run("--help").stdout or "usage" in run("--help").stdout
    assert run("frobnicate").returncode != 0


# ---- when something fails --------------------------------------------------------------------


def call(run, tool, *words):
    return run("call", tool, "--agent", "tester", *words)


def test_a_service_is_tested(run):
    done = run("test", "echo", "--agent", "tester")
    assert done.returncode == 0, done
    assert re.search(r"^connect +\d+ m?s +ok$", done.stdout, re.M), done.stdout
    assert re.search(r"^echo works: stdio, MCP \d{4}-\d\d-\d\d, .*\d tools?, in ", done.stdout, re.M)
    done = run("test", "down")
    assert done.returncode == 4, done
    assert re.search(r"^connect +\d+ m?s +failed: UNAVAILABLE$", done.stdout, re.M), done.stdout
    assert "down does not work" in done.stdout and "    why  " in done.stdout
    assert json.loads(run("test", "down", "--json").stdout)["ok"] is False
    assert run("test", "nowhere").returncode == 1


def test_a_breaker_opens_and_everybody_can_see_it(run):
    assert "(UNAVAILABLE)" in call(run, "down/x").stderr
    refused = eventually(lambda: (done := call(run, "down/x")) and "(CIRCUIT_OPEN)" in done.stderr and done, 20)
    assert refused.returncode == 4
    assert re.search(r"^  again: in \d+ s$", refused.stderr, re.M), refused.stderr
    status = run("status")
    assert status.returncode == 1 and re.search(r"^down +breaker open ", status.stdout, re.M)
    assert re.search(r"^down: breaker open for [^,]+, (asked again in \d+ m?s|being asked now): \d+ failures in a row \(UNAVAILABLE\)$", status.stdout, re.M), status.stdout
    assert "    do   toolbroker breaker down reset  #" in status.stdout
    one = run("status", "down").stdout
    assert re.search(r"^breaker +open for .*, \d+ failures in a row$", one, re.M), one
    assert re.search(r"^failures +.*network 5", one, re.M), one
    health = run("health")
    assert health.returncode == 1 and re.search(r"^down +down ", health.stdout, re.M), health.stdout
    history = eventually(lambda: (done := run("history", "down")) and "breaker" in done.stdout and done)
    assert re.search(r"down +breaker +open ", history.stdout), history.stdout
    assert run("health", "down", "--check").returncode == 1
    assert run("health", "echo", "--check").returncode == 0


def test_levers(run):
    assert call(run, "echo/echo", "--arg", "message=a").returncode == 0
    assert run("breaker", "echo", "open", "--reason", "a drill").returncode == 0
    refused = call(run, "echo/echo", "--arg", "message=a")
    assert refused.returncode == 1 and "(CIRCUIT_OPEN)" in refused.stderr and "a drill" in refused.stderr
    assert "breaker held open by hand" in run("status").stdout
    assert run("breaker", "echo", "auto").returncode == 0
    assert run("quarantine", "echo", "--for", "10m", "--reason", "nonsense").returncode == 0
    refused = call(run, "echo/echo", "--arg", "message=a")
    assert refused.returncode == 4 and "(QUARANTINED)" in refused.stderr
    status = run("status", "echo")
    assert status.returncode == 1
    assert re.search(r"^echo: quarantined by hand for [^,]+, (9 min \d+ s|10 min) left: nonsense", status.stdout), status.stdout
    assert re.search(r"^echo +quarantined", run("list").stdout, re.M)
    released = run("release", "echo")
    assert released.returncode == 0 and released.stdout.startswith("echo: no longer quarantined\n")
    assert call(run, "echo/echo", "--arg", "message=a").returncode == 0
    history = eventually(lambda: (done := run("history", "echo")) and "ended" in done.stdout and done)
    kinds = re.findall(r"echo +(breaker|quarantine) +(\w+)", history.stdout)
    assert kinds == [("breaker", "open"), ("breaker", "closed"), ("quarantine", "begun"), ("quarantine", "ended")]
    assert run("release", "nowhere").returncode == 1


def test_events_tell_of_levers(run, daemon):
    listener = subprocess.Popen(
        [str(BIN / "toolbroker"), "--socket", str(daemon.socket), "events", "--json"],
        stdout=subprocess.PIPE,
    )  # fmt: skip

    def told():  # pulled again and again: nobody knows when it has subscribed
        run("quarantine", "mail", "--for", "1m")
        run("release", "mail")
        if select.select([listener.stdout], [], [], 0.2)[0]:
            said.append(os.read(listener.stdout.fileno(), 65536))
        lines = b"".join(said).split(b"\n")[:-1]
        return [event for event in map(json.loads, lines) if event["kind"] == "service.quarantine"]

    said = []
    try:
        event = eventually(told, 20)[0]
    finally:
        listener.terminate()
        listener.wait(10)
        listener.stdout.close()
    assert event["service"] == "mail" and event["state"] in ("begun", "ended") and event["time"]


def test_activity(run):
    call(run, "echo/echo", "--arg", "message=a", "--user", "ana")
    call(run, "down/x", "--user", "ana")
    done = eventually(lambda: (done := run("activity", "--user", "ana")) and "down" in done.stdout and done)
    lines = done.stdout.splitlines()[1:]
    assert re.search(r"Z  echo/echo +tester +ana +live +\d+ m?s +1  [0-9a-f]{16}$", lines[0]), lines
    assert re.search(r"Z  down/x +tester +ana +UNAVAILABLE +\d+ m?s +1  [0-9a-f]{16}$", lines[1]), lines
    failed = json.loads(run("activity", "--outcome", "failed", "--since", "1h", "--json").stdout)
    assert [row["service"] for row in failed["calls"]] == ["down"]


def test_an_outcome_that_there_is_not_is_refused(run):
    done = run("activity", "--outcome", "timeout")
    assert done.returncode == 1 and "no call has the outcome `timeout`" in done.stderr
    assert "TIMEOUT" in done.stderr
    assert run("activity", "--outcome", "TIMEOUT").returncode == 0


def test_a_key_makes_a_call_once(run, daemon):
    words = ["mail/echo", "--arg", "message=a", "--idempotency-key", "order-42"]
    first, again = call(run, *words), call(run, *words)
    assert (first.returncode, again.returncode) == (0, 0), (first, again)
    assert first.stdout == again.stdout
    assert len(read_journal(daemon.folder / "mail", method="tools/call")) == 1
    other = call(run, "mail/echo", "--arg", "message=b", "--idempotency-key", "order-42")
    assert other.returncode == 1 and "(CONFLICT)" in other.stderr
