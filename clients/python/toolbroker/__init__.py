# SPDX-License-Identifier: MIT
"""Client of the toolbroker daemon: `Client` for threads, `AsyncClient` for asyncio."""

from .aio import AsyncClient
from .client import Client
from .errors import ToolbrokerError
from .protocol import default_socket
from .results import Progress, Tool, ToolList, ToolResult, Unavailable

__version__ = "0.1.0"

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
