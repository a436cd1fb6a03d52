# SPDX-License-Identifier: MIT
"""One connection of the client for threads: a socket, its reading thread, the calls that wait and
the threads that answer questions."""

from __future__ import annotations

import os
import queue
import select
import socket as sockets
import threading
from typing import Any, Dict, Optional

from .. import errors
from ..deadline import Deadline, seconds_left
from ..errors import ToolbrokerError
from ..protocol import Notification
from ..questions import Pending
from ..results import OnNotification
from ..session import Arrival, Call, NotSent, Session, result_of
from ..settings import Settings

READ_BYTES = 262144


class QueuedCall(Call):
    """One request under way: what arrives for it, until the thread that waits takes it."""

    def __init__(self, wants_notifications: bool) -> None:
        self.wants_notifications = wants_notifications
        self._arrivals: "queue.SimpleQueue[Arrival]" = queue.SimpleQueue()

    def put(self, arrival: Arrival) -> None:
        self._arrivals.put(arrival)

    def take(self, deadline: Deadline) -> Arrival:
        try:
            return self._arrivals.get(timeout=seconds_left(deadline))
        except queue.Empty:
            raise errors.unanswered() from None


class Link(Session):
    """One open socket, and its reading thread."""

    def __init__(self, sock: sockets.socket, settings: Settings) -> None:
        super().__init__(settings)
        self._pid = os.getpid()
        self._write_lock = threading.Lock()
        self._socket = sock
        self._thread = threading.Thread(target=self._read, name="toolbroker", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, sock: sockets.socket, settings: Settings) -> "Link":
        """Takes over `sock`, which is connected and never blocks."""
        return cls(sock, settings)

    @property
    def is_alive(self) -> bool:
        return not self._is_over

    def drop(self) -> None:
        """Ends the connection; the reading thread sees it and ends the calls."""
        try:
            self._socket.shutdown(sockets.SHUT_RDWR)
        except OSError:
            pass

    close = drop  # there is nothing to wait for

    def abandon(self) -> None:
        """After a fork: gives the descriptor up without ending the parent's connection."""
        self._is_over = True
        self._socket.close()

    def request(
        self,
        method: str,
        params: Optional[Dict[str, Any]],
        deadline: Deadline,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """The result. Whatever ends the waiting early cancels the call."""
        if threading.current_thread() is self._thread:
            raise errors.invalid("on_notification may not wait for another request")
        call = QueuedCall(on_notification is not None)
        frame = self._expect(call, method, params)
        try:
            self._send(frame, deadline)
        except BaseException:
            self._forget(call.msgid)
            raise
        is_over = False
        try:
            while True:
                arrival = call.take(deadline)
                if not isinstance(arrival, Notification):
                    is_over = True
                    return result_of(arrival)
                if on_notification:
                    on_notification(arrival.method, arrival.params)
        finally:
            self._forget(call.msgid)
            if not is_over:
                self._cancel(call)

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        """Half a frame ends the connection."""
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
            self.drop()
            if len(view) == len(frame):
                raise NotSent from error
            raise errors.unavailable(
                "the daemon closed the connection before the request was out"
            ) from error
        except BaseException:
            if len(view) < len(frame):
                self.drop()
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
                self._receive(data)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            self.drop()  # wakes a thread that waits for room: it holds the lock
            with self._write_lock:
                self._socket.close()
            self._end(end)

    def _start(self, pending: Pending) -> None:
        threading.Thread(
            target=self._answer, args=(pending,), name="toolbroker-question", daemon=True
        ).start()

    def _answer(self, pending: Pending) -> None:
        """The thread of one question."""
        try:
            frame = pending.answer(self._connection, pending.call())
        except BaseException:  # also SystemExit: the server waits for an answer
            frame = pending.failed(self._connection)
        if self._pid == os.getpid():  # else forked inside the handler: it is the parent's to answer
            self._answered(pending, frame)
