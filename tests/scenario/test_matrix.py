# SPDX-License-Identifier: MIT
"""Five revisions x three transports x what callers feel: every cell against a server that checks
each message by the official schema of its revision, and what the daemon does by its rules.

MCP 2026-07-28 is not spoken over HTTP+SSE. Its third cell is therefore a server of both eras that
is reached by `transport = "auto"`; that a modern server refuses HTTP+SSE is told clearly, see below.
"""

import contextlib
import json
import time

import pytest

from any_mcp import LEGACY, MODERN, ROOTS, WORDS, AnyHttp, Asked, any_stdio, eventually
from any_mcp import read_journal, violations
from daemon import Daemon

CELLS = [(revision, transport) for revision in LEGACY for transport in ("stdio", "http", "sse")]
CELLS += [(MODERN, "stdio"), (MODERN, "http"), (MODERN, "auto")]


class Cell:
    """One server of a revision on a transport, the daemon, and a client that can be asked."""

    def __init__(self, folder, revision, transport):
        self.revision, self.transport = revision, transport
        self.journal = folder / "journal"
        self.wire = "http" if transport == "auto" else transport
        versions = [MODERN, LEGACY[-1]] if transport == "auto" else [revision]
        self.web = None
        service = {"trust_annotations": True}
        if transport == "stdio":
            service = any_stdio(self.journal, versions, service)
        else:
            self.web = AnyHttp(self.journal, versions)
            service = self.web.service(transport, **service)
        self.daemon = Daemon(folder)
        self.daemon.services({"any": service})
        self.daemon.start()
        self.client = Asked(self.daemon.socket)

    def stop(self):
        self.client.close()
        self.daemon.stop()
        if self.web:
            self.web.stop()

    def notes(self, kind, **what):
        return [
            note for note in read_journal(self.journal, kind)
            if all(note.get(key) == value for key, value in what.items())
        ]  # fmt: skip

    def await_note(self, kind, **what):
        return eventually(lambda: self.notes(kind, **what), 10, f"{kind} {what}")

    def received(self, method):
        return [n for n in self.notes("received") if n["message"].get("method") == method]


@pytest.fixture(scope="module", params=CELLS, ids=lambda cell: f"{cell[0]}-{cell[1]}")
def cell(request, tmp_path_factory):
    it = Cell(tmp_path_factory.mktemp("cell"), *request.param)
    yield it
    it.stop()
    violations(it.journal)


def test_call(cell):
    assert cell.client.text("any/echo", {"message": "früh"}) == "früh"
    tools = cell.client.call("tools.list", service="any")["tools"]
    assert "any/echo" in [tool["name"] for tool in tools]
    calls = cell.received("tools/call")
    assert {call["wire"] for call in calls} == {cell.wire}
    if cell.revision == MODERN:
        assert not cell.received("initialize")
    else:
        told = [n["message"]["result"]["protocolVersion"] for n in cell.notes("sent")
                if "protocolVersion" in n["message"].get("result", {})]  # fmt: skip
        assert set(told) == {cell.revision}
    point = cell.client.tool("any/point", {})["result"]
    assert point.get("structuredContent") == ({"x": 1, "y": 2} if cell.revision >= "2025-06-18" else None)
    violations(cell.journal)


def test_progress(cell):
    msgid = cell.client.start("tools.call", {"tool": "any/progress", "arguments": {"steps": 4, "tag": "p"}})
    answer = cell.client.wait(msgid)
    assert answer["result"]["content"][0]["text"] == "p 4 steps"
    notes = [params[0] for _, method, params in cell.client.notes if method == "progress"]
    cell.client.notes.clear()
    assert [note["msgid"] for note in notes] == [msgid] * 4
    assert [note["progress"] for note in notes] == [1, 2, 3, 4]
    assert all(note["total"] == 4 for note in notes)
    if cell.revision >= "2025-03-26":
        assert [note["message"] for note in notes] == [f"p step {i}" for i in (1, 2, 3, 4)]
    violations(cell.journal)


def test_cancel(cell):
    params = {"tool": "any/slow", "arguments": {"ms": 60_000, "tag": "c"}}
    msgid = cell.client.start("tools.call", params)
    cell.await_note("slow", tag="c")
    cell.client.notify("cancel", msgid=msgid)
    assert cell.client.wait_error(msgid).code == "CANCELLED"
    how = cell.await_note("cancelled", tag="c")[0]["how"]
    assert how == ("disconnect" if (cell.revision, cell.wire) == (MODERN, "http") else "notification")
    assert cell.client.text("any/echo", {"message": "after"}) == "after"
    violations(cell.journal)


def ask(cell, tool, **arguments):
    """Calls a tool that asks; gives (its result as JSON, the questions that came, the msgid)."""
    cell.client.questions.clear()
    params = {"tool": f"any/{tool}", "arguments": {"tag": tool, **arguments}}
    msgid = cell.client.start("tools.call", params)
    answer = cell.client.wait(msgid)["result"]
    assert not answer.get("isError"), answer
    for _, asked in cell.client.questions:
        assert (asked["service"], asked["tool"], asked["msgid"]) == ("any", tool, msgid)
    return json.loads(answer["content"][0]["text"]), cell.client.questions


def test_elicitation(cell):
    """Elicitation is as old as 2025-06-18; what servers may ask at every age are words of a model
    and roots."""
    with Asked(cell.daemon.socket, agent="tester", user="u2") as other:
        other.text("any/echo", {"message": "another client of the same agent"})
        got, questions = ask(cell, "sample")
        assert got == WORDS and [q[0] for q in questions] == ["sampling.create"]
        assert questions[0][1]["messages"][0]["content"]["text"] == "sample"
        got, questions = ask(cell, "roots")
        assert got == ROOTS and [q[0] for q in questions] == ["roots.list"]
        if cell.revision >= "2025-06-18":
            got, questions = ask(cell, "elicit", rounds=2, count=2)
            assert [q[0] for q in questions] == ["elicitation.create"] * 4
            for turn in (0, 1):
                for i in (0, 1):
                    word = f"elicit turn {turn} question {i}"
                    assert got[turn][f"q{i}"] == {"action": "accept", "content": {"word": word}}
        if cell.revision >= "2025-11-25":
            got, questions = ask(cell, "elicit", mode="url")
            assert questions[0][1]["url"].startswith("https://example.com/")
            assert got[0]["q0"]["action"] == "accept"
        other.text("any/echo", {"message": "and it was asked nothing"})
        assert other.questions == []
    violations(cell.journal)


@pytest.mark.parametrize("end", ["cancel", "close"])
def test_a_question_ends_with_its_call(cell, end):
    """The client gives its call up before it has answered: the question is taken back, and the
    server learns of it where it still waits."""
    client, began = Asked(cell.daemon.socket), time.time()
    client.answers_by["sampling.create"] = client.answers_by["roots.list"] = lambda _params: None
    msgid = client.start("tools.call", {"tool": "any/sample", "arguments": {"tag": end}})
    while not client.questions:
        client.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            client.notes.append(client.receive())
    client.socket.settimeout(10)
    if end == "close":  # the session that it had for itself ends with it
        client.close()
        ends = ("cancelled", "end of input", "deleted", "left")
        if cell.revision != MODERN:
            eventually(lambda: any(n["at"] > began for kind in ends for n in cell.notes(kind)), 10)
        return
    client.notify("cancel", msgid=msgid)
    assert client.wait_error(msgid).code == "CANCELLED"
    assert client.wait_note("cancel")["msgid"] == client.question_ids[0]
    if cell.revision != MODERN:  # of a modern call nothing is at the server meanwhile
        # The refusal of its question, which ends the tool too, may overtake the cancellation.
        eventually(lambda: cell.notes("cancelled", tag=end) or "rejected" in cell.journal.read_text(), 10)
    client.close()
    assert cell.client.text("any/echo", {"message": "after"}) == "after"
    violations(cell.journal)


def test_list_change(cell):
    cell.client.call("events.subscribe", kinds=["tools.changed"])
    before = [tool["name"] for tool in cell.client.call("tools.list", service="any")["tools"]]
    assert "any/later" not in before
    if cell.wire != "stdio" and cell.revision == MODERN or cell.wire == "http":
        cell.await_note("listening")
    cell.client.text("any/mutate", {"name": "later"})
    event = cell.client.wait_note("event", lambda params: params["kind"] == "tools.changed")
    assert event["service"] == "any"
    after = [tool["name"] for tool in cell.client.call("tools.list", service="any")["tools"]]
    assert set(after) - set(before) == {"any/later"}
    assert cell.client.text("any/later") == "later was called"
    violations(cell.journal)


def test_reconnect(cell):
    """The connection breaks in mid-call. What can be resumed is; what may be repeated is; of the
    rest nobody can say whether it was done. Afterwards all goes on."""
    client = cell.client
    client.text("any/echo", {"message": "before"})
    starts, connections = len(cell.notes("start")), len(cell.notes("connected"))
    if cell.wire == "http" and cell.revision != MODERN:
        how = "poll" if cell.revision == "2025-11-25" else "cut"
        arguments = {"how": how, "ms": 100, "tag": "d"}
        assert client.text("any/drop_write", arguments) == "after the drop"
        assert cell.notes("resumed")
    elif cell.wire == "stdio":
        assert client.tool_fails("any/crash").code == "OUTCOME_UNKNOWN"
    else:
        assert client.tool_fails("any/drop_write", {"tag": "w"}).code == "OUTCOME_UNKNOWN"
    if cell.wire == "http" and cell.revision == MODERN:  # lost: asked anew, with another id
        assert client.text("any/drop", {"tag": "r"}) == "not dropped again"
        sent = [n["message"] for n in cell.received("tools/call")]
        assert len({message["id"] for message in sent}) == len(sent)
    assert client.text("any/echo", {"message": "after"}) == "after"
    if cell.wire == "stdio":
        assert len(cell.notes("start")) == starts + 1
    if cell.wire == "sse":
        assert len(cell.notes("connected")) == connections + 1
    violations(cell.journal)


@pytest.mark.parametrize("transport, method", [("sse", None), ("auto", "server/discover")])
def test_a_modern_server_has_no_sse(daemon, journal, transport, method):
    """Where the configuration insists on HTTP+SSE, the daemon says that the server does not offer
    it, and speaks nothing else; `auto` finds what it does offer."""
    with AnyHttp(journal, MODERN) as web:
        daemon.services({"any": web.service(transport, "/mcp")})
        daemon.start()
        with daemon.client() as client:
            if method:
                assert client.text("any/echo", {"message": "m"}) == "m"
                assert read_journal(journal, method=method)
                violations(journal)
                return
            failed = client.tool_fails("any/echo", {"message": "m"})
            assert failed.code in ("UNAVAILABLE", "EXTERNAL_TOOL_EXECUTION_FAILED")
            assert "405" in failed.message and "HTTP+SSE" in failed.message
            assert {note["verb"] for note in read_journal(journal, "http")} == {"GET"}
