# SPDX-License-Identifier: MIT
"""The client for threads: blocking calls over one connection, any number of them at a time."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Type

from . import errors
from .client_features import GRACE, ClientFeatures
from .deadline import Deadline, deadline_in, earlier, seconds_left
from .errors import ToolbrokerError
from .events import Subscriptions
from .link import Link, NotSent
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


class Client(ClientFeatures):
    """A connection to the daemon that any number of threads may use at the same time.

    socket             path; default: $TOOLBROKER_SOCKET, then the usual places
    agent, user,       defaults for the calls of this client
    locale
    connect_timeout    seconds for connecting and `hello`
    reconnect_timeout  how long a daemon that was there before is looked for
    on_notification    called with (method, params) for notifications that belong to no call that
                       asked for them; from the reading thread, so it must be quick, and must not
                       wait for another request
    on_elicitation,    answer what servers ask in the course of a call: functions of one question
    on_sampling,       (Elicitation, Sampling, Roots), each run in a thread of its own. What is
    on_roots           given is announced in `hello`; without one, servers are told no
    elicitation_modes  what on_elicitation can do: "form", "url" or both
    sampling_tools     on_sampling handles tools in its questions

    Connects when first used, and again when the daemon was restarted. A request is repeated on a
    new connection only if no byte of it was sent; a request whose answer was lost raises
    OUTCOME_UNKNOWN. After a fork the child opens a connection of its own.
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
        self._handlers.refuse_async()
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
        self._was_connected = False
        self._is_closed = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    # ---- life -------------------------------------------------------------------------------

    def connect(self) -> Dict[str, Any]:
        """Connects unless that is done; what the daemon answered to `hello`."""
        return self._connected(None).hello

    def close(self) -> None:
        """Ends the connection and, at the daemon, the calls under way."""
        self._is_closed = True
        self._closing.set()
        self._subscriptions.clear()
        link, self._link = self._link, None
        if link:
            link.close()

    def __enter__(self) -> "Client":
        self.connect()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        link = getattr(self, "_link", None)
        if link and self._pid == os.getpid():
            link.close()

    # ---- requests ---------------------------------------------------------------------------

    def request(
        self,
        method: str,
        params: Optional[Mapping[str, Any]] = None,
        *,
        timeout: Optional[float] = REQUEST_TIMEOUT,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        """Calls any method of the daemon. `on_notification` gets (method, params) of the
        notifications that belong to this request, in the calling thread. After `timeout` seconds
        (None: never) the request is cancelled and TIMEOUT raised."""
        deadline = deadline_in(timeout)
        body = None if params is None else dict(params)
        while True:
            link = self._connected(deadline)
            try:
                call = link.start(method, body, deadline, on_notification is not None)
            except NotSent:
                continue  # the next round connects anew, or says why it cannot
            try:
                return link.wait(call, deadline, on_notification)
            except ToolbrokerError as error:
                errors.with_key(error, method, body)
                raise

    def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """Sends a notification, which has no answer."""
        deadline = deadline_in(self._connect_timeout)
        while True:
            try:
                return self._connected(deadline).notify(
                    method, None if params is None else dict(params), deadline
                )
            except NotSent:
                continue

    def call_tool(
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
        on_progress,     called in this thread while it waits
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
        answer = self.request(
            "tools.call",
            params,
            timeout=None if timeout is None else timeout + GRACE,
            on_notification=listener(on_progress, on_log),
        )
        return ToolResult.from_wire(answer)

    def tools(
        self,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        service: Optional[str] = None,
        timeout: Optional[float] = 90.0,
    ) -> ToolList:
        """What the agent may call, and which services are unavailable."""
        params = given(agent=agent, user=user, service=service)
        return ToolList.from_wire(self.request("tools.list", params, timeout=timeout))

    def services(self) -> List[Dict[str, Any]]:
        """The state of every service."""
        return list(self.request("services.status")["services"])

    def ping(self, *, timeout: Optional[float] = REQUEST_TIMEOUT) -> None:
        self.request("ping", timeout=timeout)

    # ---- connecting -------------------------------------------------------------------------

    def _connected(self, deadline: Deadline) -> Link:
        if self._pid != os.getpid():
            self._after_fork()
        if self._is_closed:
            raise errors.invalid("this client was closed")
        link = self._link
        if link and link.is_alive:
            return link
        left = seconds_left(deadline)
        if not self._lock.acquire(timeout=-1 if left is None else left):
            raise errors.timed_out()
        try:
            if not self._link or not self._link.is_alive:
                self._link = self._connect(deadline)
            return self._link
        finally:
            self._lock.release()

    def _after_fork(self) -> None:
        if self._link:
            self._link.abandon()
        self._link = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._pid = os.getpid()

    def _connect(self, deadline: Deadline) -> Link:
        """A new connection that has said hello. A daemon that was there before is looked for."""
        patience = time.monotonic()
        if self._was_connected:
            patience = earlier(deadline, patience + self._reconnect_timeout)
        pause = NAP_FIRST
        while True:
            try:
                link = self._try_connect(deadline)
            except ToolbrokerError as error:
                if error.code != "UNAVAILABLE" or time.monotonic() >= patience:
                    raise
            else:
                self._was_connected = True
                return link
            if self._closing.wait(pause):
                raise errors.invalid("this client was closed")
            pause = min(pause * 2, NAP_LONGEST)

    def _try_connect(self, deadline: Deadline) -> Link:
        limit = earlier(deadline, time.monotonic() + self._connect_timeout)
        try:
            link = Link(
                self.socket,
                limit,
                self._frame_bytes,
                self._on_notification,
                self._handlers,
                self._subscriptions,
            )
        except OSError as error:
            raise errors.no_connection(self.socket, error) from error
        try:
            hello = link.wait(link.start("hello", self._hello, limit), limit)
            link.greeted(hello if isinstance(hello, dict) else {}, limit)
        except (NotSent, ToolbrokerError) as error:
            link.close()
            if isinstance(error, NotSent) or error.code == "OUTCOME_UNKNOWN":
                # `hello` does nothing, and the caller's request was not sent.
                raise errors.unavailable("the daemon closed the connection at once") from error
            raise
        except BaseException:
            link.close()
            raise
        return link
