# SPDX-License-Identifier: MIT
"""The client for asyncio: awaitable calls over one connection, any number of them at a time."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Type

from .. import errors
from ..deadline import deadline_in
from ..errors import ToolbrokerError
from ..events import Subscriptions
from ..protocol import FRAME_BYTES, VERSION, default_socket
from ..questions import MODES, Handlers, OnElicitation, OnRoots, OnSampling
from ..results import (
    OnNotification,
    Progress,
    ToolList,
    ToolResult,
    call_params,
    given,
    listener,
)
from ..session import NotSent
from ..settings import Settings
from .connector import Connector
from .features import GRACE, AsyncFeatures

REQUEST_TIMEOUT = 30.0


class AsyncClient(AsyncFeatures):
    """A connection to the daemon for the tasks of one event loop.

    socket             path; default: $TOOLBROKER_SOCKET, then the usual places
    agent, user,       defaults for the calls of this client
    locale
    connect_timeout    seconds for connecting and `hello`
    reconnect_timeout  how long a daemon that was there before is looked for
    on_notification    called with (method, params) for notifications that belong to no call that
                       asked for them; in the loop, so it must be quick
    on_elicitation,    answer what servers ask in the course of a call: functions of one question
    on_sampling,       (Elicitation, Sampling, Roots), plain or async, each run in a task of its
    on_roots           own. What is given is announced in `hello`; without one, servers are told no
    elicitation_modes  what on_elicitation can do: "form", "url" or both
    sampling_tools     on_sampling handles tools in its questions

    Connects when first used, and again when the daemon was restarted. A request is repeated on a
    new connection only if no byte of it was sent; a request whose answer was lost raises
    OUTCOME_UNKNOWN. Cancelling a task that awaits a request cancels it at the daemon.
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
        handlers = Handlers(
            on_elicitation, on_sampling, on_roots, elicitation_modes, sampling_tools
        )
        self._subscriptions = Subscriptions()
        self._settings = Settings(
            socket=socket or default_socket(),
            hello=given(
                client=name,
                version=version or VERSION,
                agent=agent,
                user=user,
                locale=locale,
                capabilities=handlers.capabilities or None,
            ),
            connect_timeout=connect_timeout,
            reconnect_timeout=reconnect_timeout,
            frame_bytes=frame_bytes,
            on_notification=on_notification,
            handlers=handlers,
            subscriptions=self._subscriptions,
        )
        self._connector = Connector(self._settings)

    @property
    def socket(self) -> str:
        """Where the daemon is looked for."""
        return self._settings.socket

    # ---- life -------------------------------------------------------------------------------

    async def connect(self) -> Dict[str, Any]:
        """Connects unless that is done; what the daemon answered to `hello`."""
        link = await self._connector.link(None)
        return link.hello

    async def close(self) -> None:
        """Ends the connection and, at the daemon, the calls under way."""
        await self._connector.close()

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
        notifications that belong to this request, in the loop. After `timeout` seconds
        (None: never) the request is cancelled and TIMEOUT raised."""
        deadline = deadline_in(timeout)
        body = None if params is None else dict(params)
        while True:
            link = await self._connector.link(deadline)
            try:
                return await link.request(method, body, deadline, on_notification)
            except NotSent:
                continue  # the next round connects anew, or says why it cannot
            except ToolbrokerError as error:
                errors.with_key(error, method, body)
                raise

    async def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """Sends a notification, which has no answer."""
        deadline = deadline_in(self._settings.connect_timeout)
        body = None if params is None else dict(params)
        while True:
            link = await self._connector.link(deadline)
            try:
                return link.notify(method, body, deadline)
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
        on_progress,     called in the loop while it waits
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
        answer = await self.request("services.status")
        return list(answer["services"])

    async def ping(self, *, timeout: Optional[float] = REQUEST_TIMEOUT) -> None:
        await self.request("ping", timeout=timeout)
