# SPDX-License-Identifier: MIT
"""Servers and callers that say odd things: what is told of them is well-formed all the same."""

import socket
import threading
import time

import pytest

from daemon import echo_stdio, eventually, http

ECHO = {"message": "m"}
FIRE = "\N{FIRE}".encode()
FAR = 2**63 - 1


class Raw:
    """An HTTP server that answers every request with the same bytes."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                self.requests.append(connection.recv(65536))
                connection.sendall(self.answer)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def answer(status, content_type, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, content_type, len(body)) + body


ODD = {
    "a type in Latin-1": answer(b"200 OK", b"text/caf\xe9", b"x"),
    "long words": answer(b"500 No", b"application/json", b'{"jsonrpc":"2.0","id":1,"error":'
                         b'{"code":-32603,"message":"xyz' + FIRE * 300 + b'"}}'),
    "long words of one more": answer(b"500 No", b"application/json", b'{"jsonrpc":"2.0","id":1,"error":'
                                     b'{"code":-32603,"message":"x' + FIRE * 300 + b'"}}'),
    "long words of a refusal": answer(b"403 No", b"application/json", b'{"jsonrpc":"2.0","id":1,"error":'
                                      b'{"code":-32603,"message":"xyz' + FIRE * 300 + b'"}}'),
    "bytes that are no text": answer(b"500 No", b"application/json", b"\xff\xfe" * 100),
}  # fmt: skip


@pytest.mark.parametrize("odd", list(ODD))
def test_odd_words_of_servers(daemon, odd):
    server = Raw(ODD[odd])
    daemon.services({"s": http(server.port, breaker={"failures": 2}, retry=False)})
    daemon.start()
    with daemon.client() as client:
        client.call("events.subscribe", kinds=["service.breaker", "service.health", "service.state"])
        for _ in range(3):
            client.tool_fails("s/echo", ECHO)
        told = client.call("services.test", service="s")
        assert told["ok"] is False and told["steps"][-1]["error"]["message"]
        client.call("health.check", service="s")
        assert client.call("health.get")["services"][0]["reason"]
        assert client.call("services.events")["events"]
        assert client.call("health.history")["events"]
        assert client.call("services.status")["services"]
        assert client.call("activity.query")["calls"]
        client.call("ping")
    server.close()


@pytest.mark.parametrize("method", ["activity.query", "services.events", "health.history"])
@pytest.mark.parametrize("moment", [-FAR - 1, -1, 0, 1, FAR, -FAR])
def test_moments_beyond_all_bounds(daemon, method, moment):
    daemon.services({})
    daemon.start()
    member = "calls" if method == "activity.query" else "events"
    with daemon.client() as client:
        client.tool_fails("no/where")
        for key in ("since", "until"):
            if moment in (0, 1):
                assert isinstance(client.call(method, **{key: moment})[member], list)
            else:
                assert client.fails(method, **{key: moment}).code == "INVALID_REQUEST"
        assert isinstance(client.call(method, since=0, until=4_000_000_000_000)[member], list)


def test_the_first_answer_is_told_when_it_comes(daemon):
    daemon.services({"s": echo_stdio()})
    daemon.start()
    with daemon.client() as client:
        client.call("events.subscribe", kinds=["service.health"])
        time.sleep(0.5)
        before = client.call("health.get")["services"][0]
        assert before["status"] == "unknown"
        client.text("s/echo", ECHO)

        def told():
            client.call("ping")
            return [note[2][0] for note in client.notes if note[1] == "event"]

        eventually(told, 2, "an event")
        assert [(event["from"], event["state"]) for event in told()] == [("unknown", "up")]
        now = client.call("health.get")["services"][0]
        assert now["status"] == "up" and now["since"] > before["since"]
