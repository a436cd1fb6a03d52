# SPDX-License-Identifier: MIT
"""What a client must keep to, message by message: schema, order, ids, headers. Whatever it breaks
is a violation in the journal; some of it is refused as well, as a strict server would."""

import base64
import json

import any_schema as schema
from any_core import CAPABILITIES, VERSION, Refusal, key_of
from any_schema import LEGACY, MODERN, PREFIX

REMOVED = ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
           "tasks/result", "tasks/list")  # fmt: skip
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri",
         "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}  # fmt: skip

# What a request needs the server to have announced.
NEEDS = {
    "tools/": "tools",
    "resources/": "resources",
    "prompts/": "prompts",
    "completion/": "completions",
    "logging/": "logging",
    "tasks/": "tasks",
}


def encode_header(text):
    """As protocol section 2.5 says: plain where it can stand, else Base64 between markers."""
    is_plain = all(c == "\t" or " " <= c <= "~" for c in text) and text == text.strip(" \t")
    if is_plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return "=?base64?" + base64.b64encode(text.encode()).decode() + "?="


def header_parameters(input_schema, arguments):
    """{name in lower case: value} of the x-mcp-header annotations that a valid schema has."""
    found = {}
    for key, sub in (input_schema.get("properties") or {}).items():
        value = arguments.get(key) if isinstance(arguments, dict) else None
        if not isinstance(sub, dict) or value is None:
            continue
        if "x-mcp-header" in sub:
            plain = json.dumps(value) if isinstance(value, (bool, int)) else str(value)
            found[sub["x-mcp-header"].lower()] = encode_header(plain)
        found.update(header_parameters(sub, value))
    return found


class Referee:
    def __init__(self, server):
        self.server = server
        self.asked = {}  # requestState -> (method, params without _meta, requests)

    def fault(self, message, rule):
        self.server.violation(rule, message=message)

    def faults(self, message, rules):
        for rule in rules:
            self.fault(message, rule)

    def check(self, conversation, message, headers):
        """Gives the revision that the message is to be taken by; raises Refusal."""
        kind = schema.kind_of(message)
        if kind is None:
            self.fault(message, "no batch, and nothing that is no message")
            raise Refusal(-32600, "Invalid Request", status=400)
        params = message.get("params") or {}
        if isinstance(params, dict) and VERSION in (params.get("_meta") or {}):
            return self.check_modern(conversation, message, headers)
        modern = headers is not None and headers.get("mcp-protocol-version") == MODERN
        if self.is_settled_modern(conversation) or modern:
            return self.refuse_old(message, kind, headers)
        return self.check_legacy(conversation, message, kind, headers)

    # ---- 2026-07-28 --------------------------------------------------------------------------

    def is_settled_modern(self, conversation):
        return self.server.revisions == [MODERN] or conversation is self.server.modern

    def refuse_old(self, message, kind, headers):
        """Something without the modern _meta came to a modern server."""
        if kind == "notification" and message["method"] == "notifications/cancelled":
            if headers is not None:
                self.fault(message, "a modern client says nothing but requests over HTTP")
            self.faults(message, schema.from_client(MODERN, message))
            self.check_cancelled(self.server.modern, message)
            return MODERN
        if kind in ("result", "error"):
            self.fault(message, "no responses to a modern server")
            raise Refusal(-32600, "Responses are not accepted", status=400)
        self.fault(message, "no request without _meta to a modern server")
        if kind == "request" and message["method"] in REMOVED:
            data = {"supported": self.server.revisions, "requested": "2025-11-25"}
            raise Refusal(-32022, "Unsupported protocol version", data, 400)
        if headers is not None and "mcp-method" not in headers:
            raise Refusal(-32020, "Header mismatch: no Mcp-Method", status=400)
        raise Refusal(-32602, "Missing _meta", status=400)

    def check_modern(self, conversation, message, headers):
        meta, method = message["params"]["_meta"], message["method"]
        if MODERN not in self.server.revisions:
            return self.check_probe(conversation, message, headers)
        if conversation.revision:
            self.fault(message, "a modern request in a legacy session")
        self.faults(message, schema.from_client(MODERN, message))
        if headers is not None:
            self.check_modern_headers(message, headers)
        if meta[VERSION] != MODERN:
            data = {"supported": self.server.revisions, "requested": meta[VERSION]}
            raise Refusal(-32022, "Unsupported protocol version", data, 400)
        if PREFIX + "clientInfo" not in meta:
            self.fault(message, "clientInfo is to be sent always")
        if not isinstance(meta.get(CAPABILITIES), dict):
            raise Refusal(-32602, "Missing clientCapabilities", status=400)
        if method in REMOVED:
            self.fault(message, f"{method} is not of MCP {MODERN}")
        if method not in self.server.handlers or method in REMOVED:
            raise Refusal(-32601, "Method not found", status=404)
        self.check_announced(message, method, self.server.capabilities(MODERN))
        self.check_arguments(message)
        if key_of(message["id"]) in conversation.open:
            self.fault(message, "an id that is in use")
        self.check_token(conversation, message)
        self.check_asked(message)
        return MODERN

    def check_probe(self, conversation, message, headers):
        """A modern request to a legacy server is a probe: server/discover, before all else."""
        self.faults(message, schema.from_client(MODERN, message))
        if message["method"] != "server/discover" or conversation.revision:
            self.fault(message, "a modern request to a server that is known as a legacy one")
        if headers is not None:
            self.check_modern_headers(message, headers)
        conversation.seen.add(key_of(message["id"]))
        if headers is None:
            raise Refusal(-32601, "Method not found")
        raise Refusal(-32000, "Bad Request: Unsupported protocol version", status=400)

    def check_modern_headers(self, message, headers):
        params, method = message["params"], message["method"]
        wanted = {
            "mcp-protocol-version": params["_meta"].get(VERSION),
            "mcp-method": method,
            "mcp-name": encode_header(params[NAMED[method]]) if method in NAMED else None,
        }
        name = params.get("name")
        tool = self.server.find_tool(name) if method == "tools/call" and name else None
        if tool:
            parameters = header_parameters(tool["inputSchema"], params.get("arguments") or {})
            wanted.update({f"mcp-param-{key}": value for key, value in parameters.items()})
        wanted.update({key: None for key in headers if key.startswith("mcp-") and key not in wanted})
        wanted["last-event-id"] = None
        for key, value in wanted.items():
            if headers.get(key) != value:
                text = f"the header {key} is {headers.get(key)!r}, and should be {value!r}"
                self.fault(message, text)
                if key.startswith("mcp-") and value is not None:
                    raise Refusal(-32020, "Header mismatch: " + text, status=400)

    def remember_asks(self, exchange, state, requests):
        params = {k: v for k, v in exchange.params.items()
                  if k not in ("_meta", "inputResponses", "requestState")}  # fmt: skip
        self.asked[self.server.parking_key(exchange, state)] = (exchange.id, params, requests)

    def check_asked(self, message):
        """A request that comes again with answers is the one that was asked."""
        params = message["params"]
        if message["method"] not in schema.ASKS_BACK or not {"requestState", "inputResponses"} & set(
            params
        ):
            return
        state = params.get("requestState")
        key = state
        if state is None:
            bare = {k: v for k, v in params.items() if k not in ("_meta", "inputResponses")}
            key = json.dumps([message["method"], bare], sort_keys=True)
        asked = self.asked.pop(key, None)
        if asked is None:
            self.fault(message, "a requestState, or answers, that nobody asked for")
            raise Refusal(-32602, "Unknown requestState")
        request_id, before, requests = asked
        now = {k: v for k, v in params.items()
               if k not in ("_meta", "inputResponses", "requestState")}  # fmt: skip
        if now != before:
            self.fault(message, f"answers come with another request: {before}")
        if key_of(message["id"]) == key_of(request_id):
            self.fault(message, "a request comes again with a new id")
        responses = params.get("inputResponses") or {}
        if set(responses) != set(requests):
            self.fault(message, f"{set(requests)} was asked, {set(responses)} answered")
        for name, response in responses.items():
            if name in requests:
                self.check_response(message, requests[name], response, MODERN)

    # ---- with a handshake --------------------------------------------------------------------

    def check_legacy(self, conversation, message, kind, headers):
        if kind == "request":
            self.check_legacy_request(conversation, message, headers)
        else:
            asked = None
            if kind in ("result", "error"):
                asked = self.check_answer(conversation, message)
            revision = conversation.revision or LEGACY[-1]
            self.faults(message, schema.from_client(revision, message, asked and asked.method))
        if kind == "notification":
            self.check_legacy_notification(conversation, message)
        return conversation.revision or LEGACY[-1]

    def check_legacy_request(self, conversation, message, headers):
        method = message["method"]
        revision = LEGACY[-1] if method == "initialize" else conversation.revision
        self.faults(message, schema.from_client(revision or LEGACY[-1], message))
        if key_of(message["id"]) in conversation.seen:
            self.fault(message, "an id that was used before in this session")
        if method == "initialize":
            self.check_initialize(conversation, message, headers)
            return
        if method != "ping" and not conversation.is_initialized:
            self.fault(message, f"{method} before notifications/initialized")
        if method not in self.server.handlers:
            raise Refusal(-32601, "Method not found")
        self.check_announced(message, method, self.server.capabilities(revision))
        self.check_token(conversation, message)
        self.check_arguments(message)
        if method == "tools/call":
            self.check_task_support(message, revision)

    def check_initialize(self, conversation, message, headers):
        if conversation.revision:
            self.fault(message, "a second initialize")
        if MODERN in self.server.revisions and len(self.server.revisions) == 1:
            self.fault(message, "initialize to a modern server")
        if message["params"].get("protocolVersion") not in LEGACY:
            self.fault(message, "initialize for a version that has none")
        if headers is not None and "mcp-protocol-version" in headers:
            self.fault(message, "initialize with the version header")

    def check_legacy_notification(self, conversation, message):
        if message["method"] == "notifications/initialized":
            if not conversation.revision or conversation.is_initialized:
                self.fault(message, "initialized out of place")
        elif not conversation.is_initialized:
            self.fault(message, f"{message['method']} before notifications/initialized")
        if message["method"] == "notifications/cancelled":
            self.check_cancelled(conversation, message)

    def check_cancelled(self, conversation, message):
        """Of what is answered it may still come; of what was never asked it may not."""
        request = message.get("params", {}).get("requestId")
        if key_of(request) not in conversation.seen:
            self.fault(message, "cancels what was never asked")
            return
        exchange = conversation.open.get(key_of(request))
        if exchange and exchange.method == "initialize":
            self.fault(message, "initialize must not be cancelled")
        if exchange and "task" in exchange.params:
            self.fault(message, "a task is cancelled by tasks/cancel")

    def check_answer(self, conversation, message):
        asked = conversation.asked.get(key_of(message.get("id")))
        if asked is None or asked.event.is_set():
            self.fault(message, "an answer to what was not asked, or a second one")
            raise Refusal(-32600, "No such request", status=400)
        if "result" in message:
            request = {"method": asked.method, "params": asked.params}
            self.check_response(message, request, message["result"], conversation.revision)
        return asked

    # ---- both --------------------------------------------------------------------------------

    def check_response(self, message, request, response, revision):
        """The answer is of the kind that was asked for; the content of a form fits its schema."""
        definition = schema.ASKS[request["method"]][1]
        self.faults(message, schema.faults(revision, definition, response))
        form = (request.get("params") or {}).get("requestedSchema")
        if form and response.get("action") == "accept":
            for fault in schema.check_instance(form, response.get("content")):
                self.fault(message, "the content does not fit the form: " + fault)

    def check_announced(self, message, method, capabilities):
        need = next((name for start, name in NEEDS.items() if method.startswith(start)), None)
        have = {**capabilities}
        if PREFIX + "tasks" in capabilities.get("extensions", {}):
            have["tasks"] = {}
        if self.server.options.get("versions") == ["2024-11-05"]:
            have["completions"] = {}  # had no capability yet
        if need and need not in have:
            self.fault(message, f"{method}, and the server did not announce {need}")
        if method == "resources/subscribe" and not have["resources"].get("subscribe"):
            self.fault(message, "subscribes, and the server did not announce that")

    def check_token(self, conversation, message):
        token = ((message.get("params") or {}).get("_meta") or {}).get("progressToken")
        if token is not None and token in conversation.tokens:
            self.fault(message, "a progress token that is in use")

    def check_arguments(self, message):
        """What does not fit a tool's own schema is not sent at all; null may stand for nothing."""
        if message["method"] != "tools/call":
            return
        tool = self.server.find_tool(message["params"].get("name"))
        arguments = message["params"].get("arguments") or {}
        arguments = {key: value for key, value in arguments.items() if value is not None}
        for fault in schema.check_instance(tool["inputSchema"], arguments) if tool else ():
            self.fault(message, "arguments that do not fit the inputSchema: " + fault)

    def check_task_support(self, message, revision):
        params = message["params"]
        tool = self.server.find_tool(params["name"]) or {}
        has = revision == LEGACY[-1] and "tasks" in self.server.capabilities(revision)
        support = (tool.get("execution") or {}).get("taskSupport") if has else None
        if "task" in params and support not in ("optional", "required"):
            self.fault(message, "a task of a tool that has none")
        if support == "required" and "task" not in params:
            self.fault(message, "no task of a tool that must have one")
            raise Refusal(-32601, "This tool must be called as a task")
