# SPDX-License-Identifier: MIT
"""One connection of the client for threads: a socket, its reading thread, the calls that wait."""

from __future__ import annotations

import logging
import os
import queue
import select
import socket as sockets
import threading
import time
from typing import Any, Dict, Optional, Union

from . import errors
from .deadline import Deadline, deadline_in, seconds_left
from .errors import ToolbrokerError
from .events import Subscriptions
from .protocol import Connection, Message, Notification, Request, Response
from .questions import QUESTIONS_MAX, Handlers, Pending, overloaded
from .results import OnNotification

READ_BYTES = 262144
CANCEL_SECONDS = 0.1  # for the `cancel` of a call that is given up
ANSWER_SECONDS = 30.0  # for the answer to a question, to a daemon that does not read
ACCEPT_NAP = 0.01

Arrival = Union[Response, Notification, ToolbrokerError]  # the last one: the connection ended

_log = logging.getLogger("toolbroker")


class NotSent(Exception):
    """The connection had ended before the first byte of a request was out."""


def open_socket(path: str, deadline: float) -> sockets.socket:
    """A connected socket that never blocks. BlockingIOError: the daemon's queue stays full."""
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(path)
                return sock
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(ACCEPT_NAP)
    except BaseException:
        sock.close()
        raise


class Call:
    """One request under way: what arrives for it."""

    def __init__(self, msgid: int, wants_notifications: bool, is_awaited: bool = True) -> None:
        self.msgid = msgid
        self.wants_notifications = wants_notifications
        self.is_awaited = is_awaited
        self.events: "queue.SimpleQueue[Arrival]" = queue.SimpleQueue()


class Link:
    """One open socket, its reading thread, the calls that wait on it and the questions that come
    by it, each answered in a thread of its own."""

    def __init__(
        self,
        path: str,
        deadline: float,
        frame_bytes: int,
        on_notification: Optional[OnNotification],
        handlers: Handlers,
        subscriptions: Subscriptions,
    ) -> None:
        self._connection = Connection(frame_bytes)
        self._on_notification = on_notification
        self._handlers = handlers
        self._subscriptions = subscriptions
        self._questions: Dict[int, Pending] = {}
        self._pid = os.getpid()
        self._lock = threading.Lock()  # of the calls and the msgids
        self._write_lock = threading.Lock()
        self._calls: Dict[int, Call] = {}
        self._is_over = False
        self._is_greeted = False
        self.hello: Dict[str, Any] = {}
        self._socket = open_socket(path, deadline)
        self._thread = threading.Thread(target=self._read, name="toolbroker", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return not self._is_over

    def greeted(self, hello: Dict[str, Any], deadline: float) -> None:
        self.hello = hello
        self._is_greeted = True
        limits = hello.get("limits")
        frame_bytes = limits.get("frame_bytes") if isinstance(limits, dict) else None
        self._connection.send_max = frame_bytes if isinstance(frame_bytes, int) else 0
        for method, params in self._subscriptions.requests():
            self.start(method, params, deadline, is_awaited=False)

    def close(self) -> None:
        """Ends the connection; the reading thread sees it and ends the calls."""
        try:
            self._socket.shutdown(sockets.SHUT_RDWR)
        except OSError:
            pass

    def abandon(self) -> None:
        """After a fork: gives the descriptor up without ending the parent's connection."""
        self._is_over = True
        self._socket.close()

    def start(
        self,
        method: str,
        params: Optional[Dict[str, Any]],
        deadline: Deadline,
        wants_notifications: bool = False,
        is_awaited: bool = True,
    ) -> Call:
        if threading.current_thread() is self._thread:
            raise errors.invalid("on_notification may not wait for another request")
        with self._lock:
            if self._is_over:
                raise NotSent
            msgid = self._connection.take_msgid()
            frame = self._connection.request(msgid, method, params)
            call = Call(msgid, wants_notifications, is_awaited)
            self._calls[msgid] = call
        try:
            self._send(frame, deadline)
        except BaseException:
            self._forget(call)
            raise
        return call

    def wait(
        self, call: Call, deadline: Deadline, on_notification: Optional[OnNotification] = None
    ) -> Any:
        """The result of `call`. Whatever ends the waiting early cancels the call."""
        is_over = False
        try:
            while True:
                event = self._next_event(call, deadline)
                if isinstance(event, Notification):
                    if on_notification:
                        on_notification(event.method, event.params)
                    continue
                is_over = True
                if isinstance(event, ToolbrokerError):
                    raise event
                if event.error:
                    raise event.error
                return event.result
        finally:
            self._forget(call)
            if not is_over:
                self._cancel(call)

    @staticmethod
    def _next_event(call: Call, deadline: Deadline) -> Arrival:
        try:
            return call.events.get(timeout=seconds_left(deadline))
        except queue.Empty:
            raise errors.unanswered() from None

    def notify(self, method: str, params: Optional[Dict[str, Any]], deadline: Deadline) -> None:
        self._send(self._connection.notification(method, params), deadline)

    def _forget(self, call: Call) -> None:
        with self._lock:
            self._calls.pop(call.msgid, None)

    def _cancel(self, call: Call) -> None:
        try:
            self._send(self._connection.cancel(call.msgid), deadline_in(CANCEL_SECONDS))
        except (ToolbrokerError, NotSent):
            pass  # the connection is gone, and the call with it

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        """All of `frame`. NotSent if the peer had gone; half a frame ends the connection."""
        view = memoryview(frame)
        left = seconds_left(deadline)
        if not self._write_lock.acquire(timeout=-1 if left is None else left):
            raise errors.timed_out()
        try:
            while view:
                try:
                    view = view[self._socket.send(view) :]
                except BlockingIOError:
                    self._await_room(deadline)
        except OSError as error:
            self._is_over = True
            self.close()
            if len(view) == len(frame):
                raise NotSent from error
            raise errors.unavailable(
                "the daemon closed the connection before the request was out"
            ) from error
        except BaseException:
            if len(view) < len(frame):
                self.close()
            raise
        finally:
            self._write_lock.release()

    def _await_room(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        left = seconds_left(deadline)
        if not poll.poll(None if left is None else int(left * 1000) + 1):
            raise errors.timed_out()

    def _read(self) -> None:
        """The reading thread: hands out what arrives until the connection ends."""
        end: Optional[ToolbrokerError] = None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            while True:
                poll.poll()
                try:
                    data = self._socket.recv(READ_BYTES)
                except (BlockingIOError, InterruptedError):
                    continue
                if not data:
                    break
                for message in self._connection.receive(data):
                    self._dispatch(message)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            with self._lock:
                self._is_over = True
                calls = list(self._calls.values())
                self._calls.clear()
                questions = list(self._questions.values())
                self._questions.clear()
            for call in calls:
                call.events.put(end or errors.outcome_unknown())
            for question in questions:
                question.take_back()
            with self._write_lock:
                self._socket.close()
            if self._is_greeted:
                self._subscriptions.lost()

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Request):
            self._asked(message)
        elif isinstance(message, Notification) and message.method == "cancel":
            self._taken_back(message.msgid)
        elif isinstance(message, Notification) and message.method == "event":
            if not self._subscriptions.tell(message.params):
                self._tell(message)
        else:
            self._dispatch_to_call(message)

    def _dispatch_to_call(self, message: Union[Response, Notification]) -> None:
        with self._lock:
            call = self._calls.get(message.msgid) if message.msgid is not None else None
            if call and not call.is_awaited and isinstance(message, Response):
                del self._calls[call.msgid]
        if call and not call.is_awaited:
            if isinstance(message, Response) and message.error:
                _log.warning("a subscription could not be renewed: %s", message.error)
        elif isinstance(message, Response):
            if call:  # else it was given up
                call.events.put(message)
        elif call and call.wants_notifications:
            call.events.put(message)
        else:
            self._tell(message)

    def _tell(self, message: Notification) -> None:
        if self._on_notification:
            try:
                self._on_notification(message.method, message.params)
            except Exception:  # the caller's fault must not end everybody's connection
                _log.exception("on_notification failed")

    # ---- questions --------------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        pending = self._handlers.pending(request)
        if not pending:
            self._send_answer(self._connection.refuse(request), CANCEL_SECONDS)
            return
        with self._lock:
            is_too_much = len(self._questions) >= QUESTIONS_MAX
            if not is_too_much:
                self._questions[pending.msgid] = pending
        try:
            if not is_too_much:
                threading.Thread(
                    target=self._answer, args=(pending,), name="toolbroker-question", daemon=True
                ).start()
        except RuntimeError:  # the system gives no more threads
            is_too_much = True
            self._taken_back(pending.msgid)
        if is_too_much:
            frame = self._connection.fail(pending.msgid, overloaded())
            self._send_answer(frame, CANCEL_SECONDS)

    def _taken_back(self, msgid: Optional[int]) -> None:
        with self._lock:
            pending = None if msgid is None else self._questions.pop(msgid, None)
        if pending:
            pending.take_back()

    def _answer(self, pending: Pending) -> None:
        """The thread of one question."""
        try:
            frame = pending.answer(self._connection, pending.call())
        except BaseException:  # also SystemExit: the server waits for an answer
            frame = pending.failed(self._connection)
        if self._pid != os.getpid():
            return  # forked inside the handler: the connection is the parent's
        with self._lock:
            is_open = self._questions.get(pending.msgid) is pending
            if is_open:
                del self._questions[pending.msgid]
        if is_open:
            self._send_answer(frame, ANSWER_SECONDS)

    def _send_answer(self, frame: bytes, seconds: float) -> None:
        try:
            self._send(frame, deadline_in(seconds))
        except (ToolbrokerError, NotSent) as error:
            _log.debug("an answer was not sent: %s", error or "the connection had ended")
