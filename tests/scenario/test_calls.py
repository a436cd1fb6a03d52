# SPDX-License-Identifier: MIT
"""Many clients at once: every answer is its caller's own, and memory stays level."""

import asyncio
import os
import random

import msgpack
import pytest

from daemon import IS_SANITIZED, echo_stdio, http, read_journal, stdio
from rpc import RpcError, pack, unpacker

CLIENTS = 64
PIPELINE = 8
# With sanitizers fewer by default; tests/run has the release build do all of them.
CALLS = int(os.environ.get("TOOLBROKER_CALLS", 12_800 if IS_SANITIZED else 100_000))


async def load(daemon, number, count, services, seed):
    """One client: its msgids are those of all others, its messages are its own."""
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket), limit=1 << 24)
    chance, messages, sent, done = random.Random(seed), unpacker(), {}, 0
    msgids = list(range(count))
    chance.shuffle(msgids)
    user = f"u{number}"
    try:
        while done < count:
            while msgids and len(sent) < PIPELINE:
                msgid = msgids.pop()
                text = f"client {number} call {msgid} " + "é" * chance.randrange(200)
                sent[msgid] = text
                params = {"tool": chance.choice(services) + "/echo", "agent": "tester",
                          "user": user, "arguments": {"message": text}}  # fmt: skip
                writer.write(pack([0, msgid, "tools.call", [params]]))
            data = await reader.read(1 << 16)
            assert data, "the daemon closed the connection"
            messages.feed(data)
            for kind, msgid, error, result in messages:
                assert kind == 1 and error is None, error
                text = sent.pop(msgid)  # an answer that was not asked for is a KeyError
                assert result["result"] == {"content": [{"type": "text", "text": text}]}
                done += 1
    finally:
        writer.close()


def run_load(daemon, calls, services, seed=1):
    async def all_clients():
        each = calls // CLIENTS
        await asyncio.gather(
            *(load(daemon, n, each, services, seed * 1000 + n) for n in range(CLIENTS))
        )

    asyncio.run(all_clients())


def test_every_answer_is_its_callers_own_and_memory_is_level(daemon, echo):
    daemon.services(
        {
            "pipe": echo_stdio(),
            "json": http(echo.port, "/mcp"),
            "sse": http(echo.port, "/mcp?sse"),
        }
    )
    daemon.settings({"log": {"level": "warn"}})
    daemon.start()
    services = ["pipe", "pipe", "json", "sse"]
    first = CALLS // 2  # handles and buffers are kept for the most that ever ran at once
    run_load(daemon, first, services, 1)
    at_first = daemon.resident()
    run_load(daemon, CALLS - first, services, 2)
    grown = daemon.resident() - at_first
    print(f"{CALLS} calls; resident {at_first >> 10} KiB after {first}, grown by {grown >> 10} KiB")
    assert grown < (32 << 20 if IS_SANITIZED else 4 << 20)  # sanitizers have a quarantine
    assert daemon.descriptors() < 2 * CLIENTS * PIPELINE + 64  # kept for the next, not leaked
    info = daemon.client().call("daemon.info")
    assert info["calls"] == 0 and info["connections"] == 1


def test_same_msgid_from_many_clients_at_once(daemon, echo):
    daemon.services({"pipe": echo_stdio(), "sse": http(echo.port, "/mcp?sse")})
    daemon.start()
    clients = [daemon.client(user=f"u{n}") for n in range(CLIENTS)]
    for service in ("pipe", "sse"):
        for number, client in enumerate(clients):
            params = {"tool": f"{service}/echo", "arguments": {"message": f"mine {number}"}}
            client.start("tools.call", params, msgid=4294967295)
        for number, client in enumerate(clients):
            result = client.wait(4294967295)
            assert result["result"]["content"][0]["text"] == f"mine {number}"


def test_the_same_msgid_twice_is_answered_twice(daemon):
    daemon.services({"pipe": echo_stdio()})
    daemon.start()
    client = daemon.client()
    for text in ("a", "b"):
        client.start("tools.call", {"tool": "pipe/echo", "arguments": {"message": text}}, msgid=5)
    got = {client.receive()[3]["result"]["content"][0]["text"] for _ in range(2)}
    assert got == {"a", "b"}


@pytest.mark.parametrize("size", [0, 1, 100_000, 4_000_000])
def test_any_size(daemon, echo, size):
    daemon.services({"pipe": echo_stdio(), "json": http(echo.port), "sse": http(echo.port, "/?sse")})
    daemon.start()
    client = daemon.client()
    text = "z" * size
    for service in ("pipe", "json", "sse"):
        assert client.text(f"{service}/echo", {"message": text}) == text


def test_any_text(daemon, echo):
    daemon.services({"pipe": echo_stdio(), "json": http(echo.port), "sse": http(echo.port, "/?sse")})
    daemon.start()
    client = daemon.client()
    texts = ["\n", "\r\n", "\0", '"', "\\", "\\u0041", "data: x\n\n", "\u2028\u2029", "\x7f", "\x1f",
             "𝔘𝔫𝔦", "ñ" * 1000, "".join(map(chr, range(1, 300)))]  # fmt: skip
    for text in texts:
        for service in ("pipe", "json", "sse"):
            assert client.text(f"{service}/echo", {"message": text}) == text


def test_bytes_become_base64(daemon):
    daemon.services({"pipe": echo_stdio()})
    daemon.start()
    assert daemon.client().text("pipe/echo", {"message": b"\x00\xff\xfe"}) == "AP/+"


def test_ext_that_is_no_number_is_an_error_of_that_call(daemon):
    daemon.services({"pipe": echo_stdio()})
    daemon.start()
    client = daemon.client()
    error = client.tool_fails("pipe/echo", {"message": msgpack.ExtType(9, b"x")})
    assert error.code in ("VALIDATION_ERROR", "INVALID_REQUEST")
    assert client.text("pipe/echo", {"message": "next"}) == "next"


def test_answers_come_when_ready(daemon, bad_http):
    daemon.services({"bad": http(bad_http.port), "pipe": echo_stdio()})
    daemon.start()
    client = daemon.client()
    client.text("bad/echo", {"message": "warm"})
    client.text("pipe/echo", {"message": "warm"})
    slow = client.start("tools.call", {"tool": "bad/slow", "arguments": {"ms": 3000}})
    fast = client.start("tools.call", {"tool": "pipe/echo", "arguments": {"message": "fast"}})
    assert client.receive()[1] == fast
    assert client.receive()[1] == slow


def test_schema_is_checked_before_anything_is_sent(daemon, journal):
    daemon.services({"bad": stdio(journal=journal)})
    daemon.start()
    client = daemon.client()
    for arguments, field in (({}, "message"), ({"message": 5}, "message")):
        error = client.tool_fails("bad/echo", arguments)
        assert error.code == "VALIDATION_ERROR"
        assert field in error.details["field"] and error.details["errors"], error.error
    assert read_journal(journal, method="tools/call") == []
    with pytest.raises(RpcError) as unknown:
        client.tool("bad/ecco", {"message": "x"})
    assert unknown.value.code == "NOT_FOUND" and "echo" in unknown.value.suggestion
