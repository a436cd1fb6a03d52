# SPDX-License-Identifier: MIT
"""Subscriptions of several users on one connection, and after policy has changed; what a client says
that it cannot be asked."""

import pytest

from any_mcp import MODERN, AnyHttp, Asked
from daemon import TESTER, eventually, read_journal
from rpc import RpcError

URI = "any://item/5"
EVERYBODY = 'agent "tester" { title = "T", services = "*" }\nagent "other" { title = "O", services = "*" }\n'
NOBODY = 'agent "tester" { title = "T", services = {} }\nagent "other" { title = "O", services = "*" }\n'


@pytest.fixture
def web(daemon, journal):
    """A modern server over HTTP, to which each user has a session of their own."""
    web = AnyHttp(journal, MODERN)
    daemon.services({"any": {**web.service(), "sharing": "per_user"}})
    daemon.start(policy=EVERYBODY)
    yield web
    web.stop()


def listens(journal, count):
    """How often the server was asked to tell of the resource."""
    asked = [note for note in read_journal(journal, "listening")
             if URI in note["filter"].get("resourceSubscriptions", [])]  # fmt: skip
    return len(asked) >= count


def updates(client, user):
    return [note for note in client.notes
            if note[1] == "event" and note[2][0]["kind"] == "resource.updated"
            and note[2][0].get("user") == user]  # fmt: skip


def heard(client, user):
    client.call("ping")
    return updates(client, user)


def test_two_users_on_one_connection(daemon, journal, web):
    client = Asked(daemon.socket)
    for user in ("ann", "ben"):
        assert client.call("resources.subscribe", service="any", uri=URI, user=user)["ok"]
    eventually(lambda: listens(journal, 2), 10, "both are subscribed")
    client.tool("any/touch", {"uri": URI})
    eventually(lambda: heard(client, "ann") and heard(client, "ben"), 10, "both hear of it")
    assert client.call("resources.unsubscribe", service="any", uri=URI, user="ben")["ok"]
    client.notes.clear()
    client.tool("any/touch", {"uri": URI})
    eventually(lambda: heard(client, "ann"), 10, "the other goes on")
    assert not updates(client, "ben")
    with pytest.raises(RpcError) as gone:
        client.call("resources.unsubscribe", service="any", uri=URI, user="ben")
    assert gone.value.code == "NOT_FOUND"
    client.close()


def test_policy_that_changes(daemon, journal, web):
    """Who may not use the service any more hears no more of it, and can still end it."""
    client = Asked(daemon.socket)
    for agent in ("tester", "other"):
        assert client.call("resources.subscribe", service="any", uri=URI, agent=agent)["ok"]
    eventually(lambda: listens(journal, 1), 10, "subscribed")
    daemon.write("policy.lua", NOBODY)
    assert client.call("policy.reload")["ok"]
    client.tool("any/touch", {"uri": URI}, agent="other")
    event = client.wait_note("event", lambda params: params["kind"] == "resource.updated")
    assert event["agent"] == "other"
    client.call("ping", n=1)
    assert "tester" not in repr(client.notes)
    with pytest.raises(RpcError) as denied:
        client.call("resources.subscribe", service="any", uri="any://item/1")
    assert denied.value.code == "POLICY_DENIED"
    assert client.call("resources.unsubscribe", service="any", uri=URI)["ok"]
    client.close()


@pytest.mark.parametrize("no", [False, None])
def test_no_is_no(daemon, journal, no):
    web = AnyHttp(journal, MODERN)
    daemon.services({"any": web.service()})
    daemon.start(policy=TESTER)
    client = Asked(daemon.socket, capabilities={"elicitation": no, "sampling": {}, "roots": no})
    client.tool("any/echo", {"message": "x"})
    sent = [note for note in read_journal(journal) if "clientCapabilities" in repr(note)]
    assert sent and "elicitation" not in repr(sent) and "roots" not in repr(sent)
    assert "sampling" in repr(sent)
    client.close()
    web.stop()
