# SPDX-License-Identifier: MIT
"""What `AsyncClient` offers beside tools."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, TypeVar

from .. import features
from ..events import OnEvent, Subscriptions
from ..features import (
    Ask,
    Completion,
    Content,
    Prompt,
    PromptResult,
    Resource,
    ResourceTemplate,
    who,
)
from ..results import OnNotification, Task, given

GRACE = 0.5  # the daemon's own TIMEOUT says more than ours: it gets this much longer

T = TypeVar("T")


class AsyncFeatures:
    """Resources, prompts, completion, tasks, events and the state of services. Most take `agent`
    and `user` like `call_tool`, and `timeout` in seconds; without one the service's own holds."""

    _subscriptions: Subscriptions

    async def request(
        self,
        method: str,
        params: Optional[Mapping[str, Any]] = None,
        *,
        timeout: Optional[float] = None,
        on_notification: Optional[OnNotification] = None,
    ) -> Any:
        raise NotImplementedError

    async def _ask(self, ask: Ask[T], timeout: Optional[float]) -> T:
        wait = None if timeout is None else timeout + GRACE
        return ask.read(await self.request(ask.method, ask.params, timeout=wait))

    async def resources(
        self,
        service: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> List[Resource]:
        """Everything that the service lists."""
        asker = who(service, agent, user, timeout)
        return await self._ask(features.resources(asker), timeout)

    async def resource_templates(
        self,
        service: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> List[ResourceTemplate]:
        """The patterns of further resources."""
        asker = who(service, agent, user, timeout)
        return await self._ask(features.templates(asker), timeout)

    async def read_resource(
        self,
        service: str,
        uri: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> List[Content]:
        """The parts of a resource; most have one."""
        asker = who(service, agent, user, timeout)
        return await self._ask(features.read(asker, uri), timeout)

    async def prompts(
        self,
        service: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> List[Prompt]:
        """Every prompt of the service."""
        asker = who(service, agent, user, timeout)
        return await self._ask(features.prompts(asker), timeout)

    async def get_prompt(
        self,
        service: str,
        name: str,
        arguments: Optional[Mapping[str, str]] = None,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> PromptResult:
        """One prompt, filled in."""
        asker = who(service, agent, user, timeout)
        return await self._ask(features.prompt(asker, name, arguments), timeout)

    async def complete(
        self,
        service: str,
        argument: str,
        value: str,
        *,
        prompt: Optional[str] = None,
        uri: Optional[str] = None,
        known: Optional[Mapping[str, str]] = None,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Completion:
        """What `argument` of a prompt, or of the resource template `uri`, may become when `value`
        is typed already; `known` has the other arguments."""
        asker = who(service, agent, user, timeout)
        ask = features.complete(asker, argument, value, prompt, uri, known)
        return await self._ask(ask, timeout)

    async def task(
        self,
        id: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Task:
        """How a task is, and its result once it is completed."""
        return await self._ask(features.task(who(None, agent, user, timeout), id), timeout)

    async def cancel_task(
        self,
        id: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Task:
        """Asks the server to end a task."""
        asker = who(None, agent, user, timeout)
        return await self._ask(features.task(asker, id, "tasks.cancel"), timeout)

    # ---- how services are -------------------------------------------------------------------

    async def test_service(
        self,
        service: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Dict[str, Any]:
        """Connects to the service and lists its tools now: `ok`, `steps` with times, `error`."""
        return await self._ask(features.test(who(service, agent, user, timeout)), timeout)

    async def health(
        self, service: Optional[str] = None, *, check: bool = False, timeout: Optional[float] = None
    ) -> Dict[str, Any]:
        """`status` of all in all, and `services` one by one, as it is known; `check` asks now."""
        return await self._ask(features.health(service, check, timeout), timeout)

    async def activity(
        self,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        service: Optional[str] = None,
        tool: Optional[str] = None,
        outcome: Optional[str] = None,
        since: Optional[datetime] = None,
        until: Optional[datetime] = None,
        limit: int = 100,
    ) -> List[Dict[str, Any]]:
        """The calls that have ended, newest first. `outcome`: "live", "failed", "TIMEOUT" ..."""
        filters = dict(agent=agent, user=user, service=service, tool=tool, outcome=outcome)
        return await self._ask(features.activity(since, until, limit, **filters), 30.0)

    # ---- events -----------------------------------------------------------------------------

    async def subscribe_events(
        self,
        kinds: Iterable[str],
        on_event: Optional[OnEvent] = None,
        *,
        agent: Optional[str] = None,
        timeout: Optional[float] = 30.0,
    ) -> List[str]:
        """From now on `on_event` gets the events of these kinds, in place of those subscribed to
        before; no kinds: none any more; no `on_event`: they go to `on_notification`. `on_event`
        is a plain function, run in the loop, and must be quick.
        On a new connection this client subscribes again."""
        params: Dict[str, Any] = given(kinds=list(kinds), agent=agent)
        before = self._subscriptions.swap_events(params, on_event)
        try:
            answer = await self.request("events.subscribe", params, timeout=timeout)
        except BaseException:
            self._subscriptions.swap_events(*before)
            raise
        return list(answer["kinds"])

    async def subscribe_resource(
        self,
        service: str,
        uri: str,
        on_event: OnEvent,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """From now on `on_event` is told when the resource, or one below it, has changed."""
        params = {**who(service, agent, user, None), "uri": uri}
        self._subscriptions.add(params, on_event)
        try:
            await self.request("resources.subscribe", params, timeout=timeout)
        except BaseException:
            self._subscriptions.remove(service, uri)
            raise

    async def unsubscribe_resource(
        self,
        service: str,
        uri: str,
        *,
        agent: Optional[str] = None,
        user: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """Ends that."""
        self._subscriptions.remove(service, uri)
        params = {**who(service, agent, user, None), "uri": uri}
        await self.request("resources.unsubscribe", params, timeout=timeout)
