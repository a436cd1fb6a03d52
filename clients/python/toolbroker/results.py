# SPDX-License-Identifier: MIT
"""What requests ask and what their answers hold: shared by both clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from .errors import ToolbrokerError

OnNotification = Callable[[str, Dict[str, Any]], None]


@dataclass(frozen=True)
class Progress:
    """How far a call is; `total` and `message` if the server says so."""

    progress: float
    total: Optional[float] = None
    message: Optional[str] = None

    @staticmethod
    def from_wire(params: Mapping[str, Any]) -> "Progress":
        return Progress(params.get("progress", 0), params.get("total"), params.get("message"))


@dataclass(frozen=True)
class Tool:
    """What may be called: `name` is "service/tool", or an operation of policy."""

    name: str
    description: str = ""
    title: Optional[str] = None
    input_schema: Dict[str, Any] = field(default_factory=dict)
    service: Optional[str] = None
    demo: bool = False
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def from_wire(tool: Mapping[str, Any]) -> "Tool":
        return Tool(
            name=str(tool.get("name", "")),
            description=str(tool.get("description") or ""),
            title=tool.get("title"),
            input_schema=dict(tool.get("inputSchema") or {}),
            service=tool.get("service"),
            demo=tool.get("demo") is True,
            raw=dict(tool),
        )


@dataclass(frozen=True)
class Unavailable:
    """A service whose tools are missing from a list, and why."""

    service: str
    error: ToolbrokerError


@dataclass(frozen=True)
class ToolList:
    """The tools that an agent may call; iterating gives each `Tool`."""

    tools: List[Tool]
    unavailable: List[Unavailable]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools)

    def __len__(self) -> int:
        return len(self.tools)

    @staticmethod
    def from_wire(answer: Mapping[str, Any]) -> "ToolList":
        return ToolList(
            [Tool.from_wire(tool) for tool in answer.get("tools") or []],
            [
                Unavailable(
                    str(entry.get("service", "")), ToolbrokerError.from_wire(entry.get("error"))
                )
                for entry in answer.get("unavailable") or []
            ],
        )


@dataclass(frozen=True)
class Task:
    """Work that goes on at a server after its call was answered, by the handle `id`. `status` is
    working, input_required, completed, failed or cancelled; `result` is there once it is
    completed."""

    id: str
    status: str = ""
    status_message: Optional[str] = None
    service: Optional[str] = None
    tool: Optional[str] = None
    poll_interval_ms: Optional[int] = None
    result: Optional[Dict[str, Any]] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_over(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    @property
    def text(self) -> str:
        """The text blocks of the result, one a line."""
        return _text_of((self.result or {}).get("content"))

    @staticmethod
    def from_wire(answer: Mapping[str, Any]) -> "Task":
        task = answer.get("task") or {}
        return Task(
            id=str(task.get("id", "")),
            status=str(task.get("status", "")),
            status_message=task.get("status_message"),
            service=task.get("service"),
            tool=task.get("tool"),
            poll_interval_ms=task.get("poll_interval_ms"),
            result=answer.get("result"),
            raw=dict(task),
        )


def _text_of(content: Any) -> str:
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(c.get("text", "")) for c in blocks if c.get("type") == "text")


@dataclass(frozen=True)
class ToolResult:
    """The answer to one call.

    `source` is live, demo, cache or fallback. `is_error` says that the tool itself reports a
    failure, in `text`. `result` is the MCP result as it came. `task` is in its place when the call
    asked for a task and the server made one.
    """

    request_id: str
    service: Optional[str]
    tool: Optional[str]
    source: str
    result: Dict[str, Any]
    execution_time_ms: float = 0
    attempts: int = 0
    fallback_from: Optional[str] = None
    warnings: List[Any] = field(default_factory=list)
    task: Optional[Task] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_error(self) -> bool:
        return self.result.get("isError") is True

    @property
    def content(self) -> List[Dict[str, Any]]:
        return list(self.result.get("content") or [])

    @property
    def structured(self) -> Any:
        return self.result.get("structuredContent")

    @property
    def text(self) -> str:
        """The text blocks of the content, one a line."""
        return _text_of(self.result.get("content"))

    @staticmethod
    def from_wire(answer: Mapping[str, Any]) -> "ToolResult":
        return ToolResult(
            request_id=str(answer.get("request_id", "")),
            service=answer.get("service"),
            tool=answer.get("tool"),
            source=str(answer.get("source", "")),
            result=dict(answer.get("result") or {}),
            execution_time_ms=answer.get("execution_time_ms") or 0,
            attempts=answer.get("attempts") or 0,
            fallback_from=answer.get("fallback_from"),
            warnings=list(answer.get("warnings") or []),
            task=Task.from_wire(answer) if answer.get("task") else None,
            raw=dict(answer),
        )


def given(**params: Any) -> Dict[str, Any]:
    """The parameters that were given."""
    return {key: value for key, value in params.items() if value is not None}


def call_params(
    *,
    arguments: Optional[Mapping[str, Any]],
    timeout: Optional[float],
    meta: Optional[Mapping[str, Any]],
    task: bool,
    **names: Optional[str],
) -> Dict[str, Any]:
    """The parameters of tools.call."""
    return given(
        arguments=None if arguments is None else dict(arguments),
        timeout_ms=None if timeout is None else max(1, int(timeout * 1000)),
        meta=None if meta is None else dict(meta),
        task=task or None,
        **names,
    )


def listener(
    on_progress: Optional[Callable[[Progress], None]],
    on_log: Optional[Callable[[Dict[str, Any]], None]],
) -> Optional[OnNotification]:
    """One callback for a call's notifications, or None if nobody listens."""
    if not on_progress and not on_log:
        return None

    def on_notification(method: str, params: Dict[str, Any]) -> None:
        if method == "progress" and on_progress:
            on_progress(Progress.from_wire(params))
        elif method == "log" and on_log:
            on_log(params)

    return on_notification
