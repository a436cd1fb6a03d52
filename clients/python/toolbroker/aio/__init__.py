# SPDX-License-Identifier: MIT
"""The client for asyncio."""

from .client import AsyncClient

__all__ = ["AsyncClient"]
