# SPDX-License-Identifier: MIT
"""What a server asks in the course of a call, and how a client's handlers answer it."""

from __future__ import annotations

import inspect
import logging
import os
import pathlib
import threading
from dataclasses import dataclass, field
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Mapping, Optional, Union

from .errors import ToolbrokerError, invalid
from .protocol import Connection, Request

QUESTIONS_MAX = 64  # open at a time: as many as the daemon has open at one connection
MODES = ("form", "url")

_log = logging.getLogger("toolbroker")


@dataclass(frozen=True)
class Question:
    """What is common to all: `service` and `tool` say who asks, `raw` has the MCP parameters."""

    _gone: threading.Event = field(
        default_factory=threading.Event, init=False, repr=False, compare=False
    )

    @property
    def is_cancelled(self) -> bool:
        """Nobody waits for the answer any more: the call ended, or the connection did."""
        return self._gone.is_set()

    def wait_cancelled(self, timeout: Optional[float] = None) -> bool:
        """Waits until that is so; False when `timeout` seconds pass before."""
        return self._gone.wait(timeout)


@dataclass(frozen=True)
class Elicitation(Question):
    """A server asks the user: to fill in a form (`schema`), or to visit `url`.

    Show who asks, and never open a URL without the user's consent.
    """

    message: str = ""
    mode: str = "form"
    schema: Dict[str, Any] = field(default_factory=dict)
    url: Optional[str] = None
    service: str = ""
    tool: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    def accept(self, content: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """The user agrees; of a form, `content` is what was filled in."""
        if self.mode == "url":
            return {"action": "accept"}
        return {"action": "accept", "content": dict(content or {})}

    def decline(self) -> Dict[str, Any]:
        """The user says no."""
        return {"action": "decline"}

    def cancel(self) -> Dict[str, Any]:
        """The user leaves without a decision."""
        return {"action": "cancel"}

    def defaults(self) -> Dict[str, Any]:
        """What the form's fields hold before the user types: the defaults of the schema."""
        properties = self.schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        return {
            name: one["default"]
            for name, one in properties.items()
            if isinstance(one, dict) and "default" in one
        }


@dataclass(frozen=True)
class Sampling(Question):
    """A server asks for a model's answer to `messages`."""

    messages: List[Dict[str, Any]] = field(default_factory=list)
    max_tokens: int = 0
    system_prompt: Optional[str] = None
    temperature: Optional[float] = None
    stop_sequences: List[str] = field(default_factory=list)
    model_preferences: Dict[str, Any] = field(default_factory=dict)
    tools: List[Dict[str, Any]] = field(default_factory=list)
    tool_choice: Dict[str, Any] = field(default_factory=dict)
    service: str = ""
    tool: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    def answer(
        self, content: Any, *, model: str, stop_reason: str = "endTurn", role: str = "assistant"
    ) -> Dict[str, Any]:
        """What the model said; `content` is text, or content as MCP has it."""
        if isinstance(content, str):
            content = {"type": "text", "text": content}
        return {"role": role, "content": content, "model": model, "stopReason": stop_reason}


@dataclass(frozen=True)
class Roots(Question):
    """A server asks which folders it should work in."""

    service: str = ""
    tool: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


Root = Union[str, "os.PathLike[str]", Mapping[str, Any]]
Answer = Optional[Mapping[str, Any]]
OnElicitation = Callable[[Elicitation], Union[Answer, Awaitable[Answer]]]
OnSampling = Callable[[Sampling], Union[Mapping[str, Any], Awaitable[Mapping[str, Any]]]]
OnRoots = Callable[[Roots], Union[Iterable[Root], Awaitable[Iterable[Root]]]]


def _map(value: Any) -> Dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


def _question(request: Request) -> Question:
    params = request.params
    raw = {key: value for key, value in params.items() if key not in ("service", "tool", "msgid")}
    who = {"service": str(params.get("service", "")), "tool": str(params.get("tool", ""))}
    if request.method == "elicitation.create":
        return Elicitation(
            message=str(raw.get("message", "")),
            mode=str(raw.get("mode", "form")),
            schema=_map(raw.get("requestedSchema")),
            url=_text(raw.get("url")),
            raw=raw,
            **who,
        )
    if request.method == "sampling.create":
        tokens = raw.get("maxTokens")
        temperature = raw.get("temperature")
        return Sampling(
            messages=_list(raw.get("messages")),
            max_tokens=int(tokens) if isinstance(tokens, (int, float)) else 0,
            system_prompt=_text(raw.get("systemPrompt")),
            temperature=float(temperature) if isinstance(temperature, (int, float)) else None,
            stop_sequences=_list(raw.get("stopSequences")),
            model_preferences=_map(raw.get("modelPreferences")),
            tools=_list(raw.get("tools")),
            tool_choice=_map(raw.get("toolChoice")),
            raw=raw,
            **who,
        )
    return Roots(raw=raw, **who)


def _root(root: Root) -> Dict[str, Any]:
    if isinstance(root, Mapping):
        return dict(root)
    text = os.fspath(root)
    if "://" in text:
        return {"uri": text}
    path = pathlib.Path(text).absolute()
    return {"uri": path.as_uri(), "name": path.name or str(path)}


def _result(method: str, value: Any) -> Dict[str, Any]:
    """MCP's result from what a handler gave."""
    if method == "roots.list":
        if value is None or isinstance(value, (str, Mapping)):
            raise TypeError("on_roots must give a list of paths or URIs")
        return {"roots": [_root(root) for root in value]}
    if method == "elicitation.create" and value is None:
        return {"action": "decline"}
    if not isinstance(value, Mapping):
        raise TypeError(f"a handler must give a mapping, not {type(value).__name__}")
    if method == "elicitation.create" and value.get("action") not in (
        "accept",
        "decline",
        "cancel",
    ):
        raise ValueError("use question.accept(...), question.decline() or question.cancel()")
    return dict(value)


class Pending:
    """One question that a handler works on."""

    def __init__(self, request: Request, handler: Callable[[Any], Any]) -> None:
        self.request = request
        self.msgid = request.msgid
        self.question = _question(request)
        self._handler = handler
        self._stop: Optional[Callable[[], object]] = None

    def call(self) -> Any:
        return self._handler(self.question)

    def when_taken_back(self, stop: Callable[[], object]) -> None:
        self._stop = stop

    def take_back(self) -> None:
        self.question._gone.set()
        if self._stop:
            self._stop()

    def answer(self, connection: Connection, value: Any) -> bytes:
        """The frame for what the handler gave; what cannot be an answer counts as a failure."""
        try:
            return connection.answer(self.msgid, _result(self.request.method, value))
        except Exception:
            return self.failed(connection)

    def failed(self, connection: Connection) -> bytes:
        """The frame for a handler that raised, whose exception is being handled."""
        _log.exception("the handler of %s failed", self.request.method)
        if self.request.method == "elicitation.create":
            return connection.answer(self.msgid, {"action": "decline"})
        error = ToolbrokerError("INTERNAL", "the client's handler failed; its log says why")
        return connection.fail(self.msgid, error)


class Handlers:
    """The handlers of one client, and what `hello` says of them."""

    def __init__(
        self,
        on_elicitation: Optional[OnElicitation],
        on_sampling: Optional[OnSampling],
        on_roots: Optional[OnRoots],
        elicitation_modes: Iterable[str],
        sampling_tools: bool,
    ) -> None:
        modes = tuple(elicitation_modes)
        if not modes or not set(modes) <= set(MODES):
            raise invalid(f"elicitation_modes are of {MODES}, at least one")
        self._by_method: Dict[str, Callable[[Any], Any]] = {}
        self.capabilities: Dict[str, Any] = {}
        if on_elicitation:
            self._by_method["elicitation.create"] = on_elicitation
            self.capabilities["elicitation"] = {mode: {} for mode in modes}
        if on_sampling:
            self._by_method["sampling.create"] = on_sampling
            self.capabilities["sampling"] = {"tools": {}} if sampling_tools else {}
        if on_roots:
            self._by_method["roots.list"] = on_roots
            self.capabilities["roots"] = {}

    def pending(self, request: Request) -> Optional[Pending]:
        """None: this client has nothing that answers it."""
        handler = self._by_method.get(request.method)
        return Pending(request, handler) if handler else None

    def refuse_async(self) -> None:
        """The client for threads has no event loop to run coroutines on."""
        for handler in self._by_method.values():
            if inspect.iscoroutinefunction(handler):
                raise invalid("Client calls plain functions; coroutines are for AsyncClient")


def overloaded() -> ToolbrokerError:
    return ToolbrokerError(
        "OVERLOADED", f"this client answers {QUESTIONS_MAX} questions at a time", retryable=True
    )
