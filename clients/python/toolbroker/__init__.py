# SPDX-License-Identifier: MIT
"""Client of the toolbroker daemon: `Client` for threads, `AsyncClient` for asyncio."""

# protocol: bytes and messages. session: which call, listener or handler a message is for. aio/ and
# sync/ add the waiting: link (one connection) and connector (the one in use) with tasks or threads.
# What they offer, client and features, is written in aio/ and copied by unasync.py, as is dial.

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
