# SPDX-License-Identifier: MIT
"""MessagePack-RPC without input or output: what both clients share.

A `Connection` turns requests into bytes and bytes into messages. It knows nothing of sockets, threads
or tasks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Dict, List, Optional, Union

import msgpack

from .errors import ToolbrokerError, internal, invalid

VERSION = "0.1.0"
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
EXT_NUMBER = 1  # a number that no int64, uint64 or float64 holds, as its decimal text
FRAME_BYTES = 64 * 1024 * 1024
ELEMENTS = 1_000_000  # of one array or map: the decoder makes room for what a header claims
MSGID_END = 1 << 32


@dataclass(frozen=True)
class Response:
    msgid: int
    error: Optional[ToolbrokerError]
    result: Any


@dataclass(frozen=True)
class Notification:
    method: str
    params: Dict[str, Any]

    @property
    def msgid(self) -> Optional[int]:
        """The call that it belongs to, if it belongs to one."""
        msgid = self.params.get("msgid")
        return msgid if isinstance(msgid, int) else None


@dataclass(frozen=True)
class Request:
    """The daemon asks. `Connection.refuse` is the answer of a client that offers nothing."""

    msgid: int
    method: str
    params: Dict[str, Any]


Message = Union[Response, Notification, Request]


def default_socket(environ: Optional[Dict[str, str]] = None) -> str:
    """Where the daemon is looked for, unless a path is given."""
    env = os.environ if environ is None else environ
    given = env.get("TOOLBROKER_SOCKET", "")
    if given:
        return given
    system = "/run/toolbroker/toolbroker.sock"
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):
        return system
    path = f"{runtime}/toolbroker/toolbroker.sock"
    return system if not os.path.exists(path) and os.path.exists(system) else path


def _decode_ext(code: int, data: bytes) -> Any:
    if code != EXT_NUMBER:
        return msgpack.ExtType(code, data)
    text = data.decode("ascii")
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"not a number: {text!r}") from None


def _encode_other(value: Any) -> Any:
    if isinstance(value, (int, Decimal)):
        if isinstance(value, Decimal) and not value.is_finite():
            raise TypeError(f"{value} is no JSON number")
        return msgpack.ExtType(EXT_NUMBER, str(value).encode("ascii"))
    raise TypeError(f"a value of type {type(value).__name__} cannot be sent")


def encode(message: List[Any]) -> bytes:
    try:
        packed: bytes = msgpack.packb(message, use_bin_type=True, default=_encode_other)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid(f"the request cannot be encoded: {error}") from error
    return packed


class Connection:
    """One connection's bytes: give it what arrives, send what it returns."""

    def __init__(self, frame_bytes: int = FRAME_BYTES) -> None:
        self._next_msgid = 1
        self.send_max = 0  # the daemon's limit for one frame; 0: not known yet
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=True,
            ext_hook=_decode_ext,
            max_buffer_size=frame_bytes,
            max_str_len=frame_bytes,
            max_bin_len=frame_bytes,
            max_ext_len=frame_bytes,
            max_array_len=min(ELEMENTS, frame_bytes),
            max_map_len=min(ELEMENTS, frame_bytes),
        )

    def take_msgid(self) -> int:
        msgid = self._next_msgid
        self._next_msgid = (msgid + 1) % MSGID_END
        return msgid

    def request(self, msgid: int, method: str, params: Optional[Dict[str, Any]]) -> bytes:
        frame = encode([REQUEST, msgid, method, [] if params is None else [params]])
        return self._checked(frame, "request")

    def notification(self, method: str, params: Optional[Dict[str, Any]]) -> bytes:
        return encode([NOTIFICATION, method, [] if params is None else [params]])

    def cancel(self, msgid: int) -> bytes:
        return self.notification("cancel", {"msgid": msgid})

    def answer(self, msgid: int, result: Dict[str, Any]) -> bytes:
        return self._checked(encode([RESPONSE, msgid, None, result]), "answer")

    def fail(self, msgid: int, error: ToolbrokerError) -> bytes:
        return encode([RESPONSE, msgid, error.as_dict(), None])

    def refuse(self, request: Request) -> bytes:
        error = ToolbrokerError("METHOD_NOT_FOUND", f"this client has no method {request.method}")
        return self.fail(request.msgid, error)

    def _checked(self, frame: bytes, what: str) -> bytes:
        if self.send_max and len(frame) > self.send_max:
            raise ToolbrokerError(
                "OVERLOADED",
                f"the {what} has {len(frame)} bytes; the daemon takes {self.send_max}",
                suggestion=f"Send less in one {what}.",
            )
        return frame

    def receive(self, data: bytes) -> List[Message]:
        """The messages that `data` completes. Raises ToolbrokerError when the peer speaks something
        else or passes a limit; the connection is of no use then."""
        messages: List[Message] = []
        try:
            self._unpacker.feed(data)
            for value in self._unpacker:
                messages.append(_message(value))
        except ToolbrokerError:
            raise
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            raise _not_rpc(str(error) or type(error).__name__) from error
        return messages


def _not_rpc(why: str) -> ToolbrokerError:
    return internal(
        f"what the peer sent is no MessagePack-RPC, or passes a limit: {why}",
        "Look at what listens at the socket: it does not behave like toolbrokerd.",
    )


def _is_msgid(value: Any) -> bool:
    return type(value) is int and 0 <= value < MSGID_END


def _params(value: Any) -> Dict[str, Any]:
    first = value[0] if value else {}
    return first if isinstance(first, dict) else {}


def _message(message: Any) -> Message:
    if isinstance(message, list) and message:
        kind = message[0]
        if kind == RESPONSE and len(message) == 4 and _is_msgid(message[1]):
            error = None if message[2] is None else ToolbrokerError.from_wire(message[2])
            return Response(message[1], error, message[3])
        if (
            kind == NOTIFICATION
            and len(message) == 3
            and isinstance(message[1], str)
            and isinstance(message[2], list)
        ):
            return Notification(message[1], _params(message[2]))
        if (
            kind == REQUEST
            and len(message) == 4
            and _is_msgid(message[1])
            and isinstance(message[2], str)
            and isinstance(message[3], list)
        ):
            return Request(message[1], message[2], _params(message[3]))
    raise _not_rpc("not a message")
