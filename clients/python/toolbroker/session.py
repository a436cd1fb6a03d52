# SPDX-License-Identifier: MIT
"""One connection's calls and questions, and which of them each message is for.

This is all of a link that does not depend on how one waits. `sync.link` adds a socket and threads,
`aio.link` adds streams and tasks.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Dict, Optional, Union

from . import errors
from .deadline import Deadline, deadline_in
from .errors import ToolbrokerError
from .protocol import Connection, Message, Notification, Request, Response
from .questions import QUESTIONS_MAX, Pending, overloaded
from .settings import Settings

CANCEL_SECONDS = 0.1  # for what must not keep anybody: the `cancel` of a call that is given up
ANSWER_SECONDS = 30.0  # for the answer to a question, to a daemon that does not read

Outcome = Union[Response, ToolbrokerError]  # the latter: the connection ended
Arrival = Union[Outcome, Notification]

_log = logging.getLogger("toolbroker")


class NotSent(Exception):
    """The connection had ended before the first byte of a request was out."""


def result_of(outcome: Outcome) -> Any:
    if isinstance(outcome, ToolbrokerError):
        raise outcome
    if outcome.error:
        raise outcome.error
    return outcome.result


class Call:
    """One request under way. `put` is given what arrives for it, its outcome last."""

    msgid = 0  # known once the request is made up
    wants_notifications = False

    def put(self, arrival: Arrival) -> None:
        raise NotImplementedError


class Renewal(Call):
    """A subscription that is asked for again on a new connection: nobody waits for the answer."""

    def put(self, arrival: Arrival) -> None:
        if isinstance(arrival, Response) and arrival.error:
            _log.warning("a subscription could not be renewed: %s", arrival.error)


class Session:
    """One connection, whoever reads and writes it: a link gives what it reads to `_receive`, calls
    `_end` when that is over, and brings `_send` and `_start`.

    Any thread may use it: the lock covers the message numbers and both tables. It is held for no
    callback and for no await.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = Connection(settings.frame_bytes)
        self._lock = threading.Lock()
        self._calls: Dict[int, Call] = {}
        self._questions: Dict[int, Pending] = {}
        self._is_over = False
        self._is_greeted = False
        self.hello: Dict[str, Any] = {}

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        """All of `frame`. NotSent: no byte of it was sent, and none will be."""
        raise NotImplementedError

    def _start(self, pending: Pending) -> None:
        """Has a thread or a task of its own call the handler, and then `_answered`. RuntimeError:
        there are no more threads."""
        raise NotImplementedError

    # ---- what this client sends -------------------------------------------------------------

    def greeted(self, hello: Any, deadline: Deadline) -> None:
        """`hello` was answered: the connection is ready, and renews the subscriptions."""
        self.hello = hello if isinstance(hello, dict) else {}
        self._is_greeted = True
        limits = self.hello.get("limits")
        frame_bytes = limits.get("frame_bytes") if isinstance(limits, dict) else None
        self._connection.send_max = frame_bytes if isinstance(frame_bytes, int) else 0
        for method, params in self._settings.subscriptions.requests():
            self._send(self._expect(Renewal(), method, params), deadline)

    def notify(self, method: str, params: Optional[Dict[str, Any]], deadline: Deadline) -> None:
        self._send(self._connection.notification(method, params), deadline)

    def _expect(self, call: Call, method: str, params: Optional[Dict[str, Any]]) -> bytes:
        """Expects the answer to `call` from now on; its frame."""
        with self._lock:
            if self._is_over:
                raise NotSent
            call.msgid = self._connection.take_msgid()
            frame = self._connection.request(call.msgid, method, params)
            self._calls[call.msgid] = call
        return frame

    def _forget(self, msgid: int) -> Optional[Call]:
        """Expects no answer any more; the call, if it was open."""
        with self._lock:
            return self._calls.pop(msgid, None)

    def _cancel(self, call: Call) -> None:
        self._try_send(self._connection.cancel(call.msgid), CANCEL_SECONDS)

    def _try_send(self, frame: bytes, seconds: float) -> None:
        try:
            self._send(frame, deadline_in(seconds))
        except (ToolbrokerError, NotSent) as error:
            _log.debug("not sent, the connection is gone or stuck: %r", error)

    # ---- what arrives -----------------------------------------------------------------------

    def _receive(self, data: bytes) -> None:
        for message in self._connection.receive(data):
            self._dispatch(message)

    def _end(self, error: Optional[ToolbrokerError]) -> None:
        """Nothing arrives any more: tells everybody who waits. `error`: why, if that is known."""
        with self._lock:
            self._is_over = True
            calls = list(self._calls.values())
            self._calls.clear()
            questions = list(self._questions.values())
            self._questions.clear()
        for call in calls:
            call.put(error or errors.outcome_unknown())
        for pending in questions:
            pending.take_back()
        if self._is_greeted:
            self._settings.subscriptions.lost()

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Request):
            self._asked(message)
        elif isinstance(message, Response):
            call = self._forget(message.msgid)
            if call:  # else it was given up
                call.put(message)
        elif message.method == "cancel":
            self._taken_back(message.msgid)
        elif message.method == "event":
            if not self._settings.subscriptions.tell(message.params):
                self._tell(message)
        else:
            self._notified(message)

    def _notified(self, message: Notification) -> None:
        with self._lock:
            call = None if message.msgid is None else self._calls.get(message.msgid)
        if call and call.wants_notifications:
            call.put(message)
        else:
            self._tell(message)

    def _tell(self, message: Notification) -> None:
        if self._settings.on_notification:
            try:
                self._settings.on_notification(message.method, message.params)
            except Exception:  # the caller's fault must not end everybody's connection
                _log.exception("on_notification failed")

    # ---- questions --------------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        pending = self._settings.handlers.pending(request)
        if not pending:
            self._try_send(self._connection.refuse(request), CANCEL_SECONDS)
        elif not self._take_on(pending):
            self._try_send(self._connection.fail(pending.msgid, overloaded()), CANCEL_SECONDS)

    def _take_on(self, pending: Pending) -> bool:
        with self._lock:
            if len(self._questions) >= QUESTIONS_MAX:
                return False
            self._questions[pending.msgid] = pending
        try:
            self._start(pending)
        except RuntimeError:
            self._taken_back(pending.msgid)
            return False
        return True

    def _taken_back(self, msgid: Optional[int]) -> None:
        with self._lock:
            pending = None if msgid is None else self._questions.pop(msgid, None)
        if pending:
            pending.take_back()

    def _answered(self, pending: Pending, frame: bytes) -> None:
        """Sends the answer, unless nobody waits for it any more."""
        with self._lock:
            is_open = self._questions.get(pending.msgid) is pending
            if is_open:
                del self._questions[pending.msgid]
        if is_open:
            self._try_send(frame, ANSWER_SECONDS)
