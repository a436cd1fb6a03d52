# SPDX-License-Identifier: MIT
"""One connection of the client for threads: a socket, its reading thread, the calls that wait."""

from __future__ import annotations

import logging
import queue
import select
import socket as sockets
import threading
import time
from typing import Any, Dict, Optional, Union

from . import errors
from .deadline import Deadline, deadline_in, seconds_left
from .errors import ToolbrokerError
from .protocol import Connection, Event, Notification, Request, Response
from .results import OnNotification

READ_BYTES = 262144
CANCEL_SECONDS = 0.1  # for the `cancel` of a call that is given up
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

    def __init__(self, msgid: int, wants_notifications: bool) -> None:
        self.msgid = msgid
        self.wants_notifications = wants_notifications
        self.events: "queue.SimpleQueue[Arrival]" = queue.SimpleQueue()


class Link:
    """One open socket, its reading thread and the calls that wait on it."""

    def __init__(
        self,
        path: str,
        deadline: float,
        frame_bytes: int,
        on_notification: Optional[OnNotification],
    ) -> None:
        self._connection = Connection(frame_bytes)
        self._on_notification = on_notification
        self._lock = threading.Lock()  # of the calls and the msgids
        self._write_lock = threading.Lock()
        self._calls: Dict[int, Call] = {}
        self._is_over = False
        self.hello: Dict[str, Any] = {}
        self._socket = open_socket(path, deadline)
        self._thread = threading.Thread(target=self._read, name="toolbroker", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return not self._is_over

    def greeted(self, hello: Dict[str, Any]) -> None:
        self.hello = hello
        limits = hello.get("limits")
        frame_bytes = limits.get("frame_bytes") if isinstance(limits, dict) else None
        self._connection.send_max = frame_bytes if isinstance(frame_bytes, int) else 0

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
    ) -> Call:
        if threading.current_thread() is self._thread:
            raise errors.invalid("on_notification may not wait for another request")
        with self._lock:
            if self._is_over:
                raise NotSent
            msgid = self._connection.take_msgid()
            frame = self._connection.request(msgid, method, params)
            call = Call(msgid, wants_notifications)
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
                for event in self._connection.receive(data):
                    self._dispatch(event)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            with self._lock:
                self._is_over = True
                calls = list(self._calls.values())
                self._calls.clear()
            for call in calls:
                call.events.put(end or errors.outcome_unknown())
            with self._write_lock:
                self._socket.close()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Request):
            try:
                self._send(self._connection.refuse(event), deadline_in(CANCEL_SECONDS))
            except (ToolbrokerError, NotSent):
                pass
            return
        with self._lock:
            call = self._calls.get(event.msgid) if event.msgid is not None else None
        if isinstance(event, Response):
            if call:  # else it was given up
                call.events.put(event)
        elif call and call.wants_notifications:
            call.events.put(event)
        elif self._on_notification:
            try:
                self._on_notification(event.method, event.params)
            except Exception:  # the caller's fault must not end everybody's connection
                _log.exception("on_notification failed")
