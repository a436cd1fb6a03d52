# SPDX-License-Identifier: MIT
"""Frames that no client should send: an error or a close, and nobody else notices."""

import struct

import msgpack
import pytest

from daemon import IS_SANITIZED, Pinger, echo_stdio, eventually
from rpc import Client, Closed, pack

# What is sent, and whether the daemon must close the connection afterwards.
CLOSES = {
    "array header of 4 billion": b"\xdd\xff\xff\xff\xff",
    "map header of 4 billion": b"\x94\x00\x01\xa4ping\x91\xdf\xff\xff\xff\xff",
    "text of 4 GB": b"\x94\x00\x01\xdb\xff\xff\xff\xff",
    "bytes of 4 GB": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xc6\xff\xff\xff\xff",
    "ext of 4 GB": b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xc9\xff\xff\xff\xff\x01",
    "nesting of 1000": b"\x94\x00\x01\xa4ping\x91\x81\xa1x" + b"\x91" * 1000 + b"\xc0",
    "the byte that is never used": b"\xc1",
    "a number instead of an array": b"\x07",
    "a map instead of an array": b"\x81\x00\x01",
    "text instead of an array": b"\xa5hello",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "JSON": b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
    "an empty array": pack([]),
    "too few": pack([0, 1, "ping"]),
    "too many": pack([0, 1, "ping", [], 5]),
    "unknown type": pack([7, 1, "ping", []]),
    "type is text": pack(["0", 1, "ping", []]),
    "msgid negative": pack([0, -1, "ping", []]),
    "msgid too large": pack([0, 1 << 32, "ping", []]),
    "msgid is text": pack([0, "1", "ping", []]),
    "msgid is nil": pack([0, None, "ping", []]),
    "msgid is a fraction": pack([0, 1.5, "ping", []]),
}

ANSWERS = {
    "method is a number": pack([0, 1, 5, []]),
    "method is nil": pack([0, 1, None, []]),
    "method is bytes": pack([0, 1, b"ping", []]),
    "method is no UTF-8": b"\x94\x00\x01\xa4p\xff\xfeg\x90",
    "method is empty": pack([0, 1, "", []]),
    "params is nil": pack([0, 1, "ping", None]),
    "params is a map": pack([0, 1, "ping", {"a": 1}]),
    "params is text": pack([0, 1, "ping", "x"]),
    "two params": pack([0, 1, "ping", [{}, {}]]),
    "param is a number": pack([0, 1, "ping", [5]]),
    "param is an array": pack([0, 1, "ping", [[]]]),
    "key is a number": pack([0, 1, "tools.call", [{5: 1}]]),
    "key is no UTF-8": b"\x94\x00\x01\xaatools.call\x91\x81\xa2\xff\xfe\x01",
    "value is no UTF-8": b"\x94\x00\x01\xaatools.call\x91\x81\xa4tool\xa2\xff\xfe",
    "deep no UTF-8": b"\x94\x00\x01\xaatools.call\x91\x83\xa5agent\xa6tester\xa4tool\xa9echo/echo"
    b"\xa9arguments\x81\xa7message\xa1\xff",
    "a key twice": b"\x94\x00\x01\xaatools.call\x91\x82\xa4tool\xa3x/y\xa4tool\xa3x/z",
    "ext as argument": pack([0, 1, "tools.call", [{"tool": msgpack.ExtType(5, b"x")}]]),
}

LEGAL = {
    "msgid 0": (pack([0, 0, "ping", []]), 0),
    "msgid 2^32-1": (pack([0, (1 << 32) - 1, "ping", []]), (1 << 32) - 1),
    "msgid as uint64": (b"\x94\x00\xcf" + struct.pack(">Q", 5) + b"\xa4ping\x90", 5),
    "msgid as int64": (b"\x94\x00\xd3" + struct.pack(">q", 5) + b"\xa4ping\x90", 5),
    "msgid as float64": (b"\x94\x00\xcb" + struct.pack(">d", 5.0) + b"\xa4ping\x90", 5),
    "wide headers": (b"\xdd\0\0\0\4\xcd\0\0\xce\0\0\0\7\xdb\0\0\0\4ping\xdc\0\0", 7),
}


@pytest.fixture
def started(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    return daemon


def drain(client, wanted=(99,)):
    """What comes until the daemon closes, or all of `wanted` is answered."""
    seen = []
    try:
        while not set(wanted) <= {message[1] for message in seen}:
            seen.append(client.receive())
        return seen, False
    except (Closed, ConnectionResetError):
        return seen, True


def send(client, data):
    """Sends it in one write, with a ping behind it."""
    client.send_bytes(data + pack([0, 99, "ping", []]))


@pytest.mark.parametrize("name", CLOSES)
def test_what_is_no_frame_closes_the_connection(started, name):
    before = started.resident()
    with started.client() as other, Client(started.socket, 20) as client:
        send(client, CLOSES[name])
        seen, is_closed = drain(client)
        assert is_closed, seen
        for message in seen:
            assert message[0] == 1 and message[2]["code"] in ("INVALID_REQUEST", "OVERLOADED"), seen
        assert other.call("ping", x=1) == {"x": 1}
    assert started.resident() - before < 8 << 20


@pytest.mark.parametrize("name", ANSWERS)
def test_a_bad_request_gets_an_error(started, name):
    with started.client() as other, Client(started.socket, 20) as client:
        send(client, ANSWERS[name])
        seen, is_closed = drain(client, (1, 99))
        first = next(message for message in seen if message[1] == 1)
        assert first[:2] == [1, 1] and first[2] is not None, seen
        assert first[2]["code"] in ("INVALID_REQUEST", "VALIDATION_ERROR", "METHOD_NOT_FOUND"), first
        assert not is_closed or name.startswith(("method is", "params is", "two", "param")), name
        assert other.call("ping", x=1) == {"x": 1}


@pytest.mark.parametrize("name", LEGAL)
def test_every_legal_encoding_is_taken(started, name):
    data, msgid = LEGAL[name]
    with Client(started.socket, 20) as client:
        client.send_bytes(data)
        assert client.receive()[:3] == [1, msgid, None]


def test_one_byte_at_a_time(started):
    value = {"text": "ñandú", "list": list(range(50)), "n": None, "f": 1.5, "big": 2**63}
    frame = pack([0, 5, "ping", [value]])
    with Client(started.socket, 20) as client:
        for at in range(len(frame)):
            client.send_bytes(frame[at : at + 1])
        assert client.receive() == [1, 5, None, value]


def test_many_in_one_write(started):
    with Client(started.socket, 20) as client:
        client.send_bytes(b"".join(pack([0, i, "ping", [{"i": i}]]) for i in range(2000)))
        got = {client.receive()[3]["i"] for _ in range(2000)}
        assert got == set(range(2000))


def test_garbage_after_a_valid_frame(started):
    with Client(started.socket, 20) as client:
        client.send_bytes(pack([0, 5, "ping", [{"a": 1}]]) + b"\xc1\xc1\xc1")
        seen, is_closed = drain(client)
        assert seen[0] == [1, 5, None, {"a": 1}] and is_closed


def test_unknown_notifications_and_stray_answers_are_nothing(started):
    with Client(started.socket, 20) as client:
        client.send_bytes(pack([2, "no.such", [{}]]) + pack([2, "cancel", [{"msgid": 77}]]))
        client.send_bytes(pack([1, 5, None, {}]))
        assert client.call("ping", ok=True) == {"ok": True}


def test_truncated_frames_cost_nothing(started):
    """Half a frame, then gone, a thousand times; and large ones announced but never sent."""
    frame = pack([0, 5, "ping", [{"text": "x" * 5000}]])
    with Pinger(started):
        for at in range(300):
            with Client(started.socket, 20) as client:
                client.send_bytes(frame[: at * len(frame) // 300])
        before = started.resident()
        waiting = []
        for _ in range(100):
            client = Client(started.socket, 20)
            client.send_bytes(b"\x94\x00\x01\xa4ping\x91\x81\xa1x\xdb\x00\xf0\x00\x00" + b"x" * 1000)
            waiting.append(client)
        eventually(lambda: started.descriptors() > 100, what="a hundred connections")
        grown = started.resident() - before
        assert grown < (64 << 20 if IS_SANITIZED else 16 << 20), f"{grown} bytes for 100 KB"
        for client in waiting:
            client.close()
    eventually(lambda: started.descriptors() < 40, 10, "closed connections")


def test_all_bad_frames_again_and_again_leave_memory_flat(started):
    everything = list(CLOSES.values()) + list(ANSWERS.values())

    def round_of_all():
        for data in everything:
            with Client(started.socket, 20) as client:
                client.send_bytes(data)

    with Pinger(started):
        for _ in range(10):
            round_of_all()
        before = started.resident()
        for _ in range(30):
            round_of_all()
        assert started.resident() - before < 8 << 20
