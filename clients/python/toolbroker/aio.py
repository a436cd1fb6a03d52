# SPDX-License-Identifier: MIT
"""The client for asyncio: awaitable calls over one connection, any number of them at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Mapping, Optional, Set, Type

from . import errors
from .deadline import Deadline, deadline_in, seconds_left
from .errors import ToolbrokerError
from .protocol import (
    FRAME_BYTES,
    VERSION,
    Connection,
    Event,
    Request,
    Response,
    default_socket,
)
from .results import (
    OnNotification,
    Progress,
    ToolList,
    ToolResult,
    call_params,
    given,
    listener,
)

REQUEST_TIMEOUT = 30.0
GRACE = 0.5  # the daemon's own TIMEOUT says more than ours: it gets this much longer
READ_BYTES = 262144
NAP_FIRST, NAP_LONGEST = 0.01, 0.32


_log = logging.getLogger("toolbroker")


class _NotSent(Exception):
    """The connection had ended before the first byte of a request was out."""


class _Call:
    """One request under way."""

    def __init__(self, msgid: int, on_notification: Optional[OnNotification]) -> None:
        self.msgid = msgid
        self.on_notification = on_notification
        self.answer: "asyncio.Future[Any]" = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Link:
    """One open socket, its reading task and the calls that wait on it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frame_bytes: int,
        on_notification: Optional[OnNotification],
    ) -> None:
        self._connection = Connection(frame_bytes)
        self._reader = reader
        self._writer = writer
        self._on_notification = on_notification
        self._calls: Dict[int, _Call] = {}
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

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait([self._task])

    async def request(
        self,
        method: str,
        params: Optional[Dict[str, Any]],
        deadline: Deadline,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """The result. Whatever ends the waiting early, cancellation included, cancels the call."""
        if not self.is_alive:
            raise _NotSent
        msgid = self._connection.take_msgid()
        frame = self._connection.request(msgid, method, params)
        call = _Call(msgid, on_notification)
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
            raise _NotSent
        self._write(self._connection.notification(method, params))

    def _write(self, frame: bytes) -> None:
        """Hands `frame` to the transport, which tries to send at once if nothing is queued: a
        transport that closes in that moment has sent nothing of it."""
        transport = self._writer.transport
        is_first = transport.get_write_buffer_size() == 0
        self._writer.write(frame)
        if is_first and transport.is_closing():
            raise _NotSent

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
                for event in self._connection.receive(data):
                    self._dispatch(event)
        except ToolbrokerError as error:
            end = error
        except OSError:
            pass
        finally:
            self._is_over = True
            self._writer.close()
            for call in list(self._calls.values()):
                call.fail(end or errors.outcome_unknown())

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Request):
            self._writer.write(self._connection.refuse(event))
            return
        call = self._calls.get(event.msgid) if event.msgid is not None else None
        if isinstance(event, Response):
            if call and not call.answer.done():  # else it was given up
                if event.error:
                    call.answer.set_exception(event.error)
                else:
                    call.answer.set_result(event.result)
        elif call and call.on_notification:
            self._tell_call(call, event.method, event.params, call.on_notification)
        elif self._on_notification:
            try:
                self._on_notification(event.method, event.params)
            except Exception:  # the caller's fault must not end everybody's connection
                _log.exception("on_notification failed")

    def _tell_call(
        self, call: _Call, method: str, params: Dict[str, Any], tell: OnNotification
    ) -> None:
        """A callback that raises ends its own call: the exception comes out of the await."""
        if call.answer.done():
            return
        try:
            tell(method, params)
        except Exception as error:
            call.fail(error)
            self._cancel(call.msgid)


class AsyncClient:
    """A connection to the daemon for the tasks of one event loop.

    socket             path; default: $TOOLBROKER_SOCKET, then the usual places
    agent, user,       defaults for the calls of this client
    locale
    connect_timeout    seconds for connecting and `hello`
    reconnect_timeout  how long a daemon that was there before is looked for
    on_notification    called with (method, params) for notifications that belong to no call that
                       asked for them

    Cancelling a task that awaits a request cancels the request at the daemon. Connects when first
    used, and again when the daemon was restarted. A request is repeated on a new connection only
    if no byte of it was sent; a request whose answer was lost raises OUTCOME_UNKNOWN.
    """

    def __init__(
        self,
        socket: Optional[str] = None,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        locale: Optional[str] = None,
        name: str = "toolbroker-python",
        version: Optional[str] = None,
        connect_timeout: float = 5.0,
        reconnect_timeout: float = 5.0,
        frame_bytes: int = FRAME_BYTES,
        on_notification: Optional[OnNotification] = None,
    ) -> None:
        self.socket = socket or default_socket()
        self._hello = given(
            client=name, version=version or VERSION, agent=agent, user=user, locale=locale
        )
        self._connect_timeout = connect_timeout
        self._reconnect_timeout = reconnect_timeout
        self._frame_bytes = frame_bytes
        self._on_notification = on_notification
        self._link: Optional[_Link] = None
        self._connecting: "Optional[asyncio.Task[_Link]]" = None
        self._was_connected = False
        self._is_closed = False

    # ---- life -------------------------------------------------------------------------------

    async def connect(self) -> Dict[str, Any]:
        """Connects unless that is done; what the daemon answered to `hello`."""
        return (await self._connected(None)).hello

    async def close(self) -> None:
        """Ends the connection and, at the daemon, the calls under way."""
        self._is_closed = True
        if self._connecting:
            self._connecting.cancel()
        link, self._link = self._link, None
        if link:
            await link.close()

    async def __aenter__(self) -> "AsyncClient":
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    # ---- requests ---------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        params: Optional[Mapping[str, Any]] = None,
        *,
        timeout: Optional[float] = REQUEST_TIMEOUT,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """Calls any method of the daemon. `on_notification` gets (method, params) of the
        notifications that belong to this request. After `timeout` seconds (None: never) the
        request is cancelled and TIMEOUT raised."""
        deadline = deadline_in(timeout)
        body = None if params is None else dict(params)
        while True:
            link = await self._connected(deadline)
            try:
                return await link.request(method, body, deadline, on_notification)
            except _NotSent:
                continue  # the next round connects anew, or says why it cannot

    async def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """Sends a notification, which has no answer."""
        deadline = deadline_in(self._connect_timeout)
        while True:
            link = await self._connected(deadline)
            try:
                return link.notify(method, None if params is None else dict(params))
            except _NotSent:
                continue

    async def call_tool(
        self,
        tool: str,
        arguments: Optional[Mapping[str, Any]] = None,
        *,
        service: Optional[str] = None,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        locale: Optional[str] = None,
        timeout: Optional[float] = None,
        demo: Optional[str] = None,
        meta: Optional[Mapping[str, Any]] = None,
        on_progress: Optional[Callable[[Progress], None]] = None,
        on_log: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> ToolResult:
        """Calls "service/tool" or an operation. A failure that the tool itself reports is a
        result (`is_error`); everything else that fails raises ToolbrokerError.

        timeout          seconds; default: the service's own
        demo             "policy" (default), "never" or "only"
        on_progress,     called while the call is under way
        on_log
        """
        params = call_params(
            tool=tool,
            service=service,
            arguments=arguments,
            agent=agent,
            user=user,
            locale=locale,
            timeout=timeout,
            demo=demo,
            meta=meta,
        )
        answer = await self.request(
            "tools.call",
            params,
            timeout=None if timeout is None else timeout + GRACE,
            on_notification=listener(on_progress, on_log),
        )
        return ToolResult.from_wire(answer)

    async def tools(
        self,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        service: Optional[str] = None,
        timeout: Optional[float] = 90.0,
    ) -> ToolList:
        """What the agent may call, and which services are unavailable."""
        params = given(agent=agent, user=user, service=service)
        return ToolList.from_wire(await self.request("tools.list", params, timeout=timeout))

    async def services(self) -> List[Dict[str, Any]]:
        """The state of every service."""
        return list((await self.request("services.status"))["services"])

    async def ping(self, *, timeout: Optional[float] = REQUEST_TIMEOUT) -> None:
        await self.request("ping", timeout=timeout)

    # ---- connecting -------------------------------------------------------------------------

    async def _connected(self, deadline: Deadline) -> _Link:
        """The link. All tasks that want one share one attempt, which outlives each of them."""
        if self._is_closed:
            raise errors.invalid("this client was closed")
        if self._link and self._link.is_alive:
            return self._link
        if not self._connecting:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connect_done)
        connecting = self._connecting
        waiting: Set["asyncio.Task[_Link]"] = {connecting}
        await asyncio.wait(waiting, timeout=seconds_left(deadline))
        if not connecting.done():
            raise errors.timed_out()
        if connecting.cancelled():
            raise errors.invalid("this client was closed")
        return connecting.result()

    def _connect_done(self, task: "asyncio.Task[_Link]") -> None:
        self._connecting = None
        if not task.cancelled() and not task.exception():
            self._link = task.result()

    async def _connect(self) -> _Link:
        """A new connection that has said hello. A daemon that was there before is looked for."""
        patience = time.monotonic() + (self._reconnect_timeout if self._was_connected else 0)
        pause = NAP_FIRST
        while True:
            try:
                link = await self._try_connect()
            except ToolbrokerError as error:
                if error.code != "UNAVAILABLE" or time.monotonic() >= patience:
                    raise
            else:
                self._was_connected = True
                return link
            await asyncio.sleep(pause)
            pause = min(pause * 2, NAP_LONGEST)

    async def _try_connect(self) -> _Link:
        limit = time.monotonic() + self._connect_timeout
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_unix_connection(self.socket), self._connect_timeout
            )
        except asyncio.TimeoutError as error:
            raise errors.unavailable(
                f"the daemon at {self.socket} accepts no connections"
            ) from error
        except OSError as error:
            raise errors.no_connection(self.socket, error) from error
        link = _Link(reader, writer, self._frame_bytes, self._on_notification)
        try:
            hello = await link.request("hello", self._hello, limit)
        except (_NotSent, ToolbrokerError) as error:
            await link.close()
            if isinstance(error, _NotSent) or error.code == "OUTCOME_UNKNOWN":
                # `hello` does nothing, and the caller's request was not sent.
                raise errors.unavailable("the daemon closed the connection at once") from error
            raise
        except BaseException:
            writer.close()
            raise
        link.greeted(hello if isinstance(hello, dict) else {})
        return link
