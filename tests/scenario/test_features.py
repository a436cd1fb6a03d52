# SPDX-License-Identifier: MIT
"""Everything beside tools that a server offers, at every revision: resources, templates, prompts,
completion, log messages, subscriptions, tasks."""

import time

import pytest

from any_mcp import LEGACY, MODERN, ROOTS, AnyHttp, Asked, any_stdio, eventually, read_journal
from any_mcp import violations
from daemon import Daemon

REVISIONS = (*LEGACY, MODERN)
LAST = LEGACY[-1]
CELLS = [(revision, transport) for revision in REVISIONS for transport in ("stdio", "http")]


class Place:
    def __init__(self, folder, revision, transport):
        self.revision, self.journal = revision, folder / "journal"
        self.web = AnyHttp(self.journal, revision, page=3) if transport == "http" else None
        service = self.web.service() if self.web else any_stdio(self.journal, revision, page=3)
        self.daemon = Daemon(folder)
        self.daemon.services({"any": service})
        self.daemon.start()
        self.client = Asked(self.daemon.socket)

    def stop(self):
        self.client.close()
        self.daemon.stop()
        if self.web:
            self.web.stop()


@pytest.fixture(scope="module", params=CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def place(request, tmp_path_factory):
    it = Place(tmp_path_factory.mktemp("place"), *request.param)
    yield it
    it.stop()
    violations(it.journal)


def test_resources(place):
    client = place.client
    got = client.call("resources.list", service="any")
    assert got["service"] == "any" and "nextCursor" not in got
    assert [entry["uri"] for entry in got["resources"]] == [f"any://item/{n}" for n in range(7)]
    templates = client.call("resources.templates", service="any")["resourceTemplates"]
    assert [entry["uriTemplate"] for entry in templates] == ["any://item/{n}", "any://file/{path}"]
    read = client.call("resources.read", service="any", uri="any://item/3")
    assert read["source"] == "live" and read["request_id"]
    assert read["result"]["contents"] == [
        {"uri": "any://item/3", "mimeType": "text/plain", "text": "any://item/3 version 0"}
    ]
    error = client.fails("resources.read", service="any", uri="any://nothing")
    assert error.code == "NOT_FOUND", error.error
    violations(place.journal)


def test_a_resource_that_changes(place):
    """By a client that cannot be asked: over stdio it has no process of its own."""
    client, uri = Asked(place.daemon.socket, capabilities={}), "any://item/5"
    assert client.call("resources.subscribe", service="any", uri=uri)["ok"] is True
    if place.revision == MODERN or place.web:
        eventually(lambda: read_journal(place.journal, "listening"), 10)
    if place.revision == MODERN:
        eventually(lambda: any(uri in n["filter"].get("resourceSubscriptions", [])
                               for n in read_journal(place.journal, "listening")), 10)  # fmt: skip
    client.text("any/touch", {"uri": uri})
    event = client.wait_note("event", lambda params: params["kind"] == "resource.updated")
    assert (event["service"], event["uri"]) == ("any", uri)
    read = client.call("resources.read", service="any", uri=uri)
    assert read["result"]["contents"][0]["text"] == f"{uri} version 1"
    assert client.call("resources.unsubscribe", service="any", uri=uri)["ok"] is True
    client.text("any/touch", {"uri": uri})
    client.call("ping")
    assert not [note for note in client.notes if note[1] == "event"]
    client.close()
    violations(place.journal)


def test_prompts_and_completion(place):
    client = place.client
    prompts = client.call("prompts.list", service="any")["prompts"]
    assert [entry["name"] for entry in prompts] == ["greeting", "asking"]
    got = client.call("prompts.get", service="any", prompt="greeting", arguments={"who": "Ana"})
    assert got["result"]["messages"][0]["content"]["text"] == "Hello Ana"
    assert client.fails("prompts.get", service="any", prompt="nothing").code in (
        "NOT_FOUND", "EXTERNAL_TOOL_EXECUTION_FAILED")  # fmt: skip
    ref = {"type": "ref/prompt", "name": "greeting"}
    argument = {"name": "who", "value": "x"}
    done = client.call("complete", service="any", ref=ref, argument=argument)
    assert done["result"]["completion"]["values"] == ["xa", "xb", "xc"]
    violations(place.journal)


def test_prompts_and_resources_ask_too(place):
    client = place.client
    client.questions.clear()
    got = client.call("prompts.get", service="any", prompt="asking")
    assert got["result"]["messages"][0]["content"]["text"] == repr(ROOTS)
    read = client.call("resources.read", service="any", uri="any://asking")
    assert read["result"]["contents"][0]["text"] == repr(ROOTS)
    assert [method for method, _ in client.questions] == ["roots.list"] * 2
    violations(place.journal)


def test_log_messages(place):
    client = place.client
    params = {"tool": "any/log", "arguments": {"tag": "t"}, "log_level": "info"}

    def is_logged():
        client.notes.clear()
        msgid = client.start("tools.call", params)
        client.wait(msgid)
        logs = [p[0] for _, method, p in client.notes if method == "log"]
        return [(log["msgid"], log["level"], log["data"]["tag"]) for log in logs] == [
            (msgid, "info", "t"), (msgid, "error", "t")]  # fmt: skip

    # A legacy server learns of the level in a request of its own, which over HTTP may be overtaken.
    eventually(is_logged, 5, "both messages, for the call that they belong to")
    client.notes.clear()
    if place.revision == MODERN:
        client.text("any/log", {"tag": "u"})  # without a level: none is asked for
        assert not [note for note in client.notes if note[1] == "log"]
    violations(place.journal)


def test_changes_of_prompts_and_resources(place):
    client = place.client
    client.call("events.subscribe", kinds=["prompts.changed", "resources.changed"])
    if place.revision == MODERN:
        eventually(lambda: any(n["filter"].get("promptsListChanged")
                               for n in read_journal(place.journal, "listening")), 10)  # fmt: skip
    for what, key in (("prompts", "name"), ("resources", "uri")):
        client.text("any/mutate", {"what": what, "name": "later"})
        kind = f"{what}.changed"
        assert client.wait_note("event", lambda p, kind=kind: p["kind"] == kind)["service"] == "any"
        listed = client.call(f"{what}.list", service="any")[what]
        assert "later" in listed[-1][key]
    violations(place.journal)


# ---- tasks -----------------------------------------------------------------------------------

TASKS = [(LAST, "stdio"), (LAST, "http"), (MODERN, "stdio"), (MODERN, "http")]


@pytest.mark.parametrize("place", TASKS, indirect=True, ids=lambda cell: f"{cell[0]}-{cell[1]}")
class TestTasks:
    def test_inside_the_call(self, place):
        """Polled by the daemon, for clients that know nothing of tasks."""
        with place.daemon.client() as plain:
            assert plain.text("any/task_required", {"ms": 100}) == "task done"
            assert plain.text("any/task_optional", {"ms": 1}) == "task done"
        violations(place.journal)

    def test_failures(self, place):
        client = place.client
        result = client.tool("any/task_required", {"fail": "tool"})["result"]
        assert result["isError"] is True
        assert client.tool_fails("any/task_required", {"fail": "error"}).code in (
            "EXTERNAL_TOOL_EXECUTION_FAILED",)  # fmt: skip
        violations(place.journal)

    def test_asking(self, place):
        client = place.client
        client.questions.clear()
        words = client.text("any/task_required", {"ask": True, "tag": "t"})
        assert "'action': 'accept'" in words and "t asks" in words
        assert [method for method, _ in client.questions] == ["elicitation.create"]
        violations(place.journal)

    def test_the_handle(self, place):
        client = place.client
        answer = client.tool("any/task_required", {"ms": 300}, task=True)
        assert "result" not in answer and answer["task"]["status"] == "working"
        task = answer["task"]["id"]
        done = eventually(lambda: ended(client.call("tasks.get", task=task)), 10)
        assert done["result"]["content"][0]["text"] == "task done"
        assert {"id", "service", "tool", "status", "ttl_ms"} <= set(done["task"])
        assert (done["task"]["id"], done["task"]["status"]) == (task, "completed")
        violations(place.journal)

    def test_cancelling(self, place):
        client = place.client
        task = client.tool("any/task_required", {"ms": 60_000, "tag": "h"}, task=True)["task"]["id"]
        client.call("tasks.cancel", task=task)
        notes = eventually(lambda: cancelled(place, "h"), 10)
        assert notes[0]["how"] == "tasks/cancel"
        msgid = client.start("tools.call", {
            "tool": "any/task_required", "arguments": {"ms": 60_000, "tag": "c"}})  # fmt: skip
        began = time.time()
        eventually(lambda: any(n["at"] > began and n["message"].get("method", "").startswith("tasks/")
                               for n in read_journal(place.journal, "received")), 10)  # fmt: skip
        client.notify("cancel", msgid=msgid)
        assert client.wait_error(msgid).code == "CANCELLED"
        eventually(lambda: cancelled(place, "c"), 10, "the end of the task")
        violations(place.journal)


def cancelled(place, tag):
    return [n for n in read_journal(place.journal, "cancelled") if n["tag"] == tag]


def ended(got):
    return got if got["task"]["status"] in ("completed", "failed", "cancelled") else None
