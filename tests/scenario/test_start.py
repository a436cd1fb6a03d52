# SPDX-License-Identifier: MIT
"""Start, check, reload, end: what an operator does."""

import os
import signal
import socket
import stat
import subprocess
import time

import pytest

from any_mcp import MODERN, any_stdio
from daemon import PATIENCE, TESTER, echo_stdio, eventually, stdio
from rpc import Closed, RpcError

METHODS = """hello ping describe tools.list tools.call tools.approvals tools.approve
resources.list resources.templates resources.read resources.subscribe resources.unsubscribe
prompts.list prompts.get complete tasks.get tasks.cancel events.subscribe
services.list services.get services.status services.test services.breaker services.quarantine
services.release services.events health.get health.check health.history activity.query metrics.get
agents.list agents.get policy.check policy.reload
calls.list daemon.info daemon.shutdown""".split()


def test_starts_with_no_configuration(daemon):
    daemon.start(policy=None)
    client = daemon.client(agent="coordinator")
    agents = [agent["name"] for agent in client.call("agents.list")["agents"]]
    assert agents == ["coordinator", "lead_administrator", "meeting_scheduler"]


def test_socket_is_for_owner_and_group_only(daemon):
    daemon.start()
    mode = os.stat(daemon.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & 0o007 == 0


def test_hello_says_who_and_what(daemon):
    daemon.start()
    hello = daemon.client().hello
    assert hello["server"] == "toolbrokerd" and hello["version"] and hello["protocol"] == 1
    assert hello["role"] == "admin"  # the same uid
    assert hello["limits"]["inflight"] == 256


def test_describe_is_complete(daemon, journal):
    daemon.services({"echo": echo_stdio(), "any": any_stdio(journal, MODERN)})
    daemon.start()
    client = daemon.client()
    described = client.call("describe")
    methods = {method["name"]: method for method in described["methods"]}
    assert set(METHODS) <= set(methods)
    for method in methods.values():
        assert method["summary"] and method["role"] in ("client", "admin") and method["result"]
        for param in method["params"]:
            assert {"name", "type", "required", "text"} <= set(param)
    assert "cancel" in [note["name"] for note in described["notifications"]]
    asked = {request["name"] for request in described["requests"]}
    assert asked == {"elicitation.create", "sampling.create", "roots.list"}
    codes = {error["code"] for error in described["errors"]}
    assert {"VALIDATION_ERROR", "OUTCOME_UNKNOWN", "INTERNAL"} <= codes and len(codes) == 20
    # Each of them answers, and what it answers has what its schema requires.
    given = {
        "tools.call": {"tool": "echo/echo", "arguments": {"message": "m"}},
        "services.get": {"service": "echo"},
        "services.test": {"service": "echo"},
        "services.breaker": {"service": "echo", "action": "auto"},
        "services.quarantine": {"service": "echo"},
        "services.release": {"service": "echo"},
        "agents.get": {"agent": "tester"},
        "hello": {"client": "scenario", "version": "1", "agent": "tester", "user": "u1"},
        "policy.explain": {"tool": "echo/echo", "agent": "tester", "user": "u1"},
    }
    item = {"service": "any", "uri": "any://item/1"}
    page = {"service": "any"}
    slow = {"tool": "any/task_required", "arguments": {"ms": 60_000}, "task": True}
    task = {"task": client.call("tools.call", **slow)["task"]["id"]}
    given |= {
        "tools.approve": {"service": "echo"},
        "resources.list": page,
        "resources.templates": page,
        "resources.read": item,
        "resources.subscribe": item,
        "resources.unsubscribe": item,
        "prompts.list": page,
        "prompts.get": {"service": "any", "prompt": "greeting", "arguments": {"who": "Ana"}},
        "complete": {"service": "any", "ref": {"type": "ref/prompt", "name": "greeting"},
                     "argument": {"name": "who", "value": "x"}},
        "tasks.get": task,
        "tasks.cancel": task,
        "events.subscribe": {"kinds": ["service.state"]},
    }  # fmt: skip
    for name in methods:
        if name == "daemon.shutdown":
            continue
        result = client.call(name, **given.get(name, {}))
        for key in methods[name]["result"].get("required", []):
            assert key in result, (name, key, result)


def test_unknown_method_names_the_nearest(daemon):
    daemon.start()
    error = daemon.client().fails("tool.list")
    assert error.code == "METHOD_NOT_FOUND" and "tools.list" in error.suggestion


@pytest.mark.parametrize(
    "params, field",
    [
        ({}, "tool"),
        ({"tool": 17}, "tool"),
        ({"tool": "echo/echo", "arguments": []}, "arguments"),
        ({"tool": "echo/echo", "timeout_ms": "soon"}, "timeout_ms"),
        ({"tool": "echo/echo", "demo": "perhaps"}, "demo"),
        ({"tool": "echo/echo", "frobnicate": 1}, "frobnicate"),
    ],
)
def test_wrong_parameters_name_the_field(daemon, params, field):
    daemon.start()
    error = daemon.client().fails("tools.call", **params)
    assert error.code in ("VALIDATION_ERROR", "INVALID_REQUEST")
    assert error.details["field"] == field, error.error


FAULTS = {
    "toolbroker.lua": (
        'return {\n  sockett = "/x",\n  limits = {\n    inflight = "many",\n  },\n}\n',
        [("toolbroker.lua:2", "sockett"), ("toolbroker.lua:4", "inflight")],
    ),
    "services.lua": (
        'return {\n  one = { transport = "stdio" },\n  two = { transport = "carrier pigeon" },\n'
        '  three = {\n    transport = "http",\n    url = "ftp://x",\n  },\n}\n',
        [("services.lua:2", "command"), ("services.lua:3", "pigeon"), ("services.lua:6", "url")],
    ),
    "services.d/more.lua": ("return {\n\n  x = = 1\n}\n", [("more.lua:3", "=")]),
    "policy.lua": (
        'agent "a" {\n  servicess = { "x" },\n}\n',
        [("policy.lua", "servicess")],
    ),
    "mcp.json": ('{"mcpServers": {"x": {"command": 17}}}', [("mcp.json", "command")]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_lists_every_fault(daemon, name):
    text, expected = FAULTS[name]
    daemon.write("policy.lua", 'agent "a" { title = "A", services = { "*" } }\n')
    assert daemon.check()[0] == 0
    daemon.write(name, text)
    code, out = daemon.check()
    assert code != 0
    for place, cause in expected:
        assert any(place in line and cause in line for line in out.splitlines()), (place, cause, out)


def test_check_lists_faults_of_all_files_at_once(daemon):
    for name, (text, _) in FAULTS.items():
        daemon.write(name, text)
    code, out = daemon.check()
    assert code != 0
    for _, expected in FAULTS.values():
        for place, _ in expected:
            assert place in out, (place, out)


def test_bad_configuration_stops_the_start(daemon):
    daemon.write("policy.lua", "agent(\n")
    daemon.start(wait=False)
    assert daemon.process.wait(60) != 0
    daemon.process = None
    assert "policy.lua" in daemon.log() and not daemon.socket.exists()


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_edit_never_replaces_what_works(daemon, name):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    assert client.text("echo/echo", {"message": "before"}) == "before"
    text, expected = FAULTS[name]
    daemon.write(name, text)
    for method in ("policy.check", "policy.reload"):
        answer = client.call(method)
        assert answer["ok"] is False
        for place, cause in expected:
            file, _, line = place.partition(":")
            assert any(
                file in fault["file"] and cause in fault["text"] and line in ("", str(fault["line"]))
                for fault in answer["faults"]
            ), (place, cause, answer["faults"])
    daemon.signal(signal.SIGHUP)
    eventually(lambda: daemon.log().count(expected[0][1]) >= 2, 10, "the fault in the log")
    assert client.text("echo/echo", {"message": "after"}) == "after"


def test_reload_takes_over_services_and_policy_without_losing_a_call(daemon, journal):
    daemon.services({"bad": stdio(journal=journal), "echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    slow = client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 1500}})
    assert client.text("echo/echo", {"message": "x"}) == "x"
    daemon.services({"bad": stdio("banner", journal=journal), "other": echo_stdio()})
    daemon.write(
        "policy.lua",
        'agent "tester" { title = "T", services = { "*" } }\n'
        'agent "second" { title = "S", services = { "other" } }\n',
    )
    assert client.call("policy.reload") == {"ok": True, "faults": [], "restart_needed": []}
    assert client.tool_fails("echo/echo", {"message": "x"}).code == "NOT_FOUND"
    assert client.text("other/echo", {"message": "y"}) == "y"
    assert daemon.client(agent="second").text("other/echo", {"message": "z"}) == "z"
    assert client.wait(slow)["result"]["content"][0]["text"] == "slow"


def test_reload_of_retries_and_limits_ends_no_session(daemon):
    daemon.services({"echo": echo_stdio(limits={"concurrency": 4})})
    daemon.start()
    client = daemon.client()

    def running():
        assert client.text("echo/echo", {"message": "x"}) == "x"
        return client.call("services.status", service="echo")["services"][0]["pid"]

    first = running()
    changed = {
        "retry": {"max_attempts": 2, "tools": {"ech*": {"idempotent": True}}},
        "breaker": {"failures": 3},
        "quarantine": False,
        "health": {"interval_s": 60},
        "priority": "critical",
        "limits": {"concurrency": 4, "rate": "100000/s", "queue": 7},
    }
    daemon.services({"echo": echo_stdio(**changed)})
    assert client.call("policy.reload")["ok"] is True
    assert running() == first
    shown = client.call("services.get", service="echo")["definition"]
    assert {key: shown[key] for key in changed} == changed
    daemon.services({"echo": echo_stdio(**{**changed, "limits": {"concurrency": 5}})})
    assert client.call("policy.reload")["ok"] is True
    assert running() != first


def test_hup_reloads(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    daemon.services({"echo": echo_stdio(), "again": echo_stdio()})
    daemon.signal(signal.SIGHUP)
    client = daemon.client()

    def both():
        return len(client.call("services.list")["services"]) == 2

    eventually(both, 10, "the second service")


def test_settings_that_need_a_restart_are_named(daemon):
    daemon.settings({"limits": {"inflight": 10}})
    daemon.start()
    client = daemon.client()
    daemon.settings({"limits": {"inflight": 11}, "socket": "/nowhere/else"})
    answer = client.call("policy.reload")
    assert answer["ok"] is True and answer["restart_needed"] == ["socket"]
    assert daemon.client().hello["limits"]["inflight"] == 11


def test_term_lets_calls_end(daemon, journal):
    daemon.services({"bad": stdio(journal=journal)})
    daemon.start()
    client = daemon.client()
    slow = client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 3000}})
    eventually(lambda: client_calls(daemon) == 1, 10, "the call")
    daemon.remember_family()
    daemon.signal(signal.SIGTERM)
    refuses(client)
    assert client.wait(slow)["result"]["content"][0]["text"] == "slow"
    assert daemon.process.wait(60) == 0
    daemon.stop()


def refuses(client):
    """Waits until new calls are refused: the signal has arrived."""

    def is_refused():
        try:
            client.tool("bad/echo", {"message": "too late"})
            return False
        except RpcError as refused:
            assert refused.code == "SHUTTING_DOWN", refused.error
            return True

    eventually(is_refused, what="the refusal")


def client_calls(daemon):
    with daemon.client() as client:
        return len(client.call("calls.list")["calls"])


def test_drain_ends_at_its_time(daemon):
    daemon.settings({"drain_ms": 300})
    daemon.services({"bad": stdio()})
    daemon.start()
    client = daemon.client()
    hang = client.start("tools.call", {"tool": "bad/hang", "arguments": {}})
    eventually(lambda: client_calls(daemon) == 1, 10, "the call")
    started = time.monotonic()
    daemon.signal(signal.SIGTERM)
    with pytest.raises(RpcError) as ended:
        client.wait(hang)
    assert ended.value.code in ("CANCELLED", "SHUTTING_DOWN")
    assert daemon.process.wait(60) == 0
    assert time.monotonic() - started < 10 * PATIENCE
    daemon.stop()


def test_second_term_ends_at_once(daemon):
    daemon.settings({"drain_ms": 60000})
    daemon.services({"bad": stdio("stubborn")})
    daemon.start()
    client = daemon.client()
    client.start("tools.call", {"tool": "bad/hang", "arguments": {}})
    eventually(lambda: client_calls(daemon) == 1, 10, "the call")
    daemon.remember_family()
    daemon.signal(signal.SIGTERM)
    refuses(client)
    started = time.monotonic()
    daemon.signal(signal.SIGTERM)
    daemon.process.wait(60)
    assert time.monotonic() - started < 5 * PATIENCE
    daemon.no_family()
    daemon.no_reports(daemon.log())
    daemon.process = None


def test_shutdown_by_rpc(daemon):
    daemon.start()
    client = daemon.client()
    assert client.call("daemon.shutdown")["ok"] is True
    assert daemon.process.wait(60) == 0
    daemon.stop()


def test_a_second_daemon_does_not_take_the_socket(daemon):
    daemon.start()
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and str(daemon.socket) in done.stderr
    assert daemon.answers()


def test_a_socket_left_by_a_killed_daemon_is_taken_over(daemon):
    daemon.start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.client().call("ping") == {}


def test_log_has_the_request_id(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.settings({"log": {"format": "json", "level": "debug"}})
    daemon.start()
    client = daemon.client()
    answer = client.tool("echo/echo", {"message": "a secret message"})
    error = client.tool_fails("echo/nothing")
    eventually(lambda: answer["request_id"] in daemon.log(), what="the id in the log")
    eventually(lambda: error.request_id in daemon.log(), what="the id in the log")
    assert "a secret message" not in daemon.log()


def test_ready_is_told_to_systemd(daemon, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(10)
        daemon.start(env={"NOTIFY_SOCKET": str(path)})
        assert "READY=1" in notify.recv(4096).decode()
        daemon.signal(signal.SIGHUP)
        assert "RELOADING=1" in notify.recv(4096).decode()
        assert "READY=1" in notify.recv(4096).decode()
        daemon.stop()
        assert "STOPPING=1" in notify.recv(4096).decode()


def test_a_folder_that_went_away_is_a_fault(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    client = daemon.client()
    answer = client.call("policy.check", folder=str(daemon.folder / "nothing"))
    assert answer["ok"] is False and "no such folder" in answer["faults"][0]["text"]
    aside = daemon.config.rename(daemon.folder / "aside")
    answer = client.call("policy.reload")
    assert answer["ok"] is False and "no such folder" in answer["faults"][0]["text"]
    assert client.text("echo/echo", {"message": "still"}) == "still"
    aside.rename(daemon.config)


def test_hup_while_files_are_read_is_not_lost(daemon):
    slow = "local n = 0 for i = 1, 3000000 do n = n + i end\n" + TESTER
    daemon.services({"one": echo_stdio()})
    daemon.start(policy=slow)
    client = daemon.client()
    for count in range(2, 6):
        reading = client.start("policy.check")
        daemon.services({f"s{n}": echo_stdio() for n in range(count)})
        daemon.signal(signal.SIGHUP)
        client.wait(reading)
        eventually(lambda: len(client.call("services.list")["services"]) == count, 10, count)


def test_a_signal_after_shutdown_by_rpc_still_drains(daemon):
    daemon.services({"bad": stdio()})
    daemon.start()
    client = daemon.client()
    slow = client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 1500}})
    eventually(lambda: client_calls(daemon) == 1, 10, "the call")
    assert client.call("daemon.shutdown")["ok"] is True
    daemon.signal(signal.SIGTERM)
    assert client.wait(slow)["result"]["content"][0]["text"] == "slow"
    assert daemon.process.wait(60) == 0
    daemon.stop()


def test_the_last_answer_is_given_whole(daemon):
    """To a client that begins to read when all others are gone."""
    daemon.services({"bad": stdio()})
    daemon.start()
    client = daemon.client()
    big = client.start("tools.call", {"tool": "bad/big", "arguments": {"bytes": 4_000_000}})
    eventually(lambda: client_calls(daemon) == 1, 10, "the call")
    eventually(lambda: client_calls(daemon) == 0, 10, "its end")
    daemon.signal(signal.SIGTERM)
    time.sleep(1)
    assert len(client.wait(big)["result"]["content"][0]["text"]) == 4_000_000
    assert daemon.process.wait(60) == 0
    daemon.stop()


def test_the_end_comes_while_calls_are_refused(daemon):
    """A refused call is no second end of the last one."""
    daemon.services({"bad": stdio("stubborn")})
    daemon.start()
    clients = [daemon.client() for _ in range(8)]
    clients[0].text("bad/echo", {"message": "warm"})
    daemon.remember_family()
    daemon.signal(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while daemon.process.poll() is None and time.monotonic() < deadline:
        for client in clients:
            try:
                client.tool("bad/echo", {"message": "too late"})
            except (RpcError, Closed, ConnectionError):
                pass
    assert daemon.process.wait(1) == 0
    daemon.stop()
