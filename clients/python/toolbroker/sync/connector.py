# SPDX-License-Identifier: MIT
"""The link of one client for threads: made when first wanted, and anew when it has ended."""

from __future__ import annotations

import os
import threading
from typing import Optional

from .. import errors
from ..deadline import Deadline, seconds_left
from ..settings import Settings
from .dial import dial
from .link import Link


class Connector:
    """Any number of threads may want the link; one of them makes it, within its own deadline."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link: Optional[Link] = None
        self._was_connected = False
        self._is_closed = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        settings.handlers.refuse_async()

    def link(self, deadline: Deadline) -> Link:
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
                patience = self._settings.reconnect_timeout if self._was_connected else 0
                self._link = dial(self._settings, deadline, patience, self._nap)
                self._was_connected = True
            return self._link
        finally:
            self._lock.release()

    def close(self) -> None:
        if self._pid != os.getpid():
            self._after_fork()
        self._is_closed = True
        self._closing.set()
        self._settings.subscriptions.clear()
        link, self._link = self._link, None
        if link:
            link.drop()

    def __del__(self) -> None:
        if self._link and self._pid == os.getpid():
            self._link.drop()

    def _after_fork(self) -> None:
        if self._link:
            self._link.abandon()
        self._link = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._pid = os.getpid()

    def _nap(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise errors.invalid("this client was closed")
