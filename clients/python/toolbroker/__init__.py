# SPDX-License-Identifier: MIT
"""Client of the toolbroker daemon: `Client` for threads, `AsyncClient` for asyncio."""

from .aio import AsyncClient
from .errors import ToolbrokerError
from .events import Event
from .features import Completion, Content, Prompt, PromptResult, Resource, ResourceTemplate
from .protocol import VERSION, default_socket
from .questions import Elicitation, Roots, Sampling
from .results import Progress, Task, Tool, ToolList, ToolResult, Unavailable
from .sync import Client

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "Client",
    "Completion",
    "Content",
    "Elicitation",
    "Event",
    "Progress",
    "Prompt",
    "PromptResult",
    "Resource",
    "ResourceTemplate",
    "Roots",
    "Sampling",
    "Task",
    "Tool",
    "ToolList",
    "ToolResult",
    "ToolbrokerError",
    "Unavailable",
    "default_socket",
]
