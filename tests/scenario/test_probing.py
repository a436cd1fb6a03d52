# SPDX-License-Identifier: MIT
"""Which era a server is of: what it says to the first request, over stdio and HTTP (protocol page
sections 1.2 to 1.5). A legacy server is met by `initialize`, a modern one never."""

import time

import pytest

from any_mcp import LEGACY, MODERN, AnyHttp, any_stdio, eventually, read_journal, violations

LAST = LEGACY[-1]
DATA = {"supported": list(reversed(LEGACY)), "requested": MODERN}


def discover(**what):
    return {"method": "server/discover", **what}


def refusal(code, text="no", **more):
    return {"error": {"code": code, "message": text, **more}}


def begin(daemon, service, **more):
    daemon.services({"any": {"connect_timeout_ms": 15_000, **service, **more}})
    daemon.start()
    return daemon.client()


def echoes(client, message="m", **more):
    assert client.text("any/echo", {"message": message}, **more) == message


def met_as(journal):
    """The eras in which the server was spoken to, by what the daemon sent."""
    sent = {n["message"]["method"] for n in read_journal(journal, "received") if n["message"]
            and "method" in n["message"]}  # fmt: skip
    calls = [n for n in read_journal(journal, "received")
             if (n["message"] or {}).get("method") == "tools/call"]  # fmt: skip
    eras = {"modern" if "_meta" in n["message"]["params"] and any(
        key.endswith("/protocolVersion") for key in n["message"]["params"]["_meta"])
        else "legacy" for n in calls}  # fmt: skip
    return eras, "initialize" in sent


# ---- stdio -----------------------------------------------------------------------------------

OLD_STDIO = {
    "-32601": discover(**refusal(-32601)),
    "-32602": discover(**refusal(-32602, data=DATA)),
    "-32000": discover(**refusal(-32000)),
    "-32002": discover(**refusal(-32002)),
    "-32001": discover(**refusal(-32001)),
    "no id": discover(raw='{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}\n'),
    "empty result": discover(result={}),
    "garbage": discover(raw="Segmentation fault {]\n"),
    "silence": discover(),
    "exit": discover(exit=1),
    "exit at once with 0": discover(exit=0),
}


SILENT = ("no id", "garbage", "silence")  # no answer, as far as the daemon can tell
OLD_CELLS = [(what, LAST) for what in OLD_STDIO]
OLD_CELLS += [(what, LEGACY[0]) for what in OLD_STDIO if what not in SILENT]


@pytest.mark.parametrize("what, version", OLD_CELLS)
def test_an_old_server_over_stdio(daemon, journal, what, version):
    service = any_stdio(journal, version, script=[OLD_STDIO[what]])
    client = begin(daemon, service, connect_timeout_ms=8000 if what in SILENT else 15_000)
    echoes(client)
    echoes(client, "again")
    assert met_as(journal) == ({"legacy"}, True)
    assert len(read_journal(journal, method="server/discover")) == 1
    assert len(read_journal(journal, "start")) == (2 if "exit" in what else 1)
    violations(journal)


def test_a_server_that_the_probe_has_killed_without_its_exit(daemon, journal):
    """It lives and neither reads nor writes any more: another process is met by `initialize`."""
    service = any_stdio(journal, LAST, script=[discover(deaf=True)])
    client = begin(daemon, service, connect_timeout_ms=8000)
    echoes(client)
    assert met_as(journal) == ({"legacy"}, True)
    assert len(read_journal(journal, "start")) == 2
    violations(journal)


def test_a_late_answer_to_the_probe_is_nobodys(daemon, journal):
    script = discover(delay_ms=3500, **refusal(-32601))
    client = begin(daemon, any_stdio(journal, LAST, script=[script]), connect_timeout_ms=8000)
    echoes(client)
    assert met_as(journal) == ({"legacy"}, True)
    violations(journal)


@pytest.mark.parametrize("times", [1, 1000])
def test_a_modern_error_over_stdio_is_no_reason_to_fall_back(daemon, journal, times):
    data = {"supported": [MODERN], "requested": MODERN}
    script = discover(times=times, **refusal(-32022, data=data))
    client = begin(daemon, any_stdio(journal, MODERN, script=[script]))
    if times == 1:
        echoes(client)
    else:
        error = client.tool_fails("any/echo", {"message": "m"}, timeout_ms=8000)
        assert error.code == "EXTERNAL_TOOL_EXECUTION_FAILED", error.error
    assert not read_journal(journal, method="initialize")
    violations(journal)


def test_a_server_of_versions_that_are_only_old(daemon, journal):
    """It knows the code of the modern revision, and offers none: the handshake is how to go on."""
    script = discover(**refusal(-32022, data={"supported": [LAST], "requested": MODERN}))
    client = begin(daemon, any_stdio(journal, LAST, script=[script]))
    echoes(client)
    assert met_as(journal) == ({"legacy"}, True)
    violations(journal)


def test_a_cold_modern_server_is_found_out(daemon, journal):
    """It takes longer to start than the probe waits: its refusal of `initialize` says what it is."""
    client = begin(daemon, any_stdio(journal, MODERN, cold_ms=5000), connect_timeout_ms=25_000)
    echoes(client, timeout_ms=28_000)
    eras, _ = met_as(journal)
    assert eras == {"modern"}
    violations(journal, but=["no request without _meta", "initialize after server/discover"])


def test_both_eras_over_stdio_are_met_as_modern(daemon, journal):
    client = begin(daemon, any_stdio(journal, [MODERN, LAST]))
    echoes(client)
    assert met_as(journal) == ({"modern"}, False)
    violations(journal)


@pytest.mark.parametrize("version", [LAST, MODERN])
def test_the_era_is_remembered(daemon, journal, version):
    client = begin(daemon, any_stdio(journal, version))
    echoes(client)
    assert client.tool_fails("any/crash").code == "OUTCOME_UNKNOWN"
    eventually(lambda: not daemon.process.poll() and echoes(client) is None, 10)
    assert len(read_journal(journal, "start")) == 2
    probes = [n for n in read_journal(journal, method="server/discover")]
    assert len(probes) == 1 if version == LAST else len(probes) <= 2
    violations(journal)


@pytest.mark.parametrize("era, version", [("legacy", LAST), ("modern", MODERN), ("legacy", "both")])
def test_the_configuration_can_say_the_era(daemon, journal, era, version):
    versions = [MODERN, LAST] if version == "both" else version
    client = begin(daemon, any_stdio(journal, versions, {"era": era}))
    echoes(client)
    assert met_as(journal) == ({era}, era == "legacy")
    if era == "legacy":
        assert not read_journal(journal, method="server/discover")
    violations(journal)


def test_a_modern_era_that_is_none(daemon, journal):
    """The configuration insists on modern and the server is not: that is said, and no handshake."""
    client = begin(daemon, any_stdio(journal, LAST, {"era": "modern"}))
    error = client.tool_fails("any/echo", {"message": "m"})
    assert error.code in ("EXTERNAL_TOOL_EXECUTION_FAILED", "UNAVAILABLE")
    assert MODERN in error.message + error.suggestion
    assert not read_journal(journal, method="initialize")


# ---- HTTP ------------------------------------------------------------------------------------

OLD_HTTP = {
    "400 -32000": discover(status=400, id_null=True, **refusal(
        -32000, f"Bad Request: Unsupported protocol version: {MODERN}")),
    "400 -32000 not initialized": discover(status=400, id_null=True, **refusal(
        -32000, "Bad Request: Server not initialized")),
    "400 -32600": discover(status=400, **refusal(-32600)),
    "400 -32602 with versions": discover(status=400, **refusal(-32602, data=DATA)),
    "400 nothing": discover(status=400),
    "400 text": discover(status=400, body="Bad Request", type="text/plain"),
    "404 session": discover(status=404, id_null=True, **refusal(-32001, "Session not found")),
    "404 nothing": discover(status=404),
    "404 -32601": discover(status=404, **refusal(-32601)),
    "405 nothing": discover(status=405),
    "406 -32000": discover(status=406, id_null=True, **refusal(-32000, "Not Acceptable")),
    "415 nothing": discover(status=415),
    "200 empty result": discover(status=200, result={}),
    "200 -32601": discover(status=200, **refusal(-32601)),
    "202 nothing": discover(status=202),
    "500 always": discover(status=500, body="oops", type="text/plain"),
    "502 twice": discover(status=502, times=2),
}  # fmt: skip


@pytest.mark.parametrize("what", OLD_HTTP)
def test_an_old_server_over_http(daemon, journal, what):
    with AnyHttp(journal, LEGACY[2], script=[OLD_HTTP[what]]) as web:
        client = begin(daemon, web.service())
        if what.startswith("5"):  # it is left alone for a while first
            try_until(client, 20)
        echoes(client)
        echoes(client, "again")
        assert met_as(journal) == ({"legacy"}, True)
        violations(journal)


MODERN_HTTP = {
    "-32022": (discover(times=1, status=400, **refusal(
        -32022, data={"supported": [MODERN], "requested": MODERN})), True),
    "-32022 with 200": (discover(times=1, **refusal(
        -32022, data={"supported": [MODERN], "requested": MODERN})), True),
    "-32020": (discover(status=400, **refusal(-32020)), False),
    "-32021": (discover(status=400, **refusal(
        -32021, data={"requiredCapabilities": {"roots": {}}})), False),
    "401": (discover(status=401, headers={"WWW-Authenticate": "Bearer"}), False),
    "403": (discover(status=403), False),
    "429": (discover(times=1, status=429, headers={"Retry-After": "1"}), None),
    "503": (discover(times=1, status=503, headers={"Retry-After": "1"}), None),
}  # fmt: skip


@pytest.mark.parametrize("what", MODERN_HTTP)
def test_what_does_not_settle_the_era_over_http(daemon, journal, what):
    """Works at once (True), after another try (None), or fails (False); never by `initialize`."""
    script, works = MODERN_HTTP[what]
    with AnyHttp(journal, MODERN, script=[script]) as web:
        client = begin(daemon, web.service())
        if works:
            echoes(client)
        elif works is None:
            try_until(client, 15)
        else:
            error = client.tool_fails("any/echo", {"message": "m"}, timeout_ms=10_000)
            right = ("AUTH_FAILED", "AUTH_REQUIRED", "POLICY_DENIED")
            right = right if what in ("401", "403") else ("EXTERNAL_TOOL_EXECUTION_FAILED",)
            assert error.code in right, error.error
        assert not read_journal(journal, method="initialize")
        violations(journal)


def try_until(client, seconds):
    """As a client does that is told to try again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return echoes(client)
        except Exception as error:  # pylint: disable=broad-exception-caught
            assert error.retryable and time.monotonic() < deadline, error
            time.sleep(getattr(error, "retry_after_ms", 200) / 1000)


def test_both_eras_over_http_are_met_as_modern(daemon, journal):
    with AnyHttp(journal, [MODERN, LAST]) as web:
        echoes(begin(daemon, web.service()))
        assert met_as(journal) == ({"modern"}, False)
        violations(journal)


@pytest.mark.parametrize("before, after", [(LAST, MODERN), (MODERN, LAST)])
def test_a_server_of_the_other_era_in_the_same_place(daemon, journal, tmp_path, before, after):
    """The operator replaced the server by another release: what was remembered is asked anew."""
    with AnyHttp(journal, before) as web:
        client = begin(daemon, web.service())
        echoes(client)
        port = web.port
    second = tmp_path / "second"
    with AnyHttp(second, after, port=port):
        try_until(client, 20)
        eras, has_shaken = met_as(second)
        assert ("legacy" if after == LAST else "modern") in eras and has_shaken == (after == LAST)
        calls = [n for n in read_journal(second, "received")
                 if n["message"].get("method") == "tools/call"]  # fmt: skip
        assert len(calls) == 2  # refused, and done


@pytest.mark.parametrize("version", [LEGACY[0], LAST])
@pytest.mark.parametrize("status", [400, 404, 405])
def test_auto_finds_http_and_sse(daemon, journal, version, status):
    script = {"verb": "POST", "path": "/sse", "status": status}
    with AnyHttp(journal, version, script=[script]) as web:
        client = begin(daemon, web.service("auto", "/sse"))
        echoes(client)
        assert [n["wire"] for n in read_journal(journal, "received")
                if (n["message"] or {}).get("method") == "tools/call"] == ["sse"]  # fmt: skip
        violations(journal)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_auto_does_not_fall_back_to_sse_for_that(daemon, journal, status):
    script = {"verb": "POST", "path": "/sse", "status": status}
    with AnyHttp(journal, LAST, script=[script]) as web:
        client = begin(daemon, web.service("auto", "/sse"))
        client.tool_fails("any/echo", {"message": "m"}, timeout_ms=5000)
        assert "GET" not in {n["verb"] for n in read_journal(journal, "http")}


def test_auto_where_there_is_nothing_names_what_was_tried(daemon, journal):
    with AnyHttp(journal, LAST, script=[{"path": "/mcp", "status": 404}]) as web:
        client = begin(daemon, web.service("auto"))
        error = client.tool_fails("any/echo", {"message": "m"})
        assert "404" in error.message
        assert "server/discover" in error.message and "initialize" in error.message
        methods = [n["message"]["method"] for n in read_journal(journal, "received") if n["message"]]
        assert "server/discover" in methods and "initialize" in methods
        assert "GET" in {n["verb"] for n in read_journal(journal, "http")}


# ---- HTTP+SSE --------------------------------------------------------------------------------

ENDPOINTS = {
    "absolute path": ("/messages?sid={n}", True),
    "relative": ("messages?sid={n}", True),
    "same origin": ("http://127.0.0.1:{port}/messages?sid={n}", True),
    "another port": ("http://127.0.0.1:1/messages?sid={n}", False),
    "another host": ("http://localhost:{port}/messages?sid={n}", False),
    "another scheme": ("https://127.0.0.1:{port}/messages?sid={n}", False),
    "no host": ("//elsewhere.example/messages?sid={n}", False),
    "script": ("javascript:alert(1)", False),
    "file": ("file:///etc/passwd", False),
    "user": ("http://127.0.0.1:{port}@evil.example/messages?sid={n}", False),
}


@pytest.mark.parametrize("what", ENDPOINTS)
def test_the_endpoint_stays_on_its_origin(daemon, journal, what):
    endpoint, is_good = ENDPOINTS[what]
    with AnyHttp(journal, LEGACY[0], endpoint=endpoint) as web:
        client = begin(daemon, web.service("sse"))
        if is_good:
            echoes(client)
        else:
            error = client.tool_fails("any/echo", {"message": "m"}, timeout_ms=5000)
            assert error.code in ("EXTERNAL_TOOL_EXECUTION_FAILED", "UNAVAILABLE"), error.error
            assert "POST" not in {n["verb"] for n in read_journal(journal, "http")}
        violations(journal)


# ---- versions --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", LEGACY)
@pytest.mark.parametrize("transport", ["http", "sse"])
def test_any_version_on_any_transport(daemon, journal, version, transport):
    with AnyHttp(journal, version) as web:
        echoes(begin(daemon, web.service(transport, era="legacy")))
        violations(journal)


def test_a_version_that_is_refused_is_offered_again(daemon, journal):
    """By an error with data.supported, as some servers do."""
    client = begin(daemon, any_stdio(journal, LEGACY[1], refuses_versions=[LAST]))
    echoes(client)
    asked = [m["params"]["protocolVersion"] for m in read_journal(journal, method="initialize")]
    assert asked == [LAST, LEGACY[1]]
    violations(journal)


def test_a_version_that_nobody_knows(daemon, journal):
    script = {"method": "initialize", "result": {
        "protocolVersion": "2030-01-01", "capabilities": {},
        "serverInfo": {"name": "n", "version": "1"}}}  # fmt: skip
    client = begin(daemon, any_stdio(journal, LAST, script=[script]))
    error = client.tool_fails("any/echo", {"message": "m"})
    assert error.code == "EXTERNAL_TOOL_EXECUTION_FAILED" and "2030-01-01" in error.message
