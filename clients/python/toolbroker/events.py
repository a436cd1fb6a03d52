# SPDX-License-Identifier: MIT
"""Events: what the daemon tells of services, and who of a client's callers wants to know."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

_log = logging.getLogger("toolbroker")


@dataclass(frozen=True)
class Event:
    """`kind` is service.state, tools.changed, prompts.changed, resources.changed, tool.changed,
    resource.updated or resource.unwatched; or connection.lost, which is this client's own: until
    it has connected again there are no events."""

    kind: str
    time: str = ""
    service: Optional[str] = None
    tool: Optional[str] = None
    uri: Optional[str] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def from_wire(params: Mapping[str, Any]) -> "Event":
        return Event(
            kind=str(params.get("kind", "")),
            time=str(params.get("time", "")),
            service=params.get("service"),
            tool=params.get("tool"),
            uri=params.get("uri"),
            raw=dict(params),
        )


OnEvent = Callable[[Event], None]
Params = Dict[str, Any]
Resource = Tuple[str, str]  # service, uri

LOST = Event("connection.lost")


class Subscriptions:
    """What a client has subscribed to. A connection forgets it when it ends; this does not."""

    def __init__(self) -> None:
        self._events: Optional[Tuple[Params, OnEvent]] = None
        self._resources: Dict[Resource, Tuple[Params, OnEvent]] = {}

    def swap_events(
        self, params: Params, on_event: Optional[OnEvent]
    ) -> Tuple[Params, Optional[OnEvent]]:
        """Gives what was there before."""
        before = self._events
        self._events = (params, on_event) if on_event and params.get("kinds") else None
        return before or ({}, None)

    def add(self, params: Params, on_event: OnEvent) -> None:
        self._resources[(params["service"], params["uri"])] = (params, on_event)

    def remove(self, service: str, uri: str) -> None:
        self._resources.pop((service, uri), None)

    def clear(self) -> None:
        self._events = None
        self._resources.clear()

    def requests(self) -> List[Tuple[str, Params]]:
        """What is asked for again on a new connection."""
        again = [("resources.subscribe", params) for params, _ in list(self._resources.values())]
        return [("events.subscribe", self._events[0])] + again if self._events else again

    def tell(self, params: Mapping[str, Any]) -> bool:
        """Hands an event to whoever wants it; False: nobody."""
        event = Event.from_wire(params)
        listeners = self._listeners(event)
        for on_event in listeners:
            _call(on_event, event)
        if event.kind == "resource.unwatched" and event.service and event.uri:
            self.remove(event.service, event.uri)
        return bool(listeners)

    def lost(self) -> None:
        listeners = [on_event for _, on_event in list(self._resources.values())]
        listeners += [self._events[1]] if self._events else []
        told: List[OnEvent] = []
        for on_event in listeners:
            if on_event not in told:
                told.append(on_event)
                _call(on_event, LOST)

    def _listeners(self, event: Event) -> List[OnEvent]:
        """An updated resource may lie below the one that was subscribed to."""
        if not event.kind.startswith("resource."):
            return [self._events[1]] if self._events else []
        uri = event.uri or ""
        return [
            on_event
            for (service, watched), (_, on_event) in list(self._resources.items())
            if service == event.service and uri.startswith(watched)
        ]


def _call(on_event: OnEvent, event: Event) -> None:
    try:
        on_event(event)
    except Exception:  # the caller's fault must not end everybody's connection
        _log.exception("on_event failed")
