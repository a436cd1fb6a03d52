# SPDX-License-Identifier: MIT
"""One connection of the client for asyncio: streams, the reading task, the calls that wait and the
tasks that answer questions."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket as sockets
import time
from typing import Any, Coroutine, Dict, Optional, Set, Tuple, Union

from . import errors
from .deadline import Deadline, deadline_in, seconds_left
from .errors import ToolbrokerError
from .events import Subscriptions
from .protocol import Connection, Message, Notification, Request, Response
from .questions import QUESTIONS_MAX, Handlers, Pending, overloaded
from .results import OnNotification

READ_BYTES = 262144
ACCEPT_NAP = 0.01
RENEW_SECONDS = 90.0
CLOSE_SECONDS = 1.0  # for handlers that are cancelled

_log = logging.getLogger("toolbroker")


class NotSent(Exception):
    """The connection had ended before the first byte of a request was out."""


class Call:
    """One request under way."""

    def __init__(self, msgid: int, on_notification: Optional[OnNotification]) -> None:
        self.msgid = msgid
        self.on_notification = on_notification
        self.answer: "asyncio.Future[Any]" = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


async def open_connection(
    path: str, deadline: float
) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """BlockingIOError: the daemon's queue of connections stays full. asyncio's own connecting takes
    that for a connection that is being made, and then for one that is there."""
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(path)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(ACCEPT_NAP)
        return await asyncio.open_unix_connection(sock=sock)
    except BaseException:
        sock.close()
        raise


class Link:
    """One open socket with all that waits on it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frame_bytes: int,
        on_notification: Optional[OnNotification],
        handlers: Handlers,
        subscriptions: Subscriptions,
    ) -> None:
        self._connection = Connection(frame_bytes)
        self._reader = reader
        self._writer = writer
        self._on_notification = on_notification
        self._handlers = handlers
        self._subscriptions = subscriptions
        self._questions: Dict[Optional[int], Tuple[Pending, "asyncio.Task[None]"]] = {}
        self._tasks: "Set[asyncio.Task[None]]" = set()  # loops keep only weak references
        self._is_greeted = False
        self._calls: Dict[int, Call] = {}
        self._is_over = False
        self.hello: Dict[str, Any] = {}
        self._task = asyncio.get_running_loop().create_task(self._read())

    @property
    def is_alive(self) -> bool:
        return not (self._is_over or self._writer.is_closing() or self._reader.at_eof())

    def greeted(self, hello: Dict[str, Any]) -> None:
        self.hello = hello
        limits = hello.get("limits")
        frame_bytes = limits.get("frame_bytes") if isinstance(limits, dict) else None
        self._connection.send_max = frame_bytes if isinstance(frame_bytes, int) else 0
        self._is_greeted = True
        for method, params in self._subscriptions.requests():
            self._spawn(self._renew(method, params))

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait([self._task])
        mine = asyncio.current_task()
        tasks = {task for task in self._tasks if task is not mine}
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    def _spawn(self, work: "Coroutine[Any, Any, None]") -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _renew(self, method: str, params: Dict[str, Any]) -> None:
        try:
            await self.request(method, params, deadline_in(RENEW_SECONDS))
        except ToolbrokerError as error:
            _log.warning("a subscription could not be renewed: %s", error)
        except NotSent:
            pass  # the connection has ended again

    async def request(
        self,
        method: str,
        params: Optional[Dict[str, Any]],
        deadline: Deadline,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """The result. Whatever ends the waiting early, cancellation included, cancels the call."""
        if not self.is_alive:
            raise NotSent
        msgid = self._connection.take_msgid()
        frame = self._connection.request(msgid, method, params)
        call = Call(msgid, on_notification)
        self._calls[msgid] = call
        try:
            self._write(frame)
            await asyncio.wait([call.answer], timeout=seconds_left(deadline))
            if not call.answer.done():
                raise errors.unanswered()
            return call.answer.result()
        finally:
            self._calls.pop(msgid, None)
            if not call.answer.done():
                call.answer.cancel()
                self._cancel(msgid)
            elif not call.answer.cancelled():
                call.answer.exception()  # seen, also when the task was cancelled meanwhile

    def notify(self, method: str, params: Optional[Dict[str, Any]]) -> None:
        if not self.is_alive:
            raise NotSent
        self._write(self._connection.notification(method, params))

    def _write(self, frame: bytes) -> None:
        """Hands `frame` to the transport, which tries to send at once if nothing is queued: a
        transport that closes in that moment has sent nothing of it."""
        transport = self._writer.transport
        is_first = transport.get_write_buffer_size() == 0
        self._writer.write(frame)
        if is_first and transport.is_closing():
            raise NotSent

    def _cancel(self, msgid: int) -> None:
        if self.is_alive:
            self._writer.write(self._connection.cancel(msgid))

    async def _read(self) -> None:
        """The reading task: hands out what arrives until the connection ends."""
        end: Optional[ToolbrokerError] = None
        try:
            while True:
                data = await self._reader.read(READ_BYTES)
                if not data:
                    break
                for message in self._connection.receive(data):
                    self._dispatch(message)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            self._is_over = True
            self._writer.close()
            for call in list(self._calls.values()):
                call.fail(end or errors.outcome_unknown())
            for pending, task in list(self._questions.values()):
                pending.take_back()
                task.cancel()
            self._questions.clear()
            if self._is_greeted:
                self._subscriptions.lost()

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Request):
            self._asked(message)
        elif isinstance(message, Notification) and message.method == "cancel":
            pending, task = self._questions.pop(message.msgid, (None, None))
            if pending and task:
                pending.take_back()
                task.cancel()
        elif isinstance(message, Notification) and message.method == "event":
            if not self._subscriptions.tell(message.params):
                self._tell(message)
        else:
            self._dispatch_to_call(message)

    def _dispatch_to_call(self, message: Union[Response, Notification]) -> None:
        call = self._calls.get(message.msgid) if message.msgid is not None else None
        if isinstance(message, Response):
            if call and not call.answer.done():  # else it was given up
                if message.error:
                    call.answer.set_exception(message.error)
                else:
                    call.answer.set_result(message.result)
        elif call and call.on_notification:
            self._tell_call(call, message.method, message.params, call.on_notification)
        else:
            self._tell(message)

    def _tell(self, message: Notification) -> None:
        if self._on_notification:
            try:
                self._on_notification(message.method, message.params)
            except Exception:  # the caller's fault must not end everybody's connection
                _log.exception("on_notification failed")

    def _tell_call(
        self, call: Call, method: str, params: Dict[str, Any], tell: OnNotification
    ) -> None:
        """A callback that raises ends its own call: the exception comes out of the await."""
        if call.answer.done():
            return
        try:
            tell(method, params)
        except Exception as error:
            call.fail(error)
            self._cancel(call.msgid)

    # ---- questions --------------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        pending = self._handlers.pending(request)
        if not pending:
            self._writer.write(self._connection.refuse(request))
        elif len(self._questions) >= QUESTIONS_MAX:
            self._writer.write(self._connection.fail(pending.msgid, overloaded()))
        else:
            self._questions[pending.msgid] = (pending, self._spawn(self._answer(pending)))

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
        open_one, _ = self._questions.get(pending.msgid, (None, None))
        if open_one is pending:
            del self._questions[pending.msgid]
            if self.is_alive:
                self._writer.write(frame)
