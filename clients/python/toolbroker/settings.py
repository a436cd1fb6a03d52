# SPDX-License-Identifier: MIT
"""What a client was made with, for all who connect and listen on its behalf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from .events import Subscriptions
from .questions import Handlers
from .results import OnNotification


@dataclass(frozen=True)
class Settings:
    socket: str
    hello: Dict[str, Any]  # the parameters of `hello`
    connect_timeout: float
    reconnect_timeout: float
    frame_bytes: int
    on_notification: Optional[OnNotification]
    handlers: Handlers
    subscriptions: Subscriptions
