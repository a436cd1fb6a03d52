# SPDX-License-Identifier: MIT
"""The client for asyncio: awaitable calls over one connection, any number of them at a time."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set, Type

from . import errors
from .aio_features import GRACE, AsyncFeatures
from .aio_link import Link, NotSent, open_connection
from .deadline import Deadline, deadline_in, seconds_left
from .errors import ToolbrokerError
from .events import Subscriptions
from .protocol import FRAME_BYTES, VERSION, default_socket
from .questions import MODES, Handlers, OnElicitation, OnRoots, OnSampling
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
NAP_FIRST, NAP_LONGEST = 0.01, 0.32


class AsyncClient(AsyncFeatures):
    """A connection to the daemon for the tasks of one event loop.

    socket             path; default: $TOOLBROKER_SOCKET, then the usual places
    agent, user,       defaults for the calls of this client
    locale
    connect_timeout    seconds for connecting and `hello`
    reconnect_timeout  how long a daemon that was there before is looked for
    on_notification    called with (method, params) for notifications that belong to no call that
                       asked for them
    on_elicitation,    answer what servers ask in the course of a call: functions, plain or async,
    on_sampling,       of one question (Elicitation, Sampling, Roots), each run in a task of its
    on_roots           own. What is given is announced in `hello`; without one, servers are told no
    elicitation_modes  what on_elicitation can do: "form", "url" or both
    sampling_tools     on_sampling handles tools in its questions

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
        on_elicitation: Optional[OnElicitation] = None,
        on_sampling: Optional[OnSampling] = None,
        on_roots: Optional[OnRoots] = None,
        elicitation_modes: Iterable[str] = MODES,
        sampling_tools: bool = False,
    ) -> None:
        self.socket = socket or default_socket()
        self._handlers = Handlers(
            on_elicitation, on_sampling, on_roots, elicitation_modes, sampling_tools
        )
        self._subscriptions = Subscriptions()
        self._hello = given(
            client=name,
            version=version or VERSION,
            agent=agent,
            user=user,
            locale=locale,
            capabilities=self._handlers.capabilities or None,
        )
        self._connect_timeout = connect_timeout
        self._reconnect_timeout = reconnect_timeout
        self._frame_bytes = frame_bytes
        self._on_notification = on_notification
        self._link: Optional[Link] = None
        self._connecting: "Optional[asyncio.Task[Link]]" = None
        self._was_connected = False
        self._is_closed = False

    # ---- life -------------------------------------------------------------------------------

    async def connect(self) -> Dict[str, Any]:
        """Connects unless that is done; what the daemon answered to `hello`."""
        return (await self._connected(None)).hello

    async def close(self) -> None:
        """Ends the connection and, at the daemon, the calls under way."""
        self._is_closed = True
        self._subscriptions.clear()
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
            except NotSent:
                continue  # the next round connects anew, or says why it cannot
            except ToolbrokerError as error:
                errors.with_key(error, method, body)
                raise

    async def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """Sends a notification, which has no answer."""
        deadline = deadline_in(self._connect_timeout)
        while True:
            link = await self._connected(deadline)
            try:
                return link.notify(method, None if params is None else dict(params))
            except NotSent:
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
        idempotency_key: Optional[str] = None,
        demo: Optional[str] = None,
        meta: Optional[Mapping[str, Any]] = None,
        log_level: Optional[str] = None,
        task: bool = False,
        on_progress: Optional[Callable[[Progress], None]] = None,
        on_log: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> ToolResult:
        """Calls "service/tool" or an operation. A failure that the tool itself reports is a
        result (`is_error`); everything else that fails raises ToolbrokerError.

        timeout          seconds; default: the service's own
        idempotency_key  a name of your own for this call: it is done once in 24 hours, and a
                         repeat with the same key gets the first outcome
        demo             "policy" (default), "never" or "only"
        log_level        least severe log messages of the server that are wanted: "info" ...
        task             take a task's handle, where the server makes one, instead of its result
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
            idempotency_key=idempotency_key,
            demo=demo,
            meta=meta,
            log_level=log_level,
            task=task,
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

    async def _connected(self, deadline: Deadline) -> Link:
        """The link. All tasks that want one share one attempt, which outlives each of them."""
        if self._is_closed:
            raise errors.invalid("this client was closed")
        if self._link and self._link.is_alive:
            return self._link
        if not self._connecting:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connect_done)
        connecting = self._connecting
        waiting: Set["asyncio.Task[Link]"] = {connecting}
        await asyncio.wait(waiting, timeout=seconds_left(deadline))
        if not connecting.done():
            raise errors.timed_out()
        if connecting.cancelled():
            raise errors.invalid("this client was closed")
        return connecting.result()

    def _connect_done(self, task: "asyncio.Task[Link]") -> None:
        self._connecting = None
        if not task.cancelled() and not task.exception():
            self._link = task.result()

    async def _connect(self) -> Link:
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

    async def _try_connect(self) -> Link:
        limit = time.monotonic() + self._connect_timeout
        try:
            reader, writer = await open_connection(self.socket, limit)
        except OSError as error:
            raise errors.no_connection(self.socket, error) from error
        link = Link(
            reader,
            writer,
            self._frame_bytes,
            self._on_notification,
            self._handlers,
            self._subscriptions,
        )
        try:
            hello = await link.request("hello", self._hello, limit)
        except (NotSent, ToolbrokerError) as error:
            await link.close()
            if isinstance(error, NotSent) or error.code == "OUTCOME_UNKNOWN":
                # `hello` does nothing, and the caller's request was not sent.
                raise errors.unavailable("the daemon closed the connection at once") from error
            raise
        except BaseException:
            writer.close()
            raise
        link.greeted(hello if isinstance(hello, dict) else {})
        return link
