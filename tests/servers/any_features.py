# SPDX-License-Identifier: MIT
"""What a server of any revision offers: lists in pages, resources, prompts, completion, logging,
subscriptions. Each handler takes a Call and gives a result; tools are in any_tools.py."""

import os
import threading

from any_core import LEVELS, SUBSCRIPTION, Refusal, key_of
from any_schema import LEGACY, MODERN, PREFIX

FEATURES = ("tools", "resources", "prompts", "completions", "logging", "tasks")
CACHED = ("server/discover", "tools/list", "prompts/list", "resources/list",
          "resources/templates/list", "resources/read")  # fmt: skip
PROMPTS = [
    {"name": "greeting", "description": "Greets.",
     "arguments": [{"name": "who", "description": "Whom", "required": True}]},
    {"name": "asking", "description": "Asks before it answers."},
]  # fmt: skip
TEMPLATES = [
    {"uriTemplate": "any://item/{n}", "name": "item", "description": "Item n."},
    {"uriTemplate": "any://file/{path}", "name": "file", "mimeType": "text/plain"},
]


class Features:
    """Registers its handlers with a server."""

    def __init__(self, server):
        self.server, self.options = server, server.options
        self.lock = threading.Lock()
        self.has = set(self.options.get("features", FEATURES))
        self.news = self.options.get("news", True)  # listChanged and subscribe
        self.resources = [f"any://item/{n}" for n in range(self.options.get("resources", 7))]
        self.prompts, self.versions = list(PROMPTS), {}
        self.walks = 0
        server.capabilities = self.capabilities
        handlers = {
            "initialize": self.initialize, "ping": lambda call: {},
            "server/discover": self.discover, "subscriptions/listen": self.listen,
        }  # fmt: skip
        if "resources" in self.has:
            handlers.update({
                "resources/list": self.list_resources, "resources/read": self.read,
                "resources/templates/list": self.list_templates,
                "resources/subscribe": self.subscribe, "resources/unsubscribe": self.unsubscribe,
            })  # fmt: skip
        if "prompts" in self.has:
            handlers.update({"prompts/list": self.list_prompts, "prompts/get": self.get_prompt})
        if "completions" in self.has:
            handlers["completion/complete"] = self.complete
        if "logging" in self.has:
            handlers["logging/setLevel"] = self.set_level
        if not self.options.get("listen", True):
            del handlers["subscriptions/listen"]
        server.handlers.update(handlers)
        server.slow |= {"prompts/get", "resources/read"}

    # ---- who we are --------------------------------------------------------------------------

    def capabilities(self, revision):
        news = {"listChanged": True} if self.news else {}
        all_of_them = {
            "tools": {**news},
            "resources": {**news, **({"subscribe": True} if self.news else {})},
            "prompts": {**news},
            "completions": {},
            "logging": {},
            "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}},
        }
        found = {key: value for key, value in all_of_them.items() if key in self.has}
        if revision == "2024-11-05":
            found.pop("completions", None)
        if revision != LEGACY[-1] and found.pop("tasks", None) and revision == MODERN:
            found["extensions"] = {PREFIX + "tasks": {}}
        return found

    def initialize(self, call):
        exchange, offered = call.exchange, [r for r in self.server.revisions if r in LEGACY]
        asked = exchange.params["protocolVersion"]
        if not offered:
            data = {"supported": self.server.revisions, "requested": asked}
            raise Refusal(-32022, "Unsupported protocol version", data, 400)
        refuses = self.options.get("refuses_versions", [])
        if asked in refuses:
            data = {"supported": offered, "requested": asked}
            raise Refusal(-32602, "Unsupported protocol version", data)
        revision = asked if asked in offered else offered[0]
        conversation = exchange.conversation
        conversation.revision = exchange.revision = revision
        conversation.capabilities = exchange.params["capabilities"]
        if conversation not in self.server.conversations:
            self.server.conversations.append(conversation)
        return {
            "protocolVersion": revision,
            "capabilities": self.capabilities(revision),
            "serverInfo": {"name": "any", "version": "1"},
            "instructions": "Ask for anything.",
        }

    def discover(self, call):
        return self.cached(call, {
            "supportedVersions": self.server.revisions,
            "capabilities": self.capabilities(MODERN),
            "instructions": "Ask for anything.",
        })  # fmt: skip

    def cached(self, call, result):
        if call.exchange.is_modern and call.exchange.method in CACHED:
            result = {
                "ttlMs": self.options.get("ttl_ms", 0),
                "cacheScope": self.options.get("cache_scope", "private"),
                **result,
            }
        return result

    # ---- lists -------------------------------------------------------------------------------

    def page(self, call, key, items):
        """A page of a list. Cursors are opaque: `WALK:START`, or for the first of them "" where the
        options say so; a walk's cursor works in that walk only."""
        size = self.options.get("page") or len(items) or 1
        cursor, walk, start = call.exchange.params.get("cursor"), None, 0
        if cursor == "" and self.options.get("empty_cursor"):
            start = size
        elif cursor is not None:
            walk, _, text = cursor.partition(":")
            if not text.isdigit() or int(text) > len(items):
                raise Refusal(-32602, f"Invalid cursor: {cursor!r}")
            start = int(text)
        if walk is None:
            with self.lock:
                self.walks += 1
                walk = str(self.walks) if self.options.get("walks") else "w"
        result = {key: [self.mark(item, walk) for item in items[start : start + size]]}
        if self.options.get("cursor_loop") and start >= size:
            result["nextCursor"] = cursor
        elif start + size < len(items):
            is_second = start == 0 and self.options.get("empty_cursor")
            result["nextCursor"] = "" if is_second else f"{walk}:{start + size}"
        return self.cached(call, result)

    def mark(self, item, walk):
        """With the option `walks`, each item tells which walk through which process gave it."""
        if not self.options.get("walks"):
            return item
        return {**item, "description": f"{os.getpid()}:{walk}"}

    def list_resources(self, call):
        items = [{"uri": uri, "name": uri.rpartition("/")[2]} for uri in self.resources]
        return self.page(call, "resources", items)

    def list_templates(self, call):
        return self.page(call, "resourceTemplates", TEMPLATES)

    def list_prompts(self, call):
        return self.page(call, "prompts", self.prompts)

    # ---- resources ---------------------------------------------------------------------------

    def read(self, call):
        uri = call.exchange.params["uri"]
        if uri == "any://asking":
            return self.read_asking(call, uri)
        if not uri.startswith(("any://item/", "any://file/")):
            code = -32602 if call.exchange.is_modern else -32002
            raise Refusal(code, "Resource not found", {"uri": uri})
        return self.contents(call, uri, f"{uri} version {self.versions.get(uri, 0)}")

    def contents(self, call, uri, text):
        return self.cached(
            call, {"contents": [{"uri": uri, "mimeType": "text/plain", "text": text}]}
        )

    def read_asking(self, call, uri):
        answers = yield {"roots": ("roots/list", None)}
        return self.contents(call, uri, repr(answers["roots"]))

    def subscribe(self, call):
        call.exchange.conversation.subscribed.add(call.exchange.params["uri"])
        return {}

    def unsubscribe(self, call):
        call.exchange.conversation.subscribed.discard(call.exchange.params["uri"])
        return {}

    def touch(self, uri):
        """The resource is another now: whoever subscribed hears it."""
        self.versions[uri] = self.versions.get(uri, 0) + 1

        def wants(whom):
            if hasattr(whom, "subscribed"):
                return uri in whom.subscribed
            return uri in whom.params["notifications"].get("resourceSubscriptions", [])

        self.server.tell("notifications/resources/updated", {"uri": uri}, wants)

    # ---- prompts, completion, logging --------------------------------------------------------

    def get_prompt(self, call):
        name = call.exchange.params["name"]
        if name not in [prompt["name"] for prompt in self.prompts]:
            raise Refusal(-32602, f"Unknown prompt: {name}")
        if name == "asking":
            return self.ask_for_prompt(call)
        return self.say(f"Hello {call.arguments.get('who', 'world')}")

    @staticmethod
    def say(text):
        return {"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}

    def ask_for_prompt(self, call):
        answers = yield {"roots": ("roots/list", None)}
        return self.say(repr(answers["roots"]))

    @staticmethod
    def complete(call):
        argument = call.exchange.params["argument"]
        values = [argument["value"] + end for end in ("a", "b", "c")]
        return {"completion": {"values": values, "total": 3, "hasMore": False}}

    @staticmethod
    def set_level(call):
        level = call.exchange.params["level"]
        if level not in LEVELS:
            raise Refusal(-32602, f"Invalid level: {level}")
        call.exchange.conversation.level = level
        return {}

    # ---- listening ---------------------------------------------------------------------------

    def listen(self, call):
        """Stays open: acknowledges what it will tell, and tells it until it is cancelled."""
        exchange, asked = call.exchange, call.exchange.params["notifications"]
        if not self.news:
            raise Refusal(-32601, "Method not found", status=404)
        for what in ("tools", "prompts", "resources"):
            if asked.get(what + "ListChanged") and what not in self.has:
                self.server.violation(f"listens to {what}, which the server has not")
        exchange.note(
            "notifications/subscriptions/acknowledged",
            _meta={SUBSCRIPTION: exchange.id},
            notifications=asked,
        )
        self.server.listens[key_of(exchange.id)] = exchange
        self.server.journal.note("listening", filter=asked)
        finish = exchange.finish

        def end():
            self.server.listens.pop(key_of(exchange.id), None)
            finish()

        exchange.finish = end

    def changed(self, what):
        """Tells that the list of tools, prompts or resources is another one."""
        if not self.news:
            return

        def wants(whom):
            filters = getattr(whom, "params", None)
            return filters is None or filters["notifications"].get(what + "ListChanged")

        self.server.tell(f"notifications/{what}/list_changed", None, wants)
