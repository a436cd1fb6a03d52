# SPDX-License-Identifier: MIT
"""One connection of the client for asyncio: streams, the reading task, the calls that wait and the
tasks that answer questions."""

from __future__ import annotations

import asyncio
import inspect
import socket as sockets
from typing import Any, Dict, Optional, Set, Union

from .. import errors
from ..deadline import Deadline, seconds_left
from ..errors import ToolbrokerError
from ..protocol import Notification
from ..questions import Pending
from ..results import OnNotification
from ..session import Arrival, Call, NotSent, Outcome, Session, result_of
from ..settings import Settings

READ_BYTES = 262144
CLOSE_SECONDS = 1.0  # for a daemon that does not read, and for handlers that are cancelled


class AwaitedCall(Call):
    """One request under way. A callback that raises ends it: that comes out of the await."""

    def __init__(self, on_notification: Optional[OnNotification]) -> None:
        self.wants_notifications = on_notification is not None
        self._on_notification = on_notification
        self.is_over = False  # at the daemon
        self.done: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        self._outcome: Union[None, Outcome, Exception] = None

    def put(self, arrival: Arrival) -> None:
        if not isinstance(arrival, Notification):
            self.is_over = True
            self._finish(arrival)
        elif self._on_notification and not self._outcome:
            try:
                self._on_notification(arrival.method, arrival.params)
            except Exception as error:
                self._finish(error)

    def _finish(self, outcome: Union[Outcome, Exception]) -> None:
        if not self._outcome:
            self._outcome = outcome
            self.done.set_result(None)

    def result(self) -> Any:
        if self._outcome is None:
            raise errors.unanswered()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return result_of(self._outcome)


class Link(Session):
    """One open pair of streams, and its reading task."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: Settings
    ) -> None:
        super().__init__(settings)
        self._reader = reader
        self._writer = writer
        self._answering: "Set[asyncio.Task[None]]" = set()  # loops keep only weak references
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, sock: sockets.socket, settings: Settings) -> "Link":
        """Takes over `sock`, which is connected and never blocks."""
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        return cls(reader, writer, settings)

    @property
    def is_alive(self) -> bool:
        return not (self._is_over or self._writer.is_closing() or self._reader.at_eof())

    def drop(self) -> None:
        """Ends the connection; the reading task sees it and ends the calls."""
        self._writer.close()

    async def close(self) -> None:
        """Waits for that, and for the handlers, though not for long."""
        self.drop()
        done, _ = await asyncio.wait([self._reading], timeout=CLOSE_SECONDS)
        if not done:  # what is queued keeps the transport open
            self._writer.transport.abort()
            await asyncio.wait([self._reading])
        others = self._answering - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=CLOSE_SECONDS)

    async def request(
        self,
        method: str,
        params: Optional[Dict[str, Any]],
        deadline: Deadline,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """The result. Whatever ends the waiting early, cancellation included, cancels the call."""
        call = AwaitedCall(on_notification)
        frame = self._expect(call, method, params)
        try:
            self._send(frame, deadline)
            await asyncio.wait([call.done], timeout=seconds_left(deadline))
            return call.result()
        finally:
            self._forget(call.msgid)
            if not call.is_over:
                self._cancel(call)

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        """Hands `frame` to the transport, which tries to send at once if nothing is queued: a
        transport that closes in that moment has sent nothing of it."""
        if not self.is_alive:
            raise NotSent
        transport = self._writer.transport
        is_first = transport.get_write_buffer_size() == 0
        self._writer.write(frame)
        if is_first and transport.is_closing():
            raise NotSent

    async def _read(self) -> None:
        """The reading task: hands out what arrives until the connection ends."""
        end: Optional[ToolbrokerError] = None
        try:
            while True:
                data = await self._reader.read(READ_BYTES)
                if not data:
                    break
                self._receive(data)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            self._writer.transport.abort()  # nobody reads what is queued
            self._end(end)

    def _start(self, pending: Pending) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(pending))
        pending.when_taken_back(task.cancel)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, pending: Pending) -> None:
        """The task of one question."""
        try:
            value = pending.call()
            if inspect.isawaitable(value):
                value = await value
            frame = pending.answer(self._connection, value)
        except asyncio.CancelledError:
            if pending.question.is_cancelled:
                raise  # nobody waits for an answer
            frame = pending.failed(self._connection)  # the handler cancelled itself
        except Exception:
            frame = pending.failed(self._connection)
        self._answered(pending, frame)
