# SPDX-License-Identifier: MIT
"""Rows of the benchmark about what keeps a failing service from doing harm: what it costs a call, and
whether one service that hangs is felt by the callers of another."""
import contextlib
import socket
import sqlite3
import statistics
import subprocess
import time

from measure import (POLICY, SERVICE, ask, echo_http, headline, median, row, rpc, tool_call)

OFF = "retry = false, breaker = false, quarantine = false, health = false, limits = { concurrency = 2048 }"
ON = 'limits = { concurrency = 2048, rate = "1000000/s", queue = 2048 }'  # defaults, and what is never reached
SHARES = 'agent_calls = 100000, peer_calls = 100000, agent_rate = "1000000/s", peer_rate = "1000000/s"'
LITTLE_ACTIVITY = "store = { activity_rows = 200000 }"
NO_ACTIVITY = "store = { activity_days = 0 }"
DEMO = rpc("tools.call", {
    "tool": "sendgrid/sendgrid-send-email-single-recipient", "agent": "coordinator", "user": "u1",
    "arguments": {"toEmail": "ana@example.com", "fromEmail": "us@example.com", "subject": "Hello",
                  "content": "text"}})


def services(bench, port, parts):
    """An echo over stdio and over HTTP, and a service for which nobody has linked an account."""
    return (f'  echo_stdio = {{ command = "{bench.bin / "echo_stdio"}", {parts} }},\n'
            f'  echo_http = {{ url = "http://127.0.0.1:{port}/mcp", {parts} }},\n'
            f'  sendgrid = {{ url = "https://localhost/mcp", {parts},\n'
            '    auth = { type = "bearer", token = "${env:TOOLBROKER_BENCH_NOT_SET}" } },\n')


def row_of_difference(name, more, less, difference, unit, goal):
    print(f"  {name:<46} {more:>12,.2f} {less:>12,.2f} {unit:<12} more  {difference:5.2f}   goal {goal}",
          flush=True)


KINDS = {"stdio": (tool_call("echo_stdio"), "quick brown"),
         "HTTP": (tool_call("echo_http"), "quick brown"),
         "answered by policy": (DEMO, "toolbroker/demo")}


def compare(bench, start, kinds):
    """Alternates loads between two daemons, (start[0])() and (start[1])(), each begun anew every round, as
    two runs of one program differ by more than what is looked for here. Gives by kind the medians of each,
    and of the differences of neighbours."""
    pairs = {kind: [] for kind in kinds}
    for number in range(bench.rounds):
        order = (0, 1) if number % 2 else (1, 0)
        daemons = {i: start[i]() for i in order}
        for kind in kinds:
            request, must = KINDS[kind]
            file = bench.file(request)
            for i in order:
                ask(daemons[i][1], request)
            for _ in range(4):
                order = order[::-1]
                done = {i: bench.load(daemons[i][1], "rpc", file, 16, 1, [daemons[i][0].pid], must,
                                      seconds=bench.seconds / 4) for i in order}
                pairs[kind].append((done[0], done[1]))
        for child, _ in daemons.values():
            bench.stop(child)
    return {kind: (median([a for a, _ in all_]), median([b for _, b in all_]),
                   median([{key: a[key] - b[key] for key in a} for a, b in all_]))
            for kind, all_ in pairs.items()}


def row_stack(bench):
    headline("stack  retries, breaker, quarantine, limits, health and activity (CPU a call; with, without)")
    echo, port = echo_http(bench, bench.client_cpu)
    start = (lambda: bench.daemon("with", services(bench, port, ON), POLICY, limits=SHARES),
             lambda: bench.daemon("without", services(bench, port, OFF), POLICY, store=NO_ACTIVITY))
    for kind, (a, b, more) in compare(bench, start, KINDS).items():
        row_of_difference(f"{kind}, 16 connections", a["cpu_us"], b["cpu_us"], more["cpu_us"], "us", "< 2 us")
        row_of_difference("    of it the loop", a["loop_us"], b["loop_us"], more["loop_us"], "us", "")
        row("    p99", a["p99_us"], b["p99_us"], "us", "")
    bench.stop(echo)


# ---- activity ----------------------------------------------------------------------------------


def database(path):
    """Records in the database of the daemon at this socket: (how many there are, how many there were)."""
    with sqlite3.connect(f"file:{path.parent}/state/toolbroker.db?mode=ro", uri=True) as db:
        count, last = db.execute("SELECT total(count), max(id) FROM activity").fetchone()
        tail = db.execute("SELECT count FROM activity WHERE id = ?", (last,)).fetchone()
    return int(count), (last or 0) + (tail[0] - 1 if tail else 0)


def beside(bench, path, seconds):
    """Pings a daemon that somebody else loads with calls; gives the pings' figures."""
    argv = ["taskset", "-c", bench.client_cpu, bench.bin / "load", "-u", path, "-p", "rpc", "-r",
            bench.file(DEMO), "-c", 16, "-d", 1, "-s", seconds * 1.2 + 0.3]
    other = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL)
    ping = bench.load(path, "rpc", bench.file(rpc("ping")), 1, 1, seconds=seconds)
    other.wait()
    return ping


def longest_turn(bench, path, seconds=2):
    """Of the loop, while it is called as fast as it answers, in ms."""
    argv = ["taskset", "-c", bench.client_cpu, bench.bin / "load", "-u", path, "-p", "rpc", "-r",
            bench.file(DEMO), "-c", 16, "-d", 16, "-s", seconds]
    ask(path, rpc("daemon.info"))  # the longest since it was last asked
    if subprocess.run([str(word) for word in argv], stdout=subprocess.DEVNULL).returncode != 0:
        raise SystemExit("bench: wrong answers")
    return ask(path, rpc("daemon.info"))["loop_lag_us"] / 1000


def row_11_activity(bench):
    headline("11  activity: a record of every call (kept, not kept)")
    start = (lambda: bench.daemon("kept", services(bench, 9, OFF), POLICY, store=LITTLE_ACTIVITY),
             lambda: bench.daemon("not_kept", services(bench, 9, OFF), POLICY, store=NO_ACTIVITY))
    for kind, (a, b, more) in compare(bench, start, ("stdio", "answered by policy")).items():
        row_of_difference(f"{kind}: CPU a call", a["cpu_us"], b["cpu_us"], more["cpu_us"], "us", "<= 2 us")
        row_of_difference("    of it the loop", a["loop_us"], b["loop_us"], more["loop_us"], "us", "")
        writer = [x["cpu_us"] - x["loop_us"] for x in (a, b, more)]
        row_of_difference("    of it the writer", *writer, "us", "")
    (kept, path), (not_kept, other) = start[0](), start[1]()
    a, b = bench.versus(lambda: beside(bench, path, bench.seconds), lambda: beside(bench, other, bench.seconds))
    row("p99 of others' pings beside such calls", a["p99_us"] / 1000, b["p99_us"] / 1000, "ms", "")
    before, turns, took = database(path)[1], ([], []), 0
    while database(path)[1] - before < 1_000_000 and took < 120:
        began = time.monotonic()
        turns[0].append(longest_turn(bench, path))
        took += time.monotonic() - began
        turns[1].append(longest_turn(bench, other))
    written = database(path)[1] - before
    row("longest turn of the loop in 2 s of them", *map(statistics.median, turns), "ms", "")
    store = ask(path, rpc("daemon.info"))["store"]
    print(f"  {written:,} records written at {written / took:,.0f} /s and pruned to {database(path)[0]:,} "
          f"of 200,000, {store.get('activity_dropped', 0):,} dropped", flush=True)
    bench.stop(kept)
    bench.stop(not_kept)


# ---- bulkheads ---------------------------------------------------------------------------------


class Hanging:
    """Calls that wait for a service that never answers, as long as this is open."""

    def __init__(self, path, service, count):
        self.path, self.peer = path, socket.socket(socket.AF_UNIX)
        self.peer.connect(str(path))
        params = {"tool": f"{service}/hang", "agent": "bench", "user": "u2", "arguments": {},
                  "timeout_ms": 600_000}
        before = self.calls()
        self.peer.sendall(rpc("tools.call", params) * count)
        self.wait(lambda: self.calls() >= before + count)

    def calls(self):
        return ask(self.path, rpc("daemon.info"))["calls"]

    @staticmethod
    def wait(is_so):
        limit = time.monotonic() + 30
        while not is_so():
            if time.monotonic() > limit:
                raise SystemExit("bench: the calls that hang did not come, or did not go")
            time.sleep(0.02)
        time.sleep(0.2)  # what came of it settles

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()
        self.wait(lambda: self.calls() == 0)


def best_tenth(windows):
    """What a tenth of many short windows was not worse than: the others were disturbed by what else runs
    on the machine, which only ever adds to a latency."""
    return {key: sorted(one[key] for one in windows)[len(windows) // 10] for key in windows[0]}


def row_bulkhead(bench):
    headline("bulkhead  another service while 1 000 calls wait for one that hangs (with, without)")
    echo, port = echo_http(bench, bench.client_cpu)
    text = SERVICE % ("echo", bench.bin / "echo_stdio")
    for kind, where in (("stdio", f'command = "{bench.bin / "echo_stdio"}"'),
                        ("http", f'url = "http://127.0.0.1:{port}/mcp"')):
        for places in (64, 1024):
            text += (f"  echo_{kind}_{places} = {{ {where}, limits = {{ concurrency = {places}, "
                     "queue = 1024 } },\n")
    daemon, path = bench.daemon("bulkhead", text, POLICY)
    file = bench.file(tool_call("echo"))
    ask(path, tool_call("echo"))
    for kind, places in (("stdio", 64), ("stdio", 1024), ("http", 64), ("http", 1024)):
        for connections in (16, 32):
            windows = ([], [])
            for _ in range(bench.rounds):
                for beside in (True, False):
                    with Hanging(path, f"echo_{kind}_{places}", 1000) if beside else contextlib.nullcontext():
                        windows[not beside].extend(
                            bench.load(path, "rpc", file, connections, 1, [daemon.pid], "quick brown",
                                       seconds=bench.seconds / 20) for _ in range(10))
            a, b = map(best_tenth, windows)
            name = f"{kind}, {places} places, {connections} connections"
            row(f"{name}: p99", a["p99_us"], b["p99_us"], "us", "< 1.2")
            row("    p50", a["p50_us"], b["p50_us"], "us", "")
            row("    CPU a call", a["cpu_us"], b["cpu_us"], "us", "")
    bench.stop(daemon)
    bench.stop(echo)
