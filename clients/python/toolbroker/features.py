# SPDX-License-Identifier: MIT
"""What services offer beside tools, as the requests to make and the values they come back as."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable, Dict, Generic, List, Mapping, Optional, TypeVar

from .errors import invalid
from .results import Task, given

T = TypeVar("T")


@dataclass(frozen=True)
class Resource:
    """What can be read at `uri`."""

    uri: str
    name: str = ""
    title: Optional[str] = None
    description: str = ""
    mime_type: Optional[str] = None
    size: Optional[int] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ResourceTemplate:
    """Resources whose URIs are made from a pattern, RFC 6570."""

    uri_template: str
    name: str = ""
    title: Optional[str] = None
    description: str = ""
    mime_type: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Content:
    """One part of a resource: `text`, or the bytes `data`."""

    uri: str
    mime_type: Optional[str] = None
    text: Optional[str] = None
    data: Optional[bytes] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Prompt:
    """A prompt that can be filled in; `arguments` as MCP has them: name, description, required."""

    name: str
    title: Optional[str] = None
    description: str = ""
    arguments: List[Dict[str, Any]] = field(default_factory=list)
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PromptResult:
    """A prompt filled in: `messages` with role and content."""

    description: str
    messages: List[Dict[str, Any]]
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Completion:
    """What an argument may be completed to; `total` and `has_more` if the server says so."""

    values: List[str]
    total: Optional[int] = None
    has_more: bool = False


@dataclass(frozen=True)
class Ask(Generic[T]):
    """One request: its method, its parameters, and what its answer is read as."""

    method: str
    params: Dict[str, Any]
    read: Callable[[Mapping[str, Any]], T]


def _resource(entry: Mapping[str, Any]) -> Resource:
    return Resource(
        uri=str(entry.get("uri", "")),
        name=str(entry.get("name", "")),
        title=entry.get("title"),
        description=str(entry.get("description") or ""),
        mime_type=entry.get("mimeType"),
        size=entry.get("size"),
        raw=dict(entry),
    )


def _template(entry: Mapping[str, Any]) -> ResourceTemplate:
    return ResourceTemplate(
        uri_template=str(entry.get("uriTemplate", "")),
        name=str(entry.get("name", "")),
        title=entry.get("title"),
        description=str(entry.get("description") or ""),
        mime_type=entry.get("mimeType"),
        raw=dict(entry),
    )


def _prompt(entry: Mapping[str, Any]) -> Prompt:
    return Prompt(
        name=str(entry.get("name", "")),
        title=entry.get("title"),
        description=str(entry.get("description") or ""),
        arguments=list(entry.get("arguments") or []),
        raw=dict(entry),
    )


def _content(entry: Mapping[str, Any]) -> Content:
    blob = entry.get("blob")
    data = None
    if isinstance(blob, str):
        try:
            data = base64.b64decode(blob, validate=True)
        except (binascii.Error, ValueError):
            data = None  # the server's fault; `raw` has what it sent
    return Content(
        uri=str(entry.get("uri", "")),
        mime_type=entry.get("mimeType"),
        text=entry.get("text"),
        data=data,
        raw=dict(entry),
    )


def _prompt_result(answer: Mapping[str, Any]) -> PromptResult:
    result = answer.get("result") or {}
    return PromptResult(
        str(result.get("description") or ""), list(result.get("messages") or []), dict(answer)
    )


def _completion(answer: Mapping[str, Any]) -> Completion:
    done = (answer.get("result") or {}).get("completion") or {}
    return Completion(
        list(done.get("values") or []), done.get("total"), done.get("hasMore") is True
    )


def resources(who: Dict[str, Any]) -> Ask[List[Resource]]:
    return Ask("resources.list", who, lambda a: [_resource(one) for one in a["resources"]])


def templates(who: Dict[str, Any]) -> Ask[List[ResourceTemplate]]:
    return Ask(
        "resources.templates", who, lambda a: [_template(one) for one in a["resourceTemplates"]]
    )


def read(who: Dict[str, Any], uri: str) -> Ask[List[Content]]:
    return Ask(
        "resources.read",
        {**who, "uri": uri},
        lambda a: [_content(one) for one in (a.get("result") or {}).get("contents") or []],
    )


def prompts(who: Dict[str, Any]) -> Ask[List[Prompt]]:
    return Ask("prompts.list", who, lambda a: [_prompt(one) for one in a["prompts"]])


def prompt(
    who: Dict[str, Any], name: str, arguments: Optional[Mapping[str, str]]
) -> Ask[PromptResult]:
    filled = {} if arguments is None else {"arguments": dict(arguments)}
    return Ask("prompts.get", {**who, "prompt": name, **filled}, _prompt_result)


def complete(
    who: Dict[str, Any],
    argument: str,
    value: str,
    prompt: Optional[str],
    uri: Optional[str],
    known: Optional[Mapping[str, str]],
) -> Ask[Completion]:
    if (prompt is None) == (uri is None):
        raise invalid("complete needs a prompt or the uri of a template, one of both")
    ref = {"type": "ref/prompt", "name": prompt} if prompt else {"type": "ref/resource", "uri": uri}
    params = {**who, "ref": ref, "argument": {"name": argument, "value": value}}
    if known is not None:
        params["context"] = {"arguments": dict(known)}
    return Ask("complete", params, _completion)


def task(who: Dict[str, Any], id: str, method: str = "tasks.get") -> Ask[Task]:
    return Ask(method, {**who, "task": id}, lambda a: Task.from_wire({"task": {"id": id}, **a}))


def test(who: Dict[str, Any]) -> Ask[Dict[str, Any]]:
    return Ask("services.test", who, dict)


def health(service: Optional[str], check: bool, timeout: Optional[float]) -> Ask[Dict[str, Any]]:
    if not check and timeout is not None:
        raise invalid("a timeout is for health(check=True)")
    return Ask("health.check" if check else "health.get", who(service, None, None, timeout), dict)


def activity(
    since: Optional[datetime], until: Optional[datetime], limit: int, **filters: Optional[str]
) -> Ask[List[Dict[str, Any]]]:
    params = given(since=_ms(since), until=_ms(until), limit=limit, **filters)
    return Ask("activity.query", params, lambda a: list(a["calls"]))


def _ms(time: Optional[datetime]) -> Optional[int]:
    return None if time is None else round(time.timestamp() * 1000)


def who(
    service: Optional[str], agent: Optional[str], user: Optional[str], timeout: Optional[float]
) -> Dict[str, Any]:
    ms = None if timeout is None else max(1, int(timeout * 1000))
    return given(service=service, agent=agent, user=user, timeout_ms=ms)
