# SPDX-License-Identifier: MIT
"""kill -9 of the daemon at random moments, under load with idempotency keys: nothing happens twice,
and nothing that was acknowledged is gone (design sections 3.3 and 9)."""

import collections
import os
import random
import shutil
import sqlite3
import time

import pytest

from daemon import SERVERS, Process, http
from rpc import Client, Closed, RpcError

ROUNDS = int(os.environ.get("TOOLBROKER_KILLS", "200"))
AT_ONCE = 24

# What may be said of a call that a repeat does not carry out.
HONEST = "OUTCOME_UNKNOWN"


@pytest.fixture
def ledger(tmp_path):
    """The file that the servers write, and the one that outlives the daemon."""
    path = tmp_path / "ledger"
    server = Process("/usr/bin/python3", SERVERS / "ledger_server.py", path, "--http")
    yield path, server.port
    server.stop()


class Load:
    """Calls with keys, so many at once, until the daemon is gone."""

    def __init__(self, random_numbers, turn):
        self.random, self.turn = random_numbers, turn
        self.asked, self.answered = {}, {}

    def ask(self, client):
        name = f"{self.turn}-{len(self.asked)}"
        service = self.random.choice(["remote", "local"])
        arguments = {
            "id": name,
            "before_ms": self.random.choice([0, 0, 1, 5]),
            "after_ms": self.random.choice([0, 0, 1, 5, 20]),
        }
        call = {"tool": f"{service}/book", "arguments": arguments, "idempotency_key": name}
        self.asked[name] = call
        return client.start("tools.call", {**call, "agent": "tester", "user": "u"}), name

    def run(self, daemon, seconds):
        """Kills the daemon after so long, and keeps what was answered before."""
        waiting = {}
        deadline = time.monotonic() + seconds
        client = Client(daemon.socket, timeout=30)
        try:
            while True:
                while len(waiting) < AT_ONCE:
                    msgid, name = self.ask(client)
                    waiting[msgid] = name
                if deadline and time.monotonic() >= deadline:
                    daemon.process.kill()
                    deadline = None  # and what it had written already is read
                message = client.receive()
                assert message[0] == 1, message
                self.answered[waiting.pop(message[1])] = (message[2], message[3])
        except (Closed, ConnectionError):
            pass
        finally:
            client.close()
        daemon.process.wait(30)


def outcome(error, answer):
    """What must be the same in every repeat."""
    return ("error", error["code"]) if error else ("ok", answer["result"]["content"][0]["text"])


def repeat(client, load, counts):
    """Every call of the round once more; gives the names that are done for sure."""
    done = set()
    names = list(load.asked)
    for first in range(0, len(names), 200):
        part = names[first : first + 200]
        started = [
            (client.start("tools.call", {**load.asked[n], "agent": "tester", "user": "u"}), n)
            for n in part
        ]
        for msgid, name in started:
            try:
                again = (None, client.wait(msgid))
            except RpcError as error:
                again = (error.error, None)
            kind = check(name, load.answered.get(name), again)
            counts[kind] += 1
            if again[0] is None:
                done.add(name)
    return done


def check(name, before, again):
    got = outcome(*again)
    if before is not None:
        assert got == outcome(*before), f"{name}: acknowledged {before}, then {again}"
        return "acknowledged"
    if got[0] == "ok":
        assert got[1] == f"booked {name}"
        is_old = any("idempotency_key" in text for text in again[1].get("warnings", []))
        return "recorded" if is_old else "done now"
    assert got[1] == HONEST, f"{name}: {again}"
    assert again[0]["retryable"] is False
    return "unknown"


def opens_clean(daemon, scratch):
    """The database as the kill left it, in a copy: the daemon does its own recovery."""
    scratch.mkdir(exist_ok=True)
    for name in ("toolbroker.db", "toolbroker.db-wal", "toolbroker.db-shm"):
        if (daemon.state / name).exists():
            shutil.copy(daemon.state / name, scratch / name)
    with sqlite3.connect(scratch / "toolbroker.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    shutil.rmtree(scratch)


def test_nothing_happens_twice(daemon, ledger, tmp_path, capsys):
    path, port = ledger
    seed = int(os.environ.get("TOOLBROKER_SEED", time.time_ns() % 1_000_000))
    numbers = random.Random(seed)
    daemon.services({
        "remote": http(port, era="legacy"),
        "local": {
            "command": "/usr/bin/python3", "era": "legacy",
            "args": [str(SERVERS / "ledger_server.py"), str(path)],
        },
    })  # fmt: skip
    counts = collections.Counter()
    done = set()
    daemon.start()
    for turn in range(ROUNDS):
        load = Load(numbers, f"{seed}-{turn}")
        load.run(daemon, numbers.uniform(0.0, 0.25))
        opens_clean(daemon, tmp_path / "copy")
        daemon.start()
        with Client(daemon.socket, timeout=60) as client:
            done |= repeat(client, load, counts)
    booked = collections.Counter(path.read_text(encoding="utf-8").split())
    twice = [name for name, count in booked.items() if count > 1]
    assert not twice, f"seed {seed}: booked twice: {twice[:10]}"
    assert not done - set(booked), f"seed {seed}: said to be booked, and was not"
    assert "nothing is kept" not in daemon.log()
    with capsys.disabled():
        print(f"\n{ROUNDS} kills, seed {seed}, {sum(counts.values())} calls: {dict(counts)}")
    # The test has looked at every kind of moment.
    assert counts["acknowledged"] and counts["unknown"] and counts["done now"]
