# SPDX-License-Identifier: MIT
"""The client for threads. Its waiting is written here, what it offers is written from `aio`."""

from .client import Client

__all__ = ["Client"]
