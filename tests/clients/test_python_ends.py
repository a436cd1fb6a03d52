# SPDX-License-Identifier: MIT
"""How connections of the Python clients end: beside a peer that reads nothing, in a forked child,
and by a callback's fault."""

import asyncio
import os
import select
import threading
import time

import msgpack
import pytest

from peer import SECONDS, Peer, TablePeer
from toolbroker import AsyncClient, Client, ToolbrokerError

LARGE = {"text": "x" * (16 << 20)}  # no socket holds it


class StuckPeer(Peer):
    """Answers `hello`, then reads nothing. Sends `words` when the next request begins to come."""

    def __init__(self, path, words=b""):
        self.words = words
        self.leave = threading.Event()
        super().__init__(path)

    def play(self):
        self.accept()
        _, msgid, _, _ = self.receive()
        self.connection.sendall(msgpack.packb([1, msgid, None, {}]))
        if self.words:
            select.select([self.connection], [], [], SECONDS)
            self.connection.sendall(self.words)
        self.leave.wait(SECONDS)

    def stop(self):
        self.leave.set()
        self.finish()


@pytest.fixture
def stuck(socket_path):
    peers = []

    def start(words=b""):
        peers.append(StuckPeer(socket_path, words))
        return peers[-1]

    yield start
    for peer in peers:
        peer.stop()


def attempt(kind, path, work):
    """Runs `work` with a client of that kind, in a thread: what hangs must not hang the tests."""
    ends = []

    def run():
        try:
            if kind is Client:
                client = Client(path)
                try:
                    client.connect()
                    work(client)
                finally:
                    client.close()
            else:

                async def main():
                    client = AsyncClient(path)
                    try:
                        await client.connect()
                        await work(client)
                    finally:
                        await client.close()

                asyncio.run(main())
            ends.append(None)
        except ToolbrokerError as error:
            ends.append(error.code)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS / 2)
    assert ends, "it hangs"
    return ends[0]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_closing_beside_a_peer_that_reads_nothing(kind, stuck, socket_path):
    stuck()
    assert attempt(kind, socket_path, lambda c: c.request("ping", LARGE, timeout=0.2)) == "TIMEOUT"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_rubbish_while_a_request_is_sent(kind, stuck, socket_path):
    stuck(b"\xc1\xc1\xc1")
    began = time.monotonic()
    code = attempt(kind, socket_path, lambda c: c.request("ping", LARGE, timeout=None))
    assert code in ("INTERNAL", "UNAVAILABLE")  # what ended it, or that the request is not out
    assert time.monotonic() - began < SECONDS / 2


def test_a_child_that_only_closes_leaves_the_parents_connection(socket_path):
    peer = TablePeer(socket_path, {})
    with Client(socket_path) as client:
        child = os.fork()
        if child == 0:
            try:
                client.close()
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        client.ping()
    peer.stop()
    assert [request[0] for request in peer.requests] == ["hello", "ping"]


@pytest.mark.parametrize("fault", [StopIteration, StopAsyncIteration, KeyError])
def test_a_callback_that_raises_leaves_the_connection(fault, socket_path):
    def long(peer, msgid, params):
        peer.notify("progress", {"msgid": msgid, "progress": 1})
        peer.receive()  # the cancel
        return {}

    def on_progress(step):
        raise fault("a callback's fault")

    peer = TablePeer(socket_path, {"tools.call": long})
    with Client(socket_path) as client:
        with pytest.raises(fault):
            client.call_tool("t", on_progress=on_progress, timeout=SECONDS)
        client.ping()

    async def run():
        async with AsyncClient(socket_path) as aio:
            # No coroutine can raise StopIteration: Python makes a RuntimeError of it.
            with pytest.raises(RuntimeError if fault is StopIteration else fault):
                await aio.call_tool("t", on_progress=on_progress, timeout=SECONDS)
            await aio.ping()

    asyncio.run(run())
    peer.stop()
    assert [request[0] for request in peer.requests].count("hello") == 2
