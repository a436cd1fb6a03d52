# SPDX-License-Identifier: MIT
"""The command-line tool against a running daemon: what a person and a script see."""

import json
import subprocess

import pytest

from daemon import BIN, echo_stdio, http


@pytest.fixture
def run(daemon):
    daemon.services({"echo": echo_stdio(), "down": http(1)})
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
