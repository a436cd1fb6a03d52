# SPDX-License-Identifier: MIT
"""The command-line tool: what it asks, what it shows, how it ends."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import unicodedata

import pytest

from conftest import ROOT
from peer import TablePeer

INFO = {
    "name": "toolbrokerd", "version": "0.1.0", "pid": 4711, "uptime_ms": 11520000,
    "connections": 3, "calls": 1, "memory": {"resident_bytes": 12582912},
    "settings": {"limits": {"inflight": 256}}, "policy": {"agents": 3},
}  # fmt: skip


def since(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - seconds))


def service(name, state, seconds, **more):
    return {"name": name, "title": name.title(), "transport": "http", "enabled": True,
            "state": state, "since": since(seconds), "sessions": 1, "inflight": 0, "calls": 10,
            "failures": 0, "restarts": 0, **more}  # fmt: skip


GOOD = service("everything", "running", 3700, tools=11, waiting=3)
BROKEN = service(
    "salesforce", "error", 200, reason="start failed",
    last_error={"code": "UNAVAILABLE", "message": "connect: refused\x1b[2J", "suggestion": "Start it."},
)  # fmt: skip
OFF = service("twitter", "stopped", 90000, enabled=False)
STARTING = service("mail", "starting", 1)
QUARANTINED = service("zoho", "quarantined", 5, reason="5 crashes in a row")


def answer(text="hello", **more):
    result = {"content": [{"type": "text", "text": text}], **more.pop("result", {})}
    return {"request_id": "00000000000000aa", "service": "everything", "tool": "echo",
            "source": "live", "result": result, "execution_time_ms": 1, "attempts": 1, **more}  # fmt: skip


@pytest.fixture
def tool(programs, socket_path):
    """Runs the tool against a table of results. `tool.peer` is the daemon."""
    peers = []

    class Tool:
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm"}

        def daemon(self, **table):
            self.peer = TablePeer(
                socket_path, {key.replace("_", "."): value for key, value in table.items()}
            )
            peers.append(self.peer)

        def command(self, *words):
            return [str(programs / "toolbroker"), "--socket", socket_path, *words]

        def run(self, *words, stdin="", environment=None):
            return subprocess.run(
                self.command(*words), input=stdin, capture_output=True, text=True, timeout=60,
                env={**self.environment, **(environment or {})}, check=False,
            )  # fmt: skip

        def on_terminal(self, *words, columns=80, environment=None):
            """Everything that a terminal of that width gets, and the exit code."""
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            process = subprocess.Popen(
                self.command(*words), stdin=theirs, stdout=theirs, stderr=theirs,
                env={**self.environment, **(environment or {})},
            )  # fmt: skip
            os.close(theirs)
            shown = b""
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux: the other side is closed
                    break
                if not data:
                    break
                shown += data
            os.close(ours)
            return shown.decode().replace("\r\n", "\n"), process.wait(60)

    yield Tool()
    for peer in peers:
        peer.stop()


def last_params(tool, method):
    """Of the last request of that method; notifications of the client are no requests."""
    return [request[1] for request in tool.peer.requests if request[0] == method][-1]


# ---- status and lists ------------------------------------------------------------------------


def test_status_when_all_is_well(tool):
    good = {**GOOD, "since": since(3661)}
    tool.daemon(daemon_info=INFO, services_status={"services": [good]})
    done = tool.run("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "toolbrokerd 0.1.0, pid 4711, up 3 h 12 min, 3 clients, 1 call under way" in done.stdout
    assert re.search(r"^everything +running +1 h 1 min +http +11 +0 +3 +10 +0 +0 +Everything$",
                     done.stdout, re.M), done.stdout  # fmt: skip
    assert "\x1b" not in done.stdout and "✓" not in done.stdout


def test_status_says_what_is_wrong_since_when_and_what_to_do(tool):
    tool.daemon(daemon_info=INFO,
                services_status={"services": [GOOD, {**BROKEN, "since": since(200)}, OFF, QUARANTINED]})  # fmt: skip
    done = tool.run("status")
    assert done.returncode == 1
    assert re.search(r"^twitter +disabled", done.stdout, re.M)
    trouble = done.stdout.split("\n\n")
    assert re.fullmatch(
        r"salesforce: error for 3 min [2-5]\d s, start failed \(UNAVAILABLE\)\n"
        r"    why  connect: refused\?\[2J\n    do   Start it\.\n"
        r"    do   toolbroker test salesforce  # what is wrong now",
        trouble[2],
    )
    assert re.fullmatch(
        r"zoho: quarantined for (\d+ min )?\d+ s: 5 crashes in a row\n"
        r"    do   toolbroker test zoho  # what is wrong now\n"
        r"    do   toolbroker release zoho  # uses it again at once\n",
        trouble[3],
    )


def test_status_on_a_terminal(tool):
    tool.daemon(daemon_info=INFO,
                services_status={"services": [GOOD, BROKEN, OFF, QUARANTINED, STARTING]})  # fmt: skip
    shown, code = tool.on_terminal("status", columns=100)
    assert code == 1
    for mark in ("\x1b[32m✓", "\x1b[31m✗", "\x1b[33m⚠", "⏸"):
        assert mark in shown
    assert "\x1b[2J" not in shown
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain, _ = tool.on_terminal("status", environment=environment)
        assert "✓" in plain and "\x1b" not in plain
    plain, _ = tool.on_terminal("status", "--no-color")
    assert "✓" in plain and "\x1b" not in plain


def test_status_as_json(tool):
    tool.daemon(daemon_info=INFO, services_status={"services": [GOOD, BROKEN]})
    done = tool.run("status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"daemon": INFO, "services": [GOOD, BROKEN]}
    assert done.stdout.count("\n") == 1


def test_status_of_one(tool):
    tool.daemon(services_status={"services": [BROKEN]})
    done = tool.run("status", "salesforce")
    assert done.returncode == 1 and "  code: UNAVAILABLE" in done.stdout
    assert last_params(tool, "services.status") == {"service": "salesforce"}


def test_list_and_agents_and_calls(tool):
    listed = {"name": "fs", "title": "Files", "description": "Reads\n files", "transport": "stdio",
              "enabled": True, "state": "stopped", "tags": ["a", "b"]}  # fmt: skip
    agent = {"name": "coordinator", "title": "C", "services": ["x", "y"], "operations": []}
    call = {"request_id": "00aa", "method": "tools.call", "service": "fs", "tool": "read",
            "agent": "coordinator", "user": "ana", "stage": "EXECUTE", "waits_for": "answer",
            "since_ms": 1500, "deadline_ms": 28500}  # fmt: skip
    tool.daemon(services_list={"services": [listed]}, agents_list={"agents": [agent]},
                calls_list={"calls": [call]}, agents_get={"name": "coordinator", "deny": ["a/*"]})  # fmt: skip
    assert re.search(
        r"^fs +stopped +stdio +a, b +Files +Reads files$", tool.run("list").stdout, re.M
    )
    assert re.search(r"^coordinator +C +x, y$", tool.run("agents").stdout, re.M)
    assert tool.run("agents", "coordinator").stdout == "name: coordinator\ndeny: a/*\n"
    assert re.search(r"^00aa +fs/read +coordinator +ana +1 s +28 s +EXECUTE +answer$",
                     tool.run("calls").stdout, re.M)  # fmt: skip
    assert json.loads(tool.run("calls", "--json").stdout) == {"calls": [call]}


# ---- tools -----------------------------------------------------------------------------------

TOOLS = {
    "tools": [
        {"name": "everything/echo", "description": "Echoes\n\nits input " + "x" * 200,
         "inputSchema": {"type": "object", "required": ["message"]}},
        {"name": "schedule", "description": "日本語の説明、長い" * 10, "demo": True},
    ],
    "unavailable": [
        {"service": "salesforce", "error": {"code": "CIRCUIT_OPEN", "message": "open", "suggestion": "Wait."}}
    ],
}  # fmt: skip


def columns_of(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_tools(tool):
    tool.daemon(tools_list=TOOLS)
    done = tool.run("tools", "--agent", "coordinator", "--user=ana", "--service", "everything")
    assert last_params(tool, "tools.list") == {
        "agent": "coordinator", "user": "ana", "service": "everything",
    }  # fmt: skip
    assert done.returncode == 0
    assert re.search(r"^everything/echo  Echoes its input x{200}$", done.stdout, re.M)
    assert re.search(r"^schedule +\[demo\] 日本語", done.stdout, re.M)
    assert done.stdout.endswith(
        "\nUnavailable:\nsalesforce: CIRCUIT_OPEN\n    why  open\n    do   Wait.\n"
    )


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_tools_fit_the_terminal(tool, columns):
    tool.daemon(tools_list=TOOLS)
    shown, code = tool.on_terminal("tools", "--no-color", columns=columns)
    assert code == 0 and "…" in shown
    lines = shown.split("\n")
    assert max(columns_of(line) for line in lines) in (columns, columns - 1)


def test_one_tool_in_full(tool):
    tool.daemon(tools_list=TOOLS)
    done = tool.run("tools", "everything/echo")
    assert done.stdout.startswith("everything/echo\n\nEchoes\n\nits input xxx")
    assert done.stdout.endswith("\ntype: object\nrequired: message\n")
    missing = tool.run("tools", "nothing")
    assert missing.returncode == 1 and "no tool nothing" in missing.stderr


# ---- call ------------------------------------------------------------------------------------


def test_call_sends_what_was_said(tool):
    tool.daemon(tools_call=answer())
    done = tool.run(
        "call", "everything/echo", "--agent", "coordinator", "--user", "ana", "--timeout", "1.5s",
        "--demo", "never", "--locale", "es", "--idempotency-key", "order-42", "--arg", "message=hello there", "--arg", "n=3",
        "--arg", "list=[1, 2]", "--arg", "text=\"7\"", "--arg", "empty=", "--arg", "a=b=c",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello", "")
    assert last_params(tool, "tools.call") == {
        "tool": "everything/echo", "agent": "coordinator", "user": "ana", "locale": "es",
        "demo": "never", "timeout_ms": 1500, "idempotency_key": "order-42",
        "arguments": {"message": "hello there", "n": 3, "list": [1, 2], "text": "7", "empty": "",
                      "a": "b=c"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [["--json-args", '{"a": {"b": null}}'], ["--json-args", "-"], ["-"]]
)
def test_call_with_json(tool, words):
    tool.daemon(tools_call=answer())
    done = tool.run("call", "t", *words, "--arg", "c=1", stdin='{"a": {"b": null}}')
    assert done.returncode == 0
    assert last_params(tool, "tools.call")["arguments"] == {"a": {"b": None}, "c": 1}


@pytest.mark.parametrize(
    "words",
    [
        ["--json-args", "[1]"], ["--json-args", "{"], ["--arg", "x"], ["--arg", "=x"],
        ["--arg", "a=1", "--arg", "a=2"], ["--json-args", '{"a":1}', "--arg", "a=2"],
        ["--timeout", "soon"], ["--timeout", "-1"], ["--timeout", "0"], ["--timeout", "9999h"],
        ["word"], ["--timeout"], ["--user", "a", "--user", "b"], ["--servise", "x"], ["-x"],
        ["--progress=1"],
    ],
)  # fmt: skip
def test_call_that_cannot_be_meant(tool, words):
    done = tool.run("call", "t", *words)
    assert done.returncode == 2 and done.stderr.startswith("toolbroker: ") and not done.stdout


def test_call_prints_bytes_when_piped_and_nothing_harmful_on_a_terminal(tool):
    text = "one\n\ttwo \x1b[31m red \x07\u202e"
    tool.daemon(tools_call=answer(text))
    assert tool.run("call", "t").stdout == text
    shown, code = tool.on_terminal("call", "t")
    assert code == 0 and shown == "one\n\ttwo ?[31m red ??\n"


def test_call_shows_other_content(tool):
    content = [
        {"type": "text", "text": "a"},
        {"type": "image", "mimeType": "image/png", "data": "A" * 4000},
        {"type": "resource_link", "uri": "file:///x", "name": "x"},
        {"type": "resource", "resource": {"uri": "file:///y", "text": "inside"}},
    ]
    tool.daemon(tools_call=answer(result={"content": content}))
    assert tool.run("call", "t").stdout == (
        "a\n[image image/png, 2.9 KiB: --json shows it]\n[resource_link file:///x]\ninside"
    )


def test_call_shows_structured_content_alone(tool):
    tool.daemon(tools_call=answer(result={"content": [], "structuredContent": {"sum": 3}}))
    assert tool.run("call", "t").stdout == '{"sum":3}\n'


def test_call_says_what_is_not_live(tool):
    tool.daemon(tools_call=answer(source="demo", fallback_from="salesforce", warnings=["a demo"]))
    done = tool.run("call", "t")
    assert done.returncode == 0 and done.stdout == "hello"
    assert done.stderr.splitlines() == [
        "note: this answer is not live, its source is: demo, in place of salesforce",
        "warning: a demo",
    ]


def test_a_tool_that_reports_failure(tool):
    tool.daemon(tools_call=answer("no such file", result={"isError": True}))
    done = tool.run("call", "t")
    assert done.returncode == 1 and done.stdout == "no such file"
    assert "the tool itself reports a failure (request_id 00000000000000aa)" in done.stderr


def test_call_as_json(tool):
    tool.daemon(tools_call=answer())
    assert json.loads(tool.run("call", "t", "--json").stdout) == answer()
    shown, _ = tool.on_terminal("call", "t", "--json")
    assert json.loads(shown) == answer() and "\n  " in shown


def test_progress(tool):
    def long(peer, msgid, params):
        peer.notify("progress", {"msgid": msgid, "progress": 1, "total": 2, "message": "half"})
        peer.notify("log", {"msgid": msgid, "level": "info", "data": {"a": 1}})
        return answer()

    tool.daemon(tools_call=long)
    done = tool.run("call", "t", "--progress")
    assert done.stdout == "hello"
    assert done.stderr == 'progress: 1 of 2 half\nlog: info {"a":1}\n'
    assert tool.run("call", "t").stderr == ""


ERRORS = [
    ("POLICY_DENIED", False, 1),
    ("UNAVAILABLE", True, 4),
    ("TIMEOUT", True, 4),
    ("TIMEOUT", False, 5),
    ("OUTCOME_UNKNOWN", False, 5),
]


@pytest.mark.parametrize("code, retryable, exit_code", ERRORS)
def test_errors(tool, code, retryable, exit_code):
    error = {"code": code, "message": "it failed", "user_message": "Ups", "suggestion": "Do this.",
             "retryable": retryable, "request_id": "00000000000000bb"}  # fmt: skip
    tool.daemon(tools_call=error)
    done = tool.run("call", "t")
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr == (
        f"toolbroker: it failed ({code})\n  user: Ups\n  do: Do this.\n"
        "  request_id: 00000000000000bb\n"
    )
    done = tool.run("call", "t", "--json")
    assert done.returncode == exit_code and json.loads(done.stdout) == {"error": error}


def test_an_error_that_passes_says_when(tool):
    error = {"code": "CIRCUIT_OPEN", "message": "crm is not tried for now", "suggestion": "Wait.",
             "retryable": True, "retry_after_ms": 90000, "request_id": "7"}  # fmt: skip
    tool.daemon(tools_call=error)
    done = tool.run("call", "t")
    assert done.returncode == 4 and "\n  do: Wait.\n  again: in 1 min 30 s\n" in done.stderr


def test_an_interrupt_cancels_the_call(tool):
    def slow(peer, msgid, params):
        peer.requests.append(("waiting", None))
        assert peer.receive() == [2, "cancel", [{"msgid": msgid}]]
        return {"code": "CANCELLED", "message": "cancelled", "retryable": False}

    tool.daemon(tools_call=slow)
    process = subprocess.Popen(
        tool.command("call", "t"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while ("waiting", None) not in tool.peer.requests:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out and "cancelled (CANCELLED)" in err


def test_an_answer_that_is_lost(tool):
    def vanish(peer, msgid, params):
        peer.connection.shutdown(2)
        return {}

    tool.daemon(tools_call=vanish)
    done = tool.run("call", "t")
    assert done.returncode == 5 and "OUTCOME_UNKNOWN" in done.stderr


def test_no_daemon(tool, socket_path):
    for words in (["status"], ["call", "t"], ["daemon", "ping"], ["tools"]):
        done = tool.run(*words)
        assert done.returncode == 3 and not done.stdout
        assert socket_path in done.stderr and "do: Start toolbrokerd" in done.stderr
    error = json.loads(tool.run("status", "--json").stdout)["error"]
    assert error["code"] == "UNAVAILABLE" and error["retryable"] is True


def test_where_the_daemon_is_looked_for(programs, socket_path):
    peer = TablePeer(socket_path, {})
    command = [str(programs / "toolbroker"), "daemon", "ping"]
    try:
        done = subprocess.run(command, env={"TOOLBROKER_SOCKET": socket_path}, timeout=60,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0 and socket_path in done.stdout
    finally:
        peer.stop()
    done = subprocess.run(command, env={"XDG_RUNTIME_DIR": "/nonexistent"}, timeout=60,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert "/toolbroker/toolbroker.sock" in done.stdout + done.stderr


# ---- policy and daemon -----------------------------------------------------------------------

FAULTS = {"ok": False, "faults": [{"file": "/etc/tb/policy.lua", "line": 3, "text": "no `agnt`"}]}


def test_policy_by_the_daemon(tool):
    tool.daemon(
        policy_check=FAULTS, policy_reload={"ok": True, "faults": [], "restart_needed": ["socket"]}
    )
    done = tool.run("policy", "check")
    assert done.returncode == 1
    assert done.stdout == "/etc/tb/policy.lua:3: no `agnt`\nfaulty: it would not be used\n"
    assert json.loads(tool.run("policy", "check", "--json").stdout) == FAULTS
    done = tool.run("policy", "reload")
    assert done.returncode == 0
    assert done.stdout == "checked and in use\nin use only after a restart: socket\n"


@pytest.fixture
def checker(tool, socket_path):
    """A toolbrokerd in PATH that reports faults in a folder of that name, beside no real one."""
    folder = os.path.dirname(socket_path)
    program = os.path.join(folder, "toolbrokerd")
    with open(program, "w") as file:
        file.write(
            '#!/bin/sh\necho "$@" >"$0.words"\ncase "$*" in\n'
            '*good) echo "good: no faults" ;;\n'
            '*) echo "bad/policy.lua:12: no agent" >&2; echo "bad/x: a: b" >&2;'
            ' echo "2 faults" >&2; exit 1 ;;\nesac\n'
        )
    os.chmod(program, 0o755)
    tool_beside_it = os.path.join(folder, "toolbroker")
    with open(tool.command()[0], "rb") as source, open(tool_beside_it, "wb") as copy:
        copy.write(source.read())
    os.chmod(tool_beside_it, 0o755)

    def run(*words):
        done = subprocess.run(
            [tool_beside_it, "--socket", socket_path, *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        with open(program + ".words") as said:
            return done, said.read().split()

    return run


def test_policy_of_a_folder_needs_no_daemon(checker):
    done, words = checker("policy", "check", "some/good")
    assert (done.returncode, done.stdout) == (0, "good: no faults\n")
    assert words == ["--check", "--config", "some/good"]
    done, _ = checker("policy", "check", "some/bad")
    assert done.returncode == 1
    assert done.stdout == "bad/policy.lua:12: no agent\nbad/x: a: b\n2 faults\n"
    done, _ = checker("policy", "check", "some/bad", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "ok": False,
        "faults": [{"file": "bad/policy.lua", "line": 12, "text": "no agent"},
                   {"file": "bad/x", "line": 0, "text": "a: b"}],
    }  # fmt: skip


def test_policy_check_without_a_daemon_checks_the_default_folder(checker):
    done, words = checker("policy", "check")
    assert done.returncode == 1 and words == ["--check"] and "no daemon answers" in done.stderr


def test_daemon(tool):
    tool.daemon(daemon_info=INFO, daemon_shutdown={"ok": True},
                describe={"methods": [{"name": "ping", "role": "client", "summary": "Echo."}],
                          "errors": [{"code": "TIMEOUT", "retryable": True, "when": "late"}]})  # fmt: skip
    info = tool.run("daemon", "info").stdout
    assert "pid: 4711\n" in info and "memory:\n  resident_bytes: 12582912\n" in info
    assert json.loads(tool.run("daemon", "info", "--json").stdout) == INFO
    assert re.search(r"answered in \d+\.\d+ ms", tool.run("daemon", "ping").stdout)
    assert json.loads(tool.run("daemon", "ping", "--json").stdout)["ok"] is True
    assert tool.run("daemon", "shutdown").returncode == 0
    described = tool.run("describe").stdout
    assert re.search(r"^ping +client +Echo\.$", described, re.M)
    assert re.search(r"^TIMEOUT +yes +late$", described, re.M)
    assert "summary: Echo." in tool.run("describe", "ping").stdout
    assert tool.run("describe", "nothing").returncode == 1


# ---- help ------------------------------------------------------------------------------------

COMMANDS = ["status", "test", "health", "breaker", "quarantine", "release", "history", "activity", "list", "tools", "call", "resources", "read", "prompts", "approve", "events", "agents", "calls", "policy check", "policy reload",
            "daemon info", "daemon ping", "daemon shutdown", "describe", "completion", "help"]  # fmt: skip


def test_help(tool):
    text = tool.run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", text, re.M)
        one = tool.run(*command.split(), "--help")
        assert one.returncode == 0 and "Examples:\n  " in one.stdout and "Exit codes:" in one.stdout
        assert one.stdout == tool.run("help", *command.split()).stdout
    assert "policy reload" in tool.run("policy", "--help").stdout
    assert tool.run("--version").stdout.startswith("toolbroker ")


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "which command?"),
        (["frobnicate"], "there is no command frobnicate"),
        (["stauts"], "did you mean status?"),
        (["polcy", "check"], "did you mean policy?"),
        (["policy"], "policy needs a second word: policy check, policy reload"),
        (["policy", "chek"], "policy needs a second word"),
        (["list", "--agent", "x"], "list takes no --agent"),
        (["call"], "call needs SERVICE/TOOL|OPERATION"),
        (["list", "x"], "one word too many: x"),
        (["status", "--jsn"], "did you mean --json?"),
        (["completion", "tcsh"], "no completion for tcsh"),
        (["help", "x"], "there is no command x"),
        (["a"] * 20, "too many words"),
    ],
)  # fmt: skip
def test_usage_errors(tool, words, said):
    done = tool.run(*words)
    assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_a_full_disk_is_no_success(tool):
    with open("/dev/full", "w") as full:
        done = subprocess.run(tool.command("--help"), stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)  # fmt: skip
    assert done.returncode == 1 and "cannot write" in done.stderr


def complete(tool, line, folder):
    """What bash offers for the words of `line`."""
    script = (
        'eval "$(toolbroker completion bash)"\n'
        f"COMP_WORDS=({line})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        '_toolbroker\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "TOOLBROKER_SOCKET": tool.command()[2]},
    )  # fmt: skip
    assert not done.stderr
    return done.stdout.split()


def test_bash_completion(tool, programs):
    tool.daemon(
        agents_list={"agents": [{"name": "coordinator"}, {"name": "lead"}]},
        services_list={"services": [{"name": "fs"}]}, tools_list=TOOLS,
        tools_approvals={"tools": [{"service": "fs", "tool": "add", "state": "new"}]},
    )  # fmt: skip
    assert complete(tool, "toolbroker st", programs) == ["status"]
    assert complete(tool, "toolbroker quarantine ''", programs) == ["fs"]
    assert complete(tool, "toolbroker breaker fs ''", programs) == ["open", "close", "reset", "auto"]
    assert complete(tool, "toolbroker activity --outcome f", programs) == ["fallback", "failed"]
    assert complete(tool, "toolbroker policy ''", programs) == ["check", "reload"]
    assert complete(tool, "toolbroker call t --ti", programs) == ["--timeout"]
    assert complete(tool, "toolbroker list --ti", programs) == []
    assert complete(tool, "toolbroker call t --demo ''", programs) == ["policy", "never", "only"]
    assert complete(tool, "toolbroker tools --agent c", programs) == ["coordinator"]
    assert complete(tool, "toolbroker call every", programs) == ["everything/echo"]
    assert complete(tool, "toolbroker status ''", programs) == ["fs"]
    assert complete(tool, "toolbroker read ''", programs) == ["fs"]
    assert complete(tool, "toolbroker approve fs/", programs) == ["fs/add"]
    assert complete(tool, "toolbroker approve fs --y", programs) == ["--yes"]
    assert "tool.changed" in complete(tool, "toolbroker events ''", programs)


def test_other_completions(tool):
    assert "compdef toolbroker" in tool.run("completion", "zsh").stdout
    assert "complete -c toolbroker" in tool.run("completion", "fish").stdout


# ---- the C client's header -------------------------------------------------------------------


@pytest.mark.parametrize(
    "compiler", [["cc", "-std=c11", "-x", "c"], ["c++", "-std=c++11", "-x", "c++"]]
)
def test_the_header_is_clean(compiler):
    program = '#include "toolbroker/client.h"\nint main(void) { tb_client_free(tb_client_new(0)); return 0; }\n'
    subprocess.run(
        [*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
         f"-I{ROOT / 'include'}", "-"],
        input=program, text=True, timeout=60, check=True,
    )  # fmt: skip
