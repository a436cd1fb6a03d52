# SPDX-License-Identifier: MIT
"""Daemons that are none: one plays a transcript and checks every message, one answers from a table."""

import json
import os
import socket
import threading
import time
from decimal import Decimal

import msgpack

SECONDS = 60  # a test that hangs fails after this


def number_ext(value):
    return msgpack.ExtType(1, str(value).encode())


def to_wire(value, names):
    """A value of the transcript as it travels: names bound, big numbers as ext type 1."""
    if isinstance(value, str) and value.startswith("$"):
        return names[value]
    if isinstance(value, list):
        return [to_wire(item, names) for item in value]
    if isinstance(value, dict):
        return {key: to_wire(item, names) for key, item in value.items()}
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else number_ext(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(1 << 63) <= value < 1 << 64 else number_ext(value)
    return value


def from_wire(value):
    """What arrived, in the transcript's terms."""
    if isinstance(value, msgpack.ExtType):
        assert value.code == 1, value
        return json.loads(value.data, parse_float=Decimal)
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    if isinstance(value, dict):
        return {key: from_wire(item) for key, item in value.items()}
    return Decimal(repr(value)) if isinstance(value, float) else value


def match(expected, got, names, place="message"):
    """Compares, binds `$names` at their first use, lets `*` stand for anything."""
    if expected == "*":
        return
    if isinstance(expected, str) and expected.startswith("$"):
        assert names.setdefault(expected, got) == got, f"{place}: {expected} is another"
    elif isinstance(expected, list):
        assert isinstance(got, list) and len(got) == len(expected), f"{place}: {got!r}"
        for index, item in enumerate(expected):
            match(item, got[index], names, f"{place}[{index}]")
    elif isinstance(expected, dict):
        assert isinstance(got, dict) and list(got) == list(expected), f"{place}: {got!r}"
        for key, item in expected.items():
            match(item, got[key], names, f"{place}.{key}")
    else:
        assert type(got) is type(expected) and got == expected, f"{place}: {got!r}"


class Peer:
    """Listens at `path`; subclasses say what happens in `play`. `finish` raises what went wrong."""

    def __init__(self, path):
        self.path = path
        self.failure = None
        self.listener = None
        self.connection = None
        self.listen()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def listen(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(SECONDS)
        self.listener.bind(self.path)
        self.listener.listen(8)

    def unlisten(self):
        self.listener.close()
        os.unlink(self.path)

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(SECONDS)
        self.unpacker = msgpack.Unpacker(raw=False)

    def receive(self):
        """The next message; None when the client has closed."""
        while True:
            for message in self.unpacker:
                return message
            data = self.connection.recv(65536)
            if not data:
                return None
            self.unpacker.feed(data)

    def _run(self):
        try:
            self.play()
        except BaseException as failure:  # noqa: B902 - given to the test's own thread
            self.failure = failure
        finally:
            if self.connection:
                self.connection.close()
            self.listener.close()

    def finish(self):
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "the script was not played to its end"
        if self.failure:
            raise self.failure


class ScriptPeer(Peer):
    """Plays the `peer` steps of one scenario of transcript.json."""

    def __init__(self, path, steps):
        self.steps = steps
        self.names = {}
        self.done = [threading.Event() for _ in steps]
        super().__init__(path)

    def play(self):
        self.accept()
        for number, step in enumerate(self.steps):
            ((verb, argument),) = step.items()
            try:
                getattr(self, "do_" + verb)(argument)
            except (AssertionError, OSError) as failure:
                raise AssertionError(f"step {number} {step}: {failure}") from failure
            self.done[number].set()

    def await_step(self, number):
        assert self.done[number].wait(SECONDS), f"step {number} was not reached"

    def do_expect(self, message):
        got = self.receive()
        assert got is not None, "the client closed the connection"
        match(message, from_wire(got), self.names)

    def do_send(self, message):
        self.connection.sendall(msgpack.packb(to_wire(message, self.names)))

    def do_send_hex(self, text):
        self.connection.sendall(bytes.fromhex(text))

    def do_send_zeros(self, count):
        try:
            self.connection.sendall(bytes(count))
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed already, which is what expect_close is for

    def do_send_slowly(self, message):
        for byte in msgpack.packb(to_wire(message, self.names)):
            self.connection.sendall(bytes([byte]))

    def do_send_together(self, messages):
        self.connection.sendall(
            b"".join(msgpack.packb(to_wire(message, self.names)) for message in messages)
        )

    def do_close(self, _):
        self.connection.close()

    def do_accept(self, _):
        self.accept()

    def do_listen(self, on):
        if on:
            self.listen()
        else:
            self.unlisten()

    def do_expect_close(self, _):
        try:
            got = self.receive()
        except ConnectionResetError:  # closed with bytes of ours unread
            got = None
        assert got is None, f"{got} instead of the end"


class TablePeer(Peer):
    """Answers any number of requests of one client after another from a table of results; a
    result that is an exception is sent as an error, a function is called with the params."""

    def __init__(self, path, table):
        self.table = {"hello": {"limits": {}}, "ping": {}, **table}
        self.requests = []
        self.answered = []  # methods whose answers were sent
        self.is_stopped = False
        super().__init__(path)

    def play(self):
        while True:
            self.accept()
            if self.is_stopped:
                return
            self.serve()

    def serve(self):
        while True:
            try:
                message = self.receive()
            except ConnectionResetError:  # closed with bytes of ours unread
                message = None
            if message is None:
                self.connection.close()
                return
            if message[0] != 0:
                self.requests.append(message)
                continue
            _, msgid, method, params = message
            self.requests.append((method, params[0] if params else None))
            result = self.table[method]
            if callable(result):
                result = result(self, msgid, params[0] if params else None)
            is_error = isinstance(result, dict) and "code" in result and "message" in result
            answer = [1, msgid, result, None] if is_error else [1, msgid, None, result]
            try:
                self.connection.sendall(msgpack.packb(to_wire(answer, {})))
            except BrokenPipeError:  # the client did not wait for it
                return
            self.answered.append(method)

    def await_answered(self, method):
        """Until a request of that method was answered: what is sent from here on comes after that."""
        deadline = time.monotonic() + SECONDS
        while method not in self.answered:
            assert time.monotonic() < deadline, f"{method} was not answered"
            time.sleep(0.005)

    def notify(self, method, params):
        self.connection.sendall(msgpack.packb([2, method, [params]]))

    def stop(self):
        """Ends when the client has closed, and says what went wrong."""
        self.is_stopped = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
            visitor.connect(self.path)
            self.finish()
