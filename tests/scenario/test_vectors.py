# SPDX-License-Identifier: MIT
"""A server of each bad kind of the protocol page, section 8.6, gets the outcome written there.

The rows about the first answer of a server (era probing) are in test_probing.py; two agents with
the same ids and tokens in test_interleave.py. Rows that belong to parts of the daemon that come
later are these, and for that reason are not here:

    header `=?BASE64?SGk=?=` is a literal        what the daemon's own MCP server side reads
    `Mcp-Name:  foo ` against the body `foo`     the same
    version header against `_meta` v999          the same
    modern `_meta` with ping or initialize       the same
    foreign Host or Origin on loopback           the same
    `iss` that differs by a trailing slash       authorization
    metadata without PKCE methods                authorization
    PRM `resource` of another origin             authorization
    endless insufficient_scope                   authorization
"""

import json

import pytest

from any_mcp import LEGACY, MODERN, AnyHttp, Asked, any_stdio, eventually, read_journal, violations
from daemon import PATIENCE

LAST = LEGACY[-1]
BROKEN = "EXTERNAL_TOOL_EXECUTION_FAILED"


def begin(daemon, service, **more):
    daemon.services({"any": {**service, **more}})
    daemon.start()
    return Asked(daemon.socket)


def names(client):
    got = client.call("tools.list", service="any")
    assert not got["unavailable"], got["unavailable"]
    return [tool["name"].partition("/")[2] for tool in got["tools"]]


def notes(client, name):
    return [params[0] for _, method, params in client.notes if method == name]


# ---- no subscriptions, no session -------------------------------------------------------------


def test_a_modern_server_without_subscriptions(daemon, journal):
    """404 with -32601 to subscriptions/listen: modern as before, only nobody tells of changes."""
    with AnyHttp(journal, MODERN, listen=False) as web:
        client = begin(daemon, web.service())
        client.call("events.subscribe", kinds=["tools.changed"])
        for i in range(5):
            assert client.text("any/echo", {"message": str(i)}) == str(i)
        assert "echo" in names(client)
        assert len(read_journal(journal, method="server/discover")) == 1
        assert len(read_journal(journal, method="subscriptions/listen")) <= 2
        assert not read_journal(journal, method="initialize")
        violations(journal)


@pytest.mark.parametrize("version", LEGACY[1:])
def test_a_session_that_the_server_forgot(daemon, journal, version):
    """404 without a body: a new session, and what was certainly not done is done there."""
    script = {"method": "tools/call", "status": 404, "expire": True, "times": 1, "skip": 1}
    with AnyHttp(journal, version, script=[script]) as web:
        client = begin(daemon, web.service())
        assert client.text("any/echo", {"message": "one"}) == "one"
        before = len(read_journal(journal, method="initialize"))
        assert client.text("any/drop_write", {"how": "none", "tag": "t"}) == "after the drop"
        assert client.text("any/echo", {"message": "three"}) == "three"
        assert len(read_journal(journal, method="initialize")) == before + 1
        violations(journal)


# ---- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_result_types(daemon, journal, transport):
    web = AnyHttp(journal, MODERN) if transport == "http" else None
    try:
        service = web.service() if web else any_stdio(journal, MODERN)
        client = begin(daemon, service)
        assert client.text("any/odd_result") == "odd"
        error = client.tool_fails("any/odd_result", {"type": "foo"})
        assert error.code == BROKEN and "foo" in error.message
        error = client.tool_fails("any/odd_result", {"type": "task"})
        assert error.code == BROKEN
        assert client.text("any/odd_result", {"type": "complete"}) == "odd"
        violations(journal)
    finally:
        if web:
            web.stop()


@pytest.mark.parametrize("version", [LEGACY[2], LAST, MODERN])
def test_structured_content_against_its_schema(daemon, journal, version):
    client = begin(daemon, any_stdio(journal, version))
    assert client.tool("any/point")["result"]["structuredContent"] == {"x": 1, "y": 2}
    error = client.tool_fails("any/point", {"valid": False})
    assert error.code == BROKEN and "x" in str(error.error), error.error
    if version == MODERN:
        assert client.tool("any/numbers")["result"]["structuredContent"] == [1, 2, 3]
    violations(journal)


# ---- lists in pages --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [LEGACY[0], LAST, MODERN])
def test_an_empty_cursor_is_a_cursor(daemon, journal, version):
    client = begin(daemon, any_stdio(journal, version, page=5, empty_cursor=True))
    listed = names(client)
    assert listed[0] == "echo" and len(listed) > 10 and len(set(listed)) == len(listed)
    cursors = [(m.get("params") or {}).get("cursor") for m in read_journal(journal, method="tools/list")]
    assert cursors[:3] == [None, "", "w:10"]
    violations(journal)


@pytest.mark.parametrize("version", [LAST, MODERN])
def test_a_cursor_that_comes_twice_ends_the_list(daemon, journal, version):
    """It stops at the second time, and says why the list is not to be had."""
    client = begin(daemon, any_stdio(journal, version, page=5, cursor_loop=True))
    got = client.call("tools.list", service="any")
    assert got["tools"] == [] and "cursor" in got["unavailable"][0]["error"]["message"]
    assert len(read_journal(journal, method="tools/list")) <= 3
    assert "cursor" in client.fails("resources.list", service="any").message
    assert len(read_journal(journal, method="resources/list")) <= 3
    violations(journal)


@pytest.mark.parametrize("version", [LAST, MODERN])
def test_pages_one_by_one(daemon, journal, version):
    """A client can walk for itself: it is given the server's pages."""
    client = begin(daemon, any_stdio(journal, version, page=3, empty_cursor=True))
    seen, params = [], {"service": "any", "page": True}
    while True:
        got = client.call("resources.list", **params)
        seen.append([entry["uri"] for entry in got["resources"]])
        if "nextCursor" not in got:
            break
        params["cursor"] = got["nextCursor"]
    assert [len(page) for page in seen] == [3, 3, 1]
    whole = client.call("resources.list", service="any")
    assert [entry["uri"] for entry in whole["resources"]] == sum(seen, [])
    error = client.fails("resources.list", service="any", page=True, cursor="nonsense")
    assert error.code in (BROKEN, "VALIDATION_ERROR", "INVALID_REQUEST"), error.error
    violations(journal)


# ---- headers ---------------------------------------------------------------------------------

BAD = ["header_with_space", "header_empty", "header_number", "header_twice", "header_items",
       "header_in_any_of", "header_on_object", "header_colon", "header_crlf",
       "header_in_ref"]  # fmt: skip


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_tools_whose_headers_are_no_headers(daemon, journal, transport):
    """Dropped where they would have to be sent, kept where there are none."""
    if transport == "stdio":
        client = begin(daemon, any_stdio(journal, MODERN, bad_headers=True))
        assert set(BAD) <= set(names(client))
        assert client.text("any/header_with_space", {"value": "v"}) == '{"value": "v"}'
        violations(journal)
        return
    with AnyHttp(journal, MODERN, bad_headers=True) as web:
        client = begin(daemon, web.service())
        assert not set(BAD) & set(names(client)) and "header" in names(client)
        assert client.tool_fails("any/header_with_space", {"value": "v"}).code == "NOT_FOUND"
        assert client.text("any/header", {"value": "v"}) == '{"value": "v"}'
        violations(journal)


VALUES = ["plain", "", " edge", "edge ", "\ttab", "in\tside", "são paulo", "=?base64?x?=",
          "=?BASE64?SGk=?=", "=?base64?x", "x?=", "line\nbreak", "a\r\nX-Evil: 1", "\x7f", "\U0001f600",
          "%41", '"quoted"', "a,b;c=d", "=?base64??="]  # fmt: skip


def test_header_values(daemon, journal):
    """The server compares each Mcp-Param header with the body, and refuses what is another."""
    with AnyHttp(journal, MODERN) as web:
        client = begin(daemon, web.service())
        for value in VALUES:
            arguments = {"value": value, "deep": {"leaf": value}}
            assert json.loads(client.text("any/header", arguments)) == arguments
        for number in (0, -1, 2**53 - 1, -(2**53) + 1):
            for flag in (True, False):
                arguments = {"number": number, "flag": flag}
                assert json.loads(client.text("any/header", arguments)) == arguments
        assert json.loads(client.text("any/header", {})) == {}
        sent = [n["headers"] for n in read_journal(journal, "http")
                if n["headers"].get("mcp-name") == "header"]  # fmt: skip
        assert "=?base64?PT9iYXNlNjQ/eD89?=" in [h.get("mcp-param-region") for h in sent]
        assert not any("x-evil" in h for h in sent)
        assert not [key for key in sent[-1] if key.startswith("mcp-param-")]
        violations(journal)


def test_null_has_no_header(daemon, journal):
    """A header's argument that is null where the schema allows that: no header, null in the body."""
    with AnyHttp(journal, MODERN) as web:
        client = begin(daemon, web.service())
        arguments = {"anything": None, "deep": {}}
        assert json.loads(client.text("any/header", arguments)) == arguments
        # The schema says string: null stands for what is left out, and goes to the server as such.
        assert json.loads(client.text("any/header", {"value": None})) == {"value": None}
        violations(journal)


def test_names_that_no_header_holds(daemon, journal):
    odd = ["=?base64?x?=", "spaß", "two words", "ends with space "]
    with AnyHttp(journal, MODERN, extra_tools=odd) as web:
        client = begin(daemon, web.service())
        for name in odd:
            assert client.call("tools.call", service="any", tool=name, arguments={})["result"]
        sent = [n["headers"].get("mcp-name") for n in read_journal(journal, "http")]
        assert "=?base64?PT9iYXNlNjQ/eD89?=" in sent and "two words" in sent
        violations(journal)


def test_a_header_that_has_changed_meanwhile(daemon, journal):
    """The server refuses with -32020 what fits an older list: it is listed anew, and sent again."""
    with AnyHttp(journal, MODERN, ttl_ms=3_600_000) as web:
        client = begin(daemon, web.service())
        assert client.text("any/header", {"value": "v"})
        client.text("any/mutate", {"what": "headers", "name": "Area"})
        assert client.text("any/header", {"value": "w"}) == '{"value": "w"}'
        assert len(read_journal(journal, method="tools/list")) == 2
        violations(journal, but=["mcp-param-"])


# ---- event streams ---------------------------------------------------------------------------

STYLES = [[], ["crlf"], ["cr"], ["bom"], ["multiline"], ["comments"], ["empty"], ["tight"],
          ["crlf", "bom", "multiline", "comments", "empty"], ["cr", "multiline", "comments", "empty", "tight"]]  # fmt: skip


@pytest.mark.parametrize("style", STYLES, ids=lambda style: "+".join(style) or "plain")
@pytest.mark.parametrize("version, transport", [(LAST, "http"), (MODERN, "http"), (LEGACY[0], "sse")])
def test_event_streams_of_every_style(daemon, journal, style, version, transport):
    with AnyHttp(journal, version, sse_style=style) as web:
        client = begin(daemon, web.service(transport))
        assert client.text("any/echo", {"message": "a\nb\r\nc"}) == "a\nb\r\nc"
        client.notes.clear()
        client.tool("any/progress", {"steps": 3})
        assert [note["progress"] for note in notes(client, "progress")] == [1, 2, 3]
        violations(journal)


@pytest.mark.parametrize("version", [LEGACY[1], LAST, MODERN])
def test_answers_in_json(daemon, journal, version):
    with AnyHttp(journal, version, form="json") as web:
        client = begin(daemon, web.service())
        assert client.text("any/echo", {"message": "m"}) == "m"
        client.tool("any/progress", {"steps": 2})
        assert len(notes(client, "progress")) == 2
        violations(journal)


# ---- resumption ------------------------------------------------------------------------------


@pytest.mark.parametrize("retry", [100, 900])
def test_a_server_that_is_polled(daemon, journal, retry):
    """2025-11-25: it ends the stream with a time to wait, and has the answer later."""
    with AnyHttp(journal, LAST, retry=retry) as web:
        client = begin(daemon, web.service())
        arguments = {"how": "poll", "ms": retry + 200, "tag": "t"}
        assert client.text("any/drop_write", arguments) == "after the drop"
        waited = [n["waited_ms"] for n in read_journal(journal, "resumed")]
        assert retry - 5 <= waited[0] < retry + 1000, waited
        violations(journal)


def test_a_stream_that_cannot_be_resumed(daemon, journal):
    """No event had an id: what became of the call is not known, and it is not sent again."""
    with AnyHttp(journal, LAST, event_ids=False) as web:
        client = begin(daemon, web.service())
        error = client.tool_fails("any/drop_write", {"how": "cut", "tag": "t"})
        assert error.code == "OUTCOME_UNKNOWN"
        assert not read_journal(journal, "resumed")
        violations(journal)


def test_a_stream_that_the_server_has_forgotten(daemon, journal):
    """It is asked for the rest, and refuses."""
    script = {"verb": "GET", "status": 404}
    with AnyHttp(journal, LAST, script=[script]) as web:
        client = begin(daemon, web.service())
        error = client.tool_fails("any/drop_write", {"how": "cut", "tag": "t"}, timeout_ms=10_000)
        assert error.code == "OUTCOME_UNKNOWN"
        assert client.text("any/echo", {"message": "m"}) == "m"
        violations(journal)


# ---- servers that ask without end ------------------------------------------------------------


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_input_required_for_ever(daemon, journal, transport):
    """A server that never has enough: the call ends as a tool that failed."""
    web = AnyHttp(journal, MODERN) if transport == "http" else None
    try:
        client = begin(daemon, web.service() if web else any_stdio(journal, MODERN))
        result = client.tool("any/elicit", {"rounds": 100_000})["result"]
        assert result["isError"] is True and result["content"][0]["text"]
        assert 2 < len(read_journal(journal, method="tools/call")) < 100
        assert client.text("any/echo", {"message": "m"}) == "m"
        violations(journal)
    finally:
        if web:
            web.stop()


def test_a_server_that_is_busy_for_ever(daemon, journal):
    """It asks nothing and gives a state: it is left alone for longer and longer, until the time of
    the call is over."""
    client = begin(daemon, any_stdio(journal, MODERN))
    assert client.text("any/busy", {"rounds": 2}) == "no longer busy"
    before = len(read_journal(journal, method="tools/call"))
    error = client.tool_fails("any/busy", {"rounds": 100_000}, timeout_ms=3000)
    assert error.code == "TIMEOUT" and error.seconds < 5 * PATIENCE
    assert len(read_journal(journal, method="tools/call")) - before < 8
    violations(journal)


@pytest.mark.parametrize("has_state", [True, False])
def test_state_goes_back_as_it_came_or_not_at_all(daemon, journal, has_state):
    client = begin(daemon, any_stdio(journal, MODERN, state=has_state))
    got = json.loads(client.text("any/elicit", {"rounds": 3, "count": 3, "tag": "t"}))
    assert [len(turn) for turn in got] == [3, 3, 3]
    if has_state:
        assert read_journal(journal, method="tools/call")[-1]["params"]["requestState"]
    violations(journal)


@pytest.mark.parametrize("version", [LEGACY[2], LAST, MODERN])
@pytest.mark.parametrize("tool", ["elicit", "sample", "roots"])
def test_a_client_that_cannot_be_asked(daemon, journal, version, tool):
    """A server that asks although nothing was announced to it: declined, and the answer says so
    (legacy), or its answer is a broken one (modern). A client that could answer is not asked in the
    place of the one that made the call."""
    refusals = {"elicit": '"action": "decline"', "sample": '"code": -1,', "roots": "-32601"}
    client = begin(daemon, any_stdio(journal, version, pushy=True))
    with daemon.client() as plain:
        if version == MODERN:
            assert plain.tool_fails(f"any/{tool}", {"tag": "t"}).code == BROKEN
        else:
            answer = plain.tool(f"any/{tool}", {"tag": "t"})
            assert refusals[tool] in answer["result"]["content"][0]["text"]
            assert "declined" in answer["warnings"][0]
    assert client.text("any/echo", {"message": "m"}) == "m"
    assert not client.questions
    violations(journal)


# ---- subscriptions ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_ours", [True, False])
def test_news_of_another_subscription_are_not_ours(daemon, journal, is_ours):
    """`"8"` is not 8."""
    options = {"ttl_ms": 3_600_000, "string_subscription": not is_ours}
    client = begin(daemon, any_stdio(journal, MODERN, **options))
    client.call("events.subscribe", kinds=["tools.changed"])
    assert "later" not in names(client)
    eventually(lambda: read_journal(journal, "listening"), 10, "the listen stream")
    client.text("any/mutate", {"name": "later"})
    if is_ours:
        client.wait_note("event", lambda params: params["kind"] == "tools.changed")
        assert "later" in names(client)
    else:
        client.text("any/echo", {"message": "the news came before this answer"})
        assert "later" not in names(client)
        assert not notes(client, "event")
    violations(journal)
