# SPDX-License-Identifier: MIT
"""The link of one client for asyncio: made when first wanted, and anew when it has ended."""

from __future__ import annotations

import asyncio
from typing import Optional, Set

from .. import errors
from ..deadline import Deadline, seconds_left
from ..settings import Settings
from .dial import dial
from .link import Link


class Connector:
    """All tasks that want the link share one attempt to make it, which outlives each of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link: Optional[Link] = None
        self._dialling: "Optional[asyncio.Task[Link]]" = None
        self._was_connected = False
        self._is_closed = False

    async def link(self, deadline: Deadline) -> Link:
        if self._is_closed:
            raise errors.invalid("this client was closed")
        if self._link and self._link.is_alive:
            return self._link
        if not self._dialling:
            patience = self._settings.reconnect_timeout if self._was_connected else 0
            attempt = dial(self._settings, None, patience, asyncio.sleep)
            self._dialling = asyncio.get_running_loop().create_task(attempt)
            self._dialling.add_done_callback(self._dialled)
        dialling = self._dialling
        waiting: Set["asyncio.Task[Link]"] = {dialling}
        await asyncio.wait(waiting, timeout=seconds_left(deadline))
        if not dialling.done():
            raise errors.timed_out()
        if dialling.cancelled():
            raise errors.invalid("this client was closed")
        return dialling.result()

    def _dialled(self, task: "asyncio.Task[Link]") -> None:
        self._dialling = None
        if task.cancelled() or task.exception():
            return
        self._link = task.result()
        self._was_connected = True
        if self._is_closed:  # in that very moment
            self._link.drop()

    async def close(self) -> None:
        self._is_closed = True
        self._settings.subscriptions.clear()
        if self._dialling:
            self._dialling.cancel()
        link, self._link = self._link, None
        if link:
            await link.close()
