# SPDX-License-Identifier: MIT
"""A database that cannot be used while the daemon runs: what needs no database goes on, what does is
refused before anything is done, nothing that was acknowledged is gone, and it heals by itself."""

import pathlib
import resource
import shutil
import sqlite3
import time

import pytest

from daemon import PATIENCE, SERVERS, Daemon, eventually

AT_ONCE_S = 4 * PATIENCE  # SQLite waits two seconds for a lock, once


class House:
    """A daemon with one service whose tool writes into a ledger."""

    def __init__(self, daemon, ledger):
        self.daemon, self.ledger = daemon, pathlib.Path(ledger)
        daemon.services({
            "local": {
                "command": "/usr/bin/python3", "era": "legacy",
                "args": [str(SERVERS / "ledger_server.py"), str(ledger)],
            }
        })  # fmt: skip
        daemon.start()
        self.client = daemon.client()

    @property
    def path(self):
        return self.daemon.state / "toolbroker.db"

    def book(self, name, key=None):
        more = {"idempotency_key": key} if key else {}
        return self.client.text("local/book", {"id": name}, **more)

    def refuses(self, name, key):
        error = self.client.tool_fails("local/book", {"id": name}, idempotency_key=key)
        assert error.code == "UNAVAILABLE", error.error
        assert name not in self.booked()
        return error

    def booked(self):
        return self.ledger.read_text(encoding="utf-8").split()

    def store(self):
        return self.client.call("daemon.info")["store"]

    def heals(self, seconds=40):
        """What is queued is written, after half a minute at the latest."""
        whole = lambda: self.store()["state"] == "open" and self.store()["queued"] == 0  # noqa: E731
        eventually(whole, seconds, "a store that is whole")

    def activity(self):
        return self.client.call("activity.query", limit=1000)["calls"]

    def restart(self):
        self.client.close()
        self.daemon.kill()
        self.daemon.start()
        self.client = self.daemon.client()


@pytest.fixture
def house(daemon, tmp_path):
    it = House(daemon, tmp_path / "ledger")
    assert it.book("first", "key-1") == "booked first"
    yield it
    it.client.close()


def is_refused_and_heals(house, words, heal):
    """From here on nothing can be written; what nobody needs the database for goes on."""
    error = house.refuses("refused", "key-2")
    assert words in error.message, error.error
    began = time.monotonic()
    house.refuses("refused", "key-2")
    assert time.monotonic() - began < AT_ONCE_S
    assert house.book("without") == "booked without"
    store = house.store()
    assert store["state"] == "failed" and words in store["reason"], store
    heal()
    # One is let through to see, a second after the last.
    eventually(lambda: succeeds(house, "later", "key-3"), 10, "a call with a key")
    assert house.book("refused", "key-2") == "booked refused"
    house.heals()
    assert house.booked().count("refused") == house.booked().count("later") == 1


def succeeds(house, name, key):
    _, _, error, _ = answer(house.client, name, key)
    assert error is None or error["code"] == "UNAVAILABLE", error
    return error is None


def answer(client, name, key):
    msgid = client.start(
        "tools.call", {"tool": "local/book", "arguments": {"id": name}, "idempotency_key": key}
    )
    while True:
        message = client.receive()
        if message[0] == 1 and message[1] == msgid:
            return message


def test_another_process_holds_it(house):
    lock = sqlite3.connect(house.path)
    lock.execute("BEGIN IMMEDIATE")
    is_refused_and_heals(house, "another process holds it", lock.rollback)
    lock.close()
    assert house.book("first", "key-1") == "booked first"
    assert house.booked().count("first") == 1
    tools = [call["outcome"] for call in house.activity()]
    assert tools.count("live") >= 4 and "UNAVAILABLE" in tools  # nothing is missing in between


def long_name(number):
    return f"fills-{number}-" + "x" * 2000


def test_the_disk_is_full(house):
    """As far as the daemon is concerned: none of its files may grow beyond what the log of writes has."""
    for number in range(60):
        assert succeeds(house, long_name(number), f"fills-{number}")
    house.restart()
    pid = house.daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (65536, before[1]))
    number = 60
    while succeeds(house, long_name(number), f"fills-{number}"):
        number += 1
        assert number < 100
    most = house.daemon.log_path.stat().st_size + 8192  # the daemon's own lines have room
    assert most < 45000, "not even the next page has room"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, before[1]))
    is_refused_and_heals(
        house, "the disk fails, or is full",
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, before),
    )  # fmt: skip
    house.restart()
    for done in range(number):  # what was acknowledged is known
        assert succeeds(house, long_name(done), f"fills-{done}")
    names = house.booked()
    assert len(set(names)) == len(names), "something was carried out twice"


def test_it_is_moved_away_in_use(house, tmp_path):
    shutil.move(house.path, tmp_path / "moved")
    assert house.book("second", "key-2") == "booked second"
    assert house.path.exists()
    assert "was moved away while it was in use" in house.daemon.log()
    house.restart()
    assert house.book("second", "key-2") == "booked second"
    assert house.booked().count("second") == 1


def test_it_is_damaged(house):
    house.client.close()
    house.daemon.stop()
    house.path.write_bytes(b"no database " * 4096)
    house.daemon.start()
    house.client = house.daemon.client()

    def mend():
        # The database last: when it is gone a new one is begun, and what is beside it is the new one's.
        for file in sorted(house.daemon.state.glob("toolbroker.db*"), reverse=True):
            file.unlink()

    is_refused_and_heals(house, "it is damaged; move it away, and a new one is begun", mend)


def test_it_is_of_a_newer_version(house):
    house.client.close()
    house.daemon.stop()
    with sqlite3.connect(house.path) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute("PRAGMA user_version = 1000")
    database.close()
    house.daemon.start()
    house.client = house.daemon.client()

    def mend():
        with sqlite3.connect(house.path) as database:
            database.execute(f"PRAGMA user_version = {version}")
        database.close()

    is_refused_and_heals(house, "was written by a newer toolbroker", mend)
    assert house.book("first", "key-1") == "booked first"
    assert house.booked().count("first") == 1


def test_a_second_daemon(house, tmp_path):
    folder = tmp_path / "second"
    folder.mkdir()
    other = Daemon(folder)
    other.state = house.daemon.state
    second = House(other, tmp_path / "other-ledger")
    try:
        words = f"another daemon (process {house.daemon.process.pid}) keeps its state in"
        error = second.refuses("refused", "key-2") if second.book("begins") else None
        assert words in error.message and "--state" in error.message
        assert second.store()["state"] == "failed"
        assert house.book("mine", "key-9") == "booked mine"  # the first is not disturbed
        assert house.store()["state"] == "open"
        house.client.close()
        house.daemon.kill()  # however it ends
        eventually(lambda: succeeds(second, "mine", "key-9"), 10, "the second daemon")
        assert "mine" not in second.booked()  # it was carried out by the first
        second.heals()
    finally:
        second.client.close()
        other.stop()
    house.daemon.start()
    house.client = house.daemon.client()
