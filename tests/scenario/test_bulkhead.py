# SPDX-License-Identifier: MIT
"""A thousand calls that wait for a service that hangs, and the callers of another one."""

import contextlib
import json
import os
import subprocess
import time

import pytest

from daemon import ECHO, IS_SANITIZED, PATIENCE, echo_stdio, eventually, http
from rpc import pack

WAITING, CLIENTS = 1000, 5
SECONDS, WINDOWS = 0.06, 6  # many short windows: some of them are not disturbed
SETTLE = 0.2
ROUNDS = (4, 16)  # at least, at most
# How much the latency of others may rise. With sanitizers, and other tests beside, it is only a sign.
RISE = 3 if IS_SANITIZED else 1.2
SERVER_CPU, CLIENT_CPU = max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0))


@contextlib.contextmanager
def only_on(cpu):
    """What is started meanwhile runs on one processor, and before all else where we may say so: hops and
    what the machine does besides are what p99 would show."""
    before = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, {cpu})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before[1:])
        os.sched_setaffinity(0, before[0])


def latency(daemon, request):
    """Of sixteen clients that call another service as fast as they are answered: (p50, p99) in us."""
    words = [ECHO / "load", "-u", daemon.socket, "-p", "rpc", "-r", request, "-c", 16, "-d", 1, "-s",
             SECONDS, "-m", "quick brown"]  # fmt: skip
    with only_on(CLIENT_CPU):
        done = subprocess.run(
            list(map(str, words)), capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, f"wrong answers: {done.stdout}{done.stderr}"
    figures = json.loads(done.stdout)
    return figures["p50_us"], figures["p99_us"]


def rises(alone, beside):
    """The best tenth compared: what else runs on the machine makes windows slow, and none fast."""
    best = [
        [sorted(figure)[len(figure) // 10] for figure in zip(*windows)] for windows in (alone, beside)
    ]
    return [b / a for a, b in zip(*best)]


def state(client, service):
    """How many calls of a service are (under way, waiting for a place)."""
    (status,) = [one for one in client.call("services.status")["services"] if one["name"] == service]
    return status["inflight"], status["waiting"]


@contextlib.contextmanager
def hanging(daemon, service, places):
    clients = [daemon.client() for _ in range(CLIENTS)]
    params = {"tool": f"{service}/hang", "arguments": {}, "timeout_ms": 600_000}
    for client in clients:
        for _ in range(WAITING // CLIENTS):
            client.start("tools.call", params)
    with daemon.client() as other:
        inside = min(places, WAITING)
        expected = (inside, WAITING - inside)
        eventually(lambda: state(other, service) == expected, 20, "all of them wait")
        time.sleep(SETTLE)
        yield
        assert state(other, service) == expected, "some do not wait any more"
        for client in clients:
            client.close()
        eventually(lambda: state(other, service) == (0, 0), 20, "none of them waits")
        time.sleep(SETTLE)


@pytest.mark.parametrize("places", [64, 1024])
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_others_do_not_feel_it(daemon, echo, tmp_path, transport, places):
    limits = {"concurrency": places, "queue": 1024}
    hung = http(echo.port, limits=limits) if transport == "http" else echo_stdio(limits=limits)
    daemon.services({"hung": hung, "echo": echo_stdio()})
    with only_on(SERVER_CPU):
        daemon.start()
    text = "The quick brown fox jumps over the lazy dog. " * 4
    params = {"tool": "echo/echo", "agent": "tester", "user": "u1", "arguments": {"message": text}}
    body = pack([0, 0, "tools.call", [params]])
    request = tmp_path / "request"  # the load program fills in a msgid of four bytes
    request.write_bytes(body[:2] + b"\xce\0\0\0\0" + body[3:])
    with daemon.client() as client:
        client.tool("echo/echo", {"message": text})
    alone, beside = [], []
    for number in range(ROUNDS[1]):
        alone += [latency(daemon, request) for _ in range(WINDOWS)]
        with hanging(daemon, "hung", places):
            beside += [latency(daemon, request) for _ in range(WINDOWS)]
        p50, p99 = rises(alone, beside)
        if number + 1 >= ROUNDS[0] and max(p50, p99) < RISE:
            break
    print(f"p50 rises by {p50 - 1:.0%}, p99 by {p99 - 1:.0%}, in {number + 1} rounds")
    assert max(p50, p99) < RISE, (sorted(alone), sorted(beside))


def test_one_more_than_the_queue_holds_is_told_at_once(daemon):
    daemon.services({"hung": echo_stdio(limits={"concurrency": 8, "queue": 16}), "echo": echo_stdio()})
    daemon.start()
    with daemon.client() as client:
        for _ in range(24):
            client.start("tools.call", {"tool": "hung/hang", "arguments": {}})
        eventually(lambda: state(client, "hung") == (8, 16), 10, "a full queue")
        error = client.tool_fails("hung/hang")
        assert error.code == "OVERLOADED" and error.retryable and error.seconds < 1 * PATIENCE, error.error
        assert client.text("echo/echo", {"message": "x"}) == "x"
