# SPDX-License-Identifier: MIT
"""The client for threads: blocking calls over one connection, any number of them at a time."""

from __future__ import annotations

import logging
import os
import queue
import select
import socket as sockets
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Type, Union

from . import errors
from .deadline import Deadline, deadline_in, earlier, seconds_left
from .errors import ToolbrokerError
from .protocol import (
    FRAME_BYTES,
    Connection,
    Event,
    Notification,
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
CANCEL_SECONDS = 0.1  # for the `cancel` of a call that is given up
NAP_FIRST, NAP_LONGEST = 0.01, 0.32

_Arrival = Union[Response, Notification, ToolbrokerError]  # the last one: the connection ended

_log = logging.getLogger("toolbroker")


class _NotSent(Exception):
    """The connection had ended before the first byte of a request was out."""


def _open(path: str, deadline: float) -> sockets.socket:
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
                time.sleep(NAP_FIRST)
    except BaseException:
        sock.close()
        raise


class _Call:
    """One request under way: what arrives for it."""

    def __init__(self, msgid: int, wants_notifications: bool) -> None:
        self.msgid = msgid
        self.wants_notifications = wants_notifications
        self.events: "queue.SimpleQueue[_Arrival]" = queue.SimpleQueue()


class _Link:
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
        self._calls: Dict[int, _Call] = {}
        self._is_over = False
        self.hello: Dict[str, Any] = {}
        self._socket = _open(path, deadline)
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
    ) -> _Call:
        if threading.current_thread() is self._thread:
            raise errors.invalid("on_notification may not wait for another request")
        with self._lock:
            if self._is_over:
                raise _NotSent
            msgid = self._connection.take_msgid()
            frame = self._connection.request(msgid, method, params)
            call = _Call(msgid, wants_notifications)
            self._calls[msgid] = call
        try:
            self._send(frame, deadline)
        except BaseException:
            self._forget(call)
            raise
        return call

    def wait(
        self, call: _Call, deadline: Deadline, on_notification: Optional[OnNotification] = None
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
    def _next_event(call: _Call, deadline: Deadline) -> _Arrival:
        try:
            return call.events.get(timeout=seconds_left(deadline))
        except queue.Empty:
            raise errors.timed_out() from None

    def notify(self, method: str, params: Optional[Dict[str, Any]], deadline: Deadline) -> None:
        self._send(self._connection.notification(method, params), deadline)

    def _forget(self, call: _Call) -> None:
        with self._lock:
            self._calls.pop(call.msgid, None)

    def _cancel(self, call: _Call) -> None:
        try:
            self._send(self._connection.cancel(call.msgid), deadline_in(CANCEL_SECONDS))
        except (ToolbrokerError, _NotSent):
            pass  # the connection is gone, and the call with it

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        """All of `frame`. _NotSent if the peer had gone; half a frame ends the connection."""
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
                raise _NotSent from error
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
            except (ToolbrokerError, _NotSent):
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


class Client:
    """A connection to the daemon that any number of threads may use at the same time.

    socket             path; default: $TOOLBROKER_SOCKET, then the usual places
    agent, user,       defaults for the calls of this client
    locale
    connect_timeout    seconds for connecting and `hello`
    reconnect_timeout  how long a daemon that was there before is looked for
    on_notification    called with (method, params) for notifications that belong to no call that
                       asked for them; from the reading thread, so it must be quick, and must not
                       wait for another request

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
    ) -> None:
        self.socket = socket or default_socket()
        self._hello = given(
            client=name, version=version or "0.1.0", agent=agent, user=user, locale=locale
        )
        self._connect_timeout = connect_timeout
        self._reconnect_timeout = reconnect_timeout
        self._frame_bytes = frame_bytes
        self._on_notification = on_notification
        self._link: Optional[_Link] = None
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
            except _NotSent:
                continue  # the next round connects anew, or says why it cannot
            return link.wait(call, deadline, on_notification)

    def notify(self, method: str, params: Optional[Mapping[str, Any]] = None) -> None:
        """Sends a notification, which has no answer."""
        deadline = deadline_in(self._connect_timeout)
        while True:
            try:
                return self._connected(deadline).notify(
                    method, None if params is None else dict(params), deadline
                )
            except _NotSent:
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
        demo: Optional[str] = None,
        meta: Optional[Mapping[str, Any]] = None,
        on_progress: Optional[Callable[[Progress], None]] = None,
        on_log: Optional[Callable[[Dict[str, Any]], None]] = None,
    ) -> ToolResult:
        """Calls "service/tool" or an operation. A failure that the tool itself reports is a
        result (`is_error`); everything else that fails raises ToolbrokerError.

        timeout          seconds; default: the service's own
        demo             "policy" (default), "never" or "only"
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
            demo=demo,
            meta=meta,
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

    def _connected(self, deadline: Deadline) -> _Link:
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

    def _connect(self, deadline: Deadline) -> _Link:
        """A new connection that has said hello. A daemon that was there before is looked for."""
        patience = time.monotonic()
        if self._was_connected:
            patience = earlier(deadline, patience + self._reconnect_timeout)
        pause = NAP_FIRST
        while True:
            try:
                link, hello = self._try_connect(deadline)
            except ToolbrokerError as error:
                if error.code != "UNAVAILABLE" or time.monotonic() >= patience:
                    raise
            else:
                link.greeted(hello)
                self._was_connected = True
                return link
            if self._closing.wait(pause):
                raise errors.invalid("this client was closed")
            pause = min(pause * 2, NAP_LONGEST)

    def _try_connect(self, deadline: Deadline) -> Tuple[_Link, Dict[str, Any]]:
        limit = earlier(deadline, time.monotonic() + self._connect_timeout)
        try:
            link = _Link(self.socket, limit, self._frame_bytes, self._on_notification)
        except OSError as error:
            raise errors.no_connection(self.socket, error) from error
        try:
            hello = link.wait(link.start("hello", self._hello, limit), limit)
        except (_NotSent, ToolbrokerError) as error:
            link.close()
            if isinstance(error, _NotSent) or error.code == "OUTCOME_UNKNOWN":
                # `hello` does nothing, and the caller's request was not sent.
                raise errors.unavailable("the daemon closed the connection at once") from error
            raise
        except BaseException:
            link.close()
            raise
        return link, hello if isinstance(hello, dict) else {}
