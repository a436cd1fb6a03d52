# SPDX-License-Identifier: MIT
"""Deadlines as points of time.monotonic(); None is never."""

from __future__ import annotations

import time
from typing import Optional

Deadline = Optional[float]


def deadline_in(timeout: Optional[float]) -> Deadline:
    return None if timeout is None else time.monotonic() + timeout


def seconds_left(deadline: Deadline) -> Optional[float]:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def earlier(a: Deadline, b: float) -> float:
    return b if a is None else min(a, b)
