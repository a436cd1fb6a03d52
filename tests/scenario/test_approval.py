# SPDX-License-Identifier: MIT
"""Tools as they were approved: what is new waits, approvals outlive SIGKILL, and a store that cannot
be used never takes serving down."""

import sqlite3

import pytest

from any_mcp import MODERN, any_stdio
from daemon import eventually, read_journal
from rpc import RpcError


def service(journal, pin, *extra):
    return {"any": any_stdio(journal, MODERN, {"pin": pin}, extra_tools=list(extra))}


def names(client):
    listed = client.call("tools.list", service="any")
    assert not listed["unavailable"], listed
    return {tool["name"] for tool in listed["tools"]}


def all_is_written(client):
    store = client.call("daemon.info")["store"]
    return store["state"] == "open" and store["queued"] == 0


def restart(daemon, services):
    """Killed, not ended: nothing is written on the way out."""
    daemon.kill()
    daemon.services(services)
    daemon.start()


def test_a_new_tool_waits_for_approval_which_outlives_a_kill(daemon, journal):
    daemon.services(service(journal, "strict"))
    daemon.start()
    with daemon.client() as client:
        assert "any/echo" in names(client)
        assert client.call("tools.approvals")["tools"] == []
        eventually(lambda: all_is_written(client), what="the store")
    restart(daemon, service(journal, "strict", "fresh"))
    with daemon.client() as client:
        client.call("events.subscribe", kinds=["tool.changed"])
        found = names(client)
        assert "any/echo" in found and "any/fresh" not in found
        (waits,) = client.call("tools.approvals")["tools"]
        assert (waits["tool"], waits["state"], waits["withheld"]) == ("fresh", "new", True)
        with pytest.raises(RpcError) as denied:
            client.tool("any/fresh")
        assert denied.value.code == "POLICY_DENIED" and denied.value.details["rule"] == "pin"
        assert "toolbroker approve any/fresh" in denied.value.suggestion
        assert "tool.changed" in repr(client.notes)
        done = client.call("tools.approve", service="any", tool="fresh")
        assert done == {"approved": 1, "kept": True}
    restart(daemon, service(journal, "strict", "fresh"))
    with daemon.client() as client:
        assert "any/fresh" in names(client)
        assert client.call("tools.approvals")["tools"] == []
        client.tool("any/fresh")


def test_a_warning_withholds_nothing(daemon, journal):
    daemon.services(service(journal, "warn"))
    daemon.start()
    with daemon.client() as client:
        names(client)
        eventually(lambda: all_is_written(client), what="the store")
    restart(daemon, service(journal, "warn", "fresh"))
    with daemon.client() as client:
        assert "any/fresh" in names(client)
        (waits,) = client.call("tools.approvals")["tools"]
        assert (waits["state"], waits["withheld"]) == ("new", False)
    eventually(lambda: "tool changed" in daemon.log(), what="a line in the log")


def test_the_era_of_a_server_is_asked_for_once(daemon, journal):
    daemon.services({"any": any_stdio(journal, "2025-06-18")})
    for _ in range(2):
        daemon.start()
        with daemon.client() as client:
            names(client)
            eventually(lambda: all_is_written(client), what="the store")
        daemon.kill()
    begun = {method: len(read_journal(journal, method=method))
             for method in ("server/discover", "initialize")}  # fmt: skip
    assert begun == {"server/discover": 1, "initialize": 2}


@pytest.mark.parametrize("spoil", ["garbage", "locked", "modes"])
def test_serving_goes_on_without_a_store(daemon, journal, spoil):
    path = daemon.state / "toolbroker.db"
    lock = None
    if spoil == "garbage":
        path.write_bytes(b"no database" * 1000)
        path.chmod(0o600)
    elif spoil == "modes":
        path.touch(0o644)
    else:
        path.touch(0o600)
        lock = sqlite3.connect(path)
        lock.execute("BEGIN EXCLUSIVE")
    daemon.services(service(journal, "warn"))
    daemon.start()
    with daemon.client() as client:
        assert "any/echo" in names(client)
        assert client.text("any/echo", {"message": "hello"}) == "hello"
        store = client.call("daemon.info")["store"]
        assert store["state"] == "failed"
        wanted = {"garbage": "damaged", "locked": "another process", "modes": "chmod 600"}[spoil]
        assert wanted in store["reason"]
        client.call("ping")
    if lock:
        lock.close()
    assert "nothing is kept for now" in daemon.log()
