# SPDX-License-Identifier: MIT
"""Client of the toolbroker daemon: `Client` for threads, `AsyncClient` for asyncio."""

from .aio import AsyncClient
from .client import Client
from .errors import ToolbrokerError
from .protocol import VERSION, default_socket
from .results import Progress, Tool, ToolList, ToolResult, Unavailable

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "Client",
    "Progress",
    "Tool",
    "ToolList",
    "ToolResult",
    "ToolbrokerError",
    "Unavailable",
    "default_socket",
]
