# SPDX-License-Identifier: MIT
# Written by unasync.py from aio/dial.py: change that, and run it.
"""Making a connection: the socket, `hello`, and the looking for a daemon that was there before."""

from __future__ import annotations

import socket as sockets
import time
from time import sleep
from typing import Callable

from .. import errors
from ..deadline import Deadline, earlier
from ..errors import ToolbrokerError
from ..session import NotSent
from ..settings import Settings
from .link import Link

ACCEPT_NAP = 0.01
NAP_FIRST, NAP_LONGEST = 0.01, 0.32


def dial(
    settings: Settings,
    deadline: Deadline,
    patience: float,
    nap: Callable[[float], None],
) -> Link:
    """A link that has said hello. No daemon: tries again for `patience` seconds, with naps."""
    until = earlier(deadline, time.monotonic() + patience)
    pause = NAP_FIRST
    while True:
        try:
            return _greet(settings, deadline)
        except ToolbrokerError as error:
            if error.code != "UNAVAILABLE" or time.monotonic() >= until:
                raise
        nap(pause)
        pause = min(pause * 2, NAP_LONGEST)


def _greet(settings: Settings, deadline: Deadline) -> Link:
    limit = earlier(deadline, time.monotonic() + settings.connect_timeout)
    try:
        link = _connect(settings, limit)
    except OSError as error:
        raise errors.no_connection(settings.socket, error) from error
    try:
        link.greeted(link.request("hello", settings.hello, limit), limit)
    except (NotSent, ToolbrokerError) as error:
        link.close()
        if isinstance(error, NotSent) or error.code == "OUTCOME_UNKNOWN":
            # `hello` does nothing, and the caller's request was not sent.
            raise errors.unavailable("the daemon closed the connection at once") from error
        raise
    except BaseException:
        link.drop()
        raise
    return link


def _connect(settings: Settings, deadline: float) -> Link:
    """Tries again while the daemon's queue of connections is full: an event loop's own connecting
    takes that for a connection that is being made, and then for one that is there."""
    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(settings.socket)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
            sleep(ACCEPT_NAP)
        return Link.open(sock, settings)
    except BaseException:
        sock.close()
        raise
