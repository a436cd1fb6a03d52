# SPDX-License-Identifier: MIT
"""A raw MessagePack-RPC client: independent of clients/python, so that both are witnesses."""

import socket
import time

import msgpack


class RpcError(Exception):
    """The error map of design section 3.1."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error

    def __getattr__(self, name):
        try:
            return self.error[name]
        except KeyError:
            raise AttributeError(name) from None


class Closed(Exception):
    """The daemon closed the connection."""


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpacker():
    return msgpack.Unpacker(
        raw=False, strict_map_key=False, max_buffer_size=1 << 30, ext_hook=msgpack.ExtType
    )


def connect(sock, path):
    """Waits for a place where the queue of the listening socket is full: with a timeout set, the
    system says EAGAIN at once, also where that queue is short (net.core.somaxconn)."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return sock.connect(str(path))
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


class Client:
    """One connection. Answers are matched by msgid; notifications are kept in `notes`."""

    def __init__(self, path, timeout=60, **hello):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        connect(self.socket, path)
        self.unpacker = unpacker()
        self.answers, self.notes, self.last_id = {}, [], 0
        if hello:
            self.hello = self.call("hello", client="scenario", version="1", **hello)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes -------------------------------------------------------------------------------

    def send_bytes(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next message, whatever it is."""
        while True:
            for message in self.unpacker:
                return message
            data = self.socket.recv(1 << 20)
            if not data:
                raise Closed
            self.unpacker.feed(data)

    # ---- requests ----------------------------------------------------------------------------

    def start(self, method, params=None, msgid=None):
        if msgid is None:
            self.last_id += 1
            msgid = self.last_id
        self.send_bytes(pack([0, msgid, method, [params] if params is not None else []]))
        return msgid

    def wait(self, msgid):
        while msgid not in self.answers:
            message = self.receive()
            if message[0] == 1:
                self.answers[message[1]] = message
            else:
                self.notes.append(message)
        _, _, error, result = self.answers.pop(msgid)
        if error is not None:
            raise RpcError(error)
        return result

    def call(self, method, **params):
        return self.wait(self.start(method, params if params else None))

    def notify(self, method, **params):
        self.send_bytes(pack([2, method, [params]]))

    def tool(self, tool, arguments=None, **more):
        """tools.call; gives the whole answer."""
        return self.call("tools.call", tool=tool, arguments=arguments or {}, **more)

    def text(self, tool, arguments=None, **more):
        """tools.call; gives the text of the first content."""
        return self.tool(tool, arguments, **more)["result"]["content"][0]["text"]

    def fails(self, method, **params):
        """The error of a request that must fail, and how long it took."""
        started = time.monotonic()
        try:
            result = self.call(method, **params)
        except RpcError as error:
            error.seconds = time.monotonic() - started
            check_error(error.error)
            return error
        raise AssertionError(f"{method} {params} succeeded: {result}")

    def tool_fails(self, tool, arguments=None, **more):
        return self.fails("tools.call", tool=tool, arguments=arguments or {}, **more)


REQUIRED = {"code", "message", "user_message", "suggestion", "retryable", "request_id"}
ALLOWED = REQUIRED | {"retry_after_ms", "details"}


def check_error(error):
    """Exactly the keys of design section 3.1, with their types."""
    assert REQUIRED <= set(error) <= ALLOWED, error
    for key in ("code", "message", "user_message", "suggestion", "request_id"):
        assert isinstance(error[key], str) and error[key], (key, error)
    assert isinstance(error["retryable"], bool), error
    assert isinstance(error.get("details", {}), dict), error
    assert isinstance(error.get("retry_after_ms", 0), int), error
