# SPDX-License-Identifier: MIT
"""Services over TLS: HTTP/2 where nginx offers it, certificates that do not hold, proxies."""

import collections
import shutil

import pytest

from daemon import eventually, http, read_journal
from rpc import RpcError
from tls import Authority, Front, proxy


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def front(tmp_path, bad_http, authority):
    """Makes nginx in front of the scriptable server; ended afterwards."""
    made = []

    def make(certificate=None, **more):
        folder = tmp_path / f"nginx{len(made)}"
        made.append(Front(folder, bad_http.port, certificate or authority.certificate("good"), **more))
        return made[-1]

    yield make
    for it in made:
        it.close()


def https(front, path="/mcp", host="127.0.0.1", **more):
    return {**http(front.port), "url": f"https://{host}:{front.port}{path}", **more}


def results(client, msgids):
    return [client.wait(msgid)["result"]["content"][0]["text"] for msgid in msgids]


# ---- HTTP/2 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
def test_many_calls_share_a_connection(daemon, front, authority, journal, path):
    it = front()
    daemon.services({"far": https(it, path, ca_file=authority.ca)})
    daemon.start()
    client = daemon.client()
    calls = [
        client.start("tools.call", {"tool": "far/slow", "arguments": {"ms": 500}, "timeout_ms": 20_000})
        for _ in range(64)
    ]
    assert results(client, calls) == ["slow"] * 64
    echoes = [
        client.start("tools.call", {"tool": "far/echo", "arguments": {"message": str(i)}})
        for i in range(200)
    ]
    assert results(client, echoes) == [str(i) for i in range(200)]
    posts = it.posts(264)
    assert {request[0] for request in posts} == {"HTTP/2.0"}
    assert len({request[1] for request in posts}) <= 3, "connections"
    asked = read_journal(journal, method="tools/call")
    assert len(asked) == 264
    assert len(read_journal(journal, "listening")) == 1  # a stream stood open all the while


def test_a_server_without_http2(daemon, front, authority):
    it = front(http2=False)
    daemon.services({"far": https(it, ca_file=authority.ca)})
    daemon.start()
    client = daemon.client()
    calls = [
        client.start("tools.call", {"tool": "far/echo", "arguments": {"message": str(i)}})
        for i in range(40)
    ]
    assert results(client, calls) == [str(i) for i in range(40)]
    assert {request[0] for request in it.posts(42)} == {"HTTP/1.1"}


def test_headers_and_large_results(daemon, front, authority):
    daemon.services({
        "far": https(front(), ca_file=authority.ca, headers={"X-Mine": "a: b", "User-Agent": "me/2"},
                     auth={"type": "bearer", "token": "${env:FAR_TOKEN}"}),
    })  # fmt: skip
    daemon.start(env={"FAR_TOKEN": "t0ken"})
    client = daemon.client()
    headers = client.text("far/headers")
    for part in ('"x-mine": "a: b"', '"user-agent": "me/2"', '"authorization": "Bearer t0ken"'):
        assert part in headers
    assert client.text("far/big", {"bytes": 5_000_000}) == "x" * 5_000_000


def test_what_a_server_did_not_begin_is_begun_elsewhere(daemon, front, authority, journal):
    """nginx ends a connection in order after 20 requests, with more on their way."""
    it = front(more="keepalive_requests 20;")
    daemon.services({"far": https(it, ca_file=authority.ca)})
    daemon.start()
    client = daemon.client()
    for batch in range(0, 500, 100):
        numbers = [str(i) for i in range(batch, batch + 100)]
        calls = [
            client.start("tools.call", {"tool": "far/echo", "arguments": {"message": number}})
            for number in numbers
        ]
        assert results(client, calls) == numbers
    asked = [m["params"]["arguments"]["message"] for m in read_journal(journal, method="tools/call")]
    assert collections.Counter(asked) == collections.Counter(map(str, range(500)))
    assert len({request[1] for request in it.posts(500)}) >= 25


def test_a_server_that_goes_and_comes_back(daemon, front, authority, journal):
    it = front()
    daemon.services({"far": https(it, ca_file=authority.ca)})
    daemon.start()
    client = daemon.client()
    assert client.text("far/echo", {"message": "first"}) == "first"
    calls = [
        client.start("tools.call", {"tool": "far/slow", "arguments": {"ms": 20_000}}) for _ in range(30)
    ]
    eventually(lambda: len(read_journal(journal, method="tools/call")) == 31, what="30 calls")
    it.stop()
    for msgid in calls:
        with pytest.raises(RpcError) as failed:
            client.wait(msgid)
        assert failed.value.code == "OUTCOME_UNKNOWN", failed.value.error
        assert failed.value.details["request_sent"] is True
    it.start()

    def is_back():
        try:
            return client.text("far/echo", {"message": "next"}) == "next"
        except RpcError as error:
            assert error.code == "CIRCUIT_OPEN" and error.retry_after_ms <= 5000, error.error
            return False

    eventually(is_back, 10, "its use")


# ---- certificates ------------------------------------------------------------------------------


def refusal(client, service):
    error = client.fails("tools.call", tool=f"{service}/echo", arguments={"message": "x"}).error
    assert error["code"] == "UNAVAILABLE", error
    assert error["retryable"] is False
    return error["message"], error["suggestion"]


def test_certificates_that_do_not_hold(daemon, front, authority, journal, tmp_path):
    good, old = front(), front(authority.certificate("old", days=-1))
    other = Authority(tmp_path / "other", "someone-else")
    (tmp_path / "rubbish.pem").write_text("rubbish", encoding="ascii")
    daemon.services({
        "untrusted": https(good),
        "other": https(good, ca_file=other.ca),
        "name": https(good, host="localhost", ca_file=authority.ca),
        "old": https(old, ca_file=authority.ca),
        "missing": https(good, ca_file=tmp_path / "none.pem"),
        "rubbish": https(good, ca_file=tmp_path / "rubbish.pem"),
        "good": https(good, ca_file=authority.ca),
    })  # fmt: skip
    daemon.start()
    client = daemon.client()
    for service, words, advice in (
        ("untrusted", "signed by nobody who is trusted", "ca_file"),
        ("other", "signed by nobody who is trusted", "ca_file"),
        ("name", "certificate is for another host", "certificate names it"),
        ("old", "certificate has expired", "Renew"),
        ("missing", "none.pem cannot be used: No such file", "reload"),
        ("rubbish", "rubbish.pem cannot be used: it holds no certificate", "reload"),
    ):
        message, suggestion = refusal(client, service)
        assert words in message, message
        assert advice in suggestion, suggestion
    assert not read_journal(journal, "request"), "somebody was told something"
    assert client.text("good/echo", {"message": "fine"}) == "fine"
    # The file comes later: a reload takes it, and leaves the others alone.
    shutil.copy(authority.ca, tmp_path / "none.pem")
    (tmp_path / "none.pem").chmod(0o644)
    assert client.call("policy.reload")["ok"] is True
    assert client.text("missing/echo", {"message": "now"}) == "now"
    assert client.text("good/echo", {"message": "still"}) == "still"
    assert len(read_journal(journal, method="initialize")) == 2


# ---- proxies -----------------------------------------------------------------------------------


def test_a_tunnel_through_a_proxy(daemon, front, authority):
    it = front()
    with proxy("me:pr0xypw") as way:
        daemon.services({"far": https(it, ca_file=authority.ca)})
        daemon.start(env={"https_proxy": f"http://me:pr0xypw@127.0.0.1:{way.port}", "no_proxy": ""})
        client = daemon.client()
        calls = [
            client.start("tools.call", {"tool": "far/echo", "arguments": {"message": str(i)}})
            for i in range(40)
        ]
        assert results(client, calls) == [str(i) for i in range(40)]
        assert {request[0] for request in it.posts(42)} == {"HTTP/2.0"}
        assert 1 <= len(way.heads) <= 3
        assert all("127.0.0.1" in head and "echo" not in head for head in way.heads)
    assert "pr0xypw" not in daemon.log()


def test_a_proxy_that_refuses(daemon, front, authority):
    it = front()
    with proxy("me:other") as way:
        daemon.services({
            "far": https(it, ca_file=authority.ca),
            "near": https(it, host="127.0.0.1", ca_file=authority.ca),
        })  # fmt: skip
        daemon.start(env={"https_proxy": f"http://me:pr0xypw@127.0.0.1:{way.port}", "no_proxy": ""})
        client = daemon.client()
        message, suggestion = refusal(client, "far")
        assert f"the proxy http://127.0.0.1:{way.port} answered 407" in message
        assert "user and password" in suggestion
        assert "pr0xypw" not in message + suggestion
    assert "pr0xypw" not in daemon.log()
    assert not it.requests()


def test_a_host_that_needs_no_proxy(daemon, front, authority):
    it = front()
    daemon.services({"far": https(it, ca_file=authority.ca)})
    daemon.start(env={"https_proxy": "http://me:pr0xypw@127.0.0.1:1", "no_proxy": "a.test, 127.0.0.0/8"})
    assert daemon.client().text("far/echo", {"message": "direct"}) == "direct"
