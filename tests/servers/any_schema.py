# SPDX-License-Identifier: MIT
"""Messages of MCP against the official schemas in tests/schemas: any message, any revision.

The definition is chosen by method and kind, never by what happens to fit: most of the schemas'
unions accept nearly everything.
"""

import functools
import json
import pathlib

import jsonschema

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "schemas"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
REVISIONS = LEGACY + (MODERN,)
TASKS = "ext-tasks-draft"
PREFIX = "io.modelcontextprotocol/"

# method -> (definition of the request, definition of its result, revisions that have it)
ALL, OLD, NEW = REVISIONS, LEGACY, (MODERN,)
REQUESTS = {
    "initialize": ("InitializeRequest", "InitializeResult", OLD),
    "ping": ("PingRequest", "EmptyResult", OLD),
    "server/discover": ("DiscoverRequest", "DiscoverResult", NEW),
    "tools/list": ("ListToolsRequest", "ListToolsResult", ALL),
    "tools/call": ("CallToolRequest", "CallToolResult", ALL),
    "resources/list": ("ListResourcesRequest", "ListResourcesResult", ALL),
    "resources/templates/list":
        ("ListResourceTemplatesRequest", "ListResourceTemplatesResult", ALL),
    "resources/read": ("ReadResourceRequest", "ReadResourceResult", ALL),
    "resources/subscribe": ("SubscribeRequest", "EmptyResult", OLD),
    "resources/unsubscribe": ("UnsubscribeRequest", "EmptyResult", OLD),
    "prompts/list": ("ListPromptsRequest", "ListPromptsResult", ALL),
    "prompts/get": ("GetPromptRequest", "GetPromptResult", ALL),
    "logging/setLevel": ("SetLevelRequest", "EmptyResult", OLD),
    "completion/complete": ("CompleteRequest", "CompleteResult", ALL),
    "subscriptions/listen": ("SubscriptionsListenRequest", "SubscriptionsListenResult", NEW),
    "tasks/get": ("GetTaskRequest", "GetTaskResult", ("2025-11-25", MODERN)),
    "tasks/result": ("GetTaskPayloadRequest", "CallToolResult", ("2025-11-25",)),
    "tasks/list": ("ListTasksRequest", "ListTasksResult", ("2025-11-25",)),
    "tasks/cancel": ("CancelTaskRequest", "CancelTaskResult", ("2025-11-25", MODERN)),
    "tasks/update": ("UpdateTaskRequest", "UpdateTaskResult", NEW),
}  # fmt: skip

ASKS = {
    "ping": ("PingRequest", "EmptyResult", OLD),
    "sampling/createMessage": ("CreateMessageRequest", "CreateMessageResult", OLD),
    "roots/list": ("ListRootsRequest", "ListRootsResult", OLD),
    "elicitation/create": ("ElicitRequest", "ElicitResult", ("2025-06-18", "2025-11-25")),
}

CLIENT_NOTES = {
    "notifications/initialized": ("InitializedNotification", OLD),
    "notifications/cancelled": ("CancelledNotification", ALL),
    "notifications/progress": ("ProgressNotification", OLD),
    "notifications/roots/list_changed": ("RootsListChangedNotification", OLD),
    "notifications/tasks/status": ("TaskStatusNotification", ("2025-11-25",)),
}

SERVER_NOTES = {
    "notifications/cancelled": ("CancelledNotification", ALL),
    "notifications/progress": ("ProgressNotification", ALL),
    "notifications/message": ("LoggingMessageNotification", ALL),
    "notifications/resources/updated": ("ResourceUpdatedNotification", ALL),
    "notifications/resources/list_changed": ("ResourceListChangedNotification", ALL),
    "notifications/tools/list_changed": ("ToolListChangedNotification", ALL),
    "notifications/prompts/list_changed": ("PromptListChangedNotification", ALL),
    "notifications/elicitation/complete": ("ElicitationCompleteNotification", ("2025-11-25",)),
    "notifications/tasks/status": ("TaskStatusNotification", ("2025-11-25",)),
    "notifications/tasks": ("TaskStatusNotification", NEW),
    "notifications/subscriptions/acknowledged": ("SubscriptionsAcknowledgedNotification", NEW),
}

# Errors of the modern revision that the schema describes.
ERRORS = {
    -32020: "HeaderMismatchError",
    -32021: "MissingRequiredClientCapabilityError",
    -32022: "UnsupportedProtocolVersionError",
}
ASKS_BACK = ("tools/call", "prompts/get", "resources/read")
KEYS = {
    "request": {"jsonrpc", "id", "method", "params"},
    "notification": {"jsonrpc", "method", "params"},
    "result": {"jsonrpc", "id", "result"},
    "error": {"jsonrpc", "id", "error"},
}


# Before 2025-11-25, and since.
ENVELOPES = (
    {
        "request": "JSONRPCRequest",
        "notification": "JSONRPCNotification",
        "result": "JSONRPCResponse",
        "error": "JSONRPCError",
    },
    {
        "request": "JSONRPCRequest",
        "notification": "JSONRPCNotification",
        "result": "JSONRPCResultResponse",
        "error": "JSONRPCErrorResponse",
    },
)


def kind_of(message):
    """request, notification, result or error; None for what is none of them."""
    if not isinstance(message, dict):
        return None
    if isinstance(message.get("method"), str):
        return "request" if "id" in message else "notification"
    if ("result" in message) != ("error" in message):
        return "result" if "result" in message else "error"
    return None


# ---- definitions -----------------------------------------------------------------------------


def inline(schema, definitions, above=()):
    """The same schema with its references filled in where they do not recur: looking them up is
    what costs the validator most."""
    if isinstance(schema, list):
        return [inline(item, definitions, above) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name not in above and not set(schema) - {"$ref", "description"}:
        return inline(definitions[name], definitions, (*above, name))
    return {
        key: inline(value, definitions, above)
        for key, value in schema.items()
        if key != "description" or not isinstance(value, str)
    }


@functools.lru_cache(None)
def document(revision):
    return json.loads((FOLDER / f"{revision}.json").read_text(encoding="utf-8"))


@functools.lru_cache(None)
def validator(revision, definition):
    root = document(revision)
    key = "definitions" if "definitions" in root else "$defs"
    kind = jsonschema.Draft7Validator if key == "definitions" else jsonschema.Draft202012Validator
    schema = inline(root[key][definition], root[key], (definition,))
    return kind({**schema, key: root[key]})


def faults(revision, definition, value):
    """What is wrong with `value`, as a list of texts."""
    return [
        f"{revision} {definition}: {'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
        for e in validator(revision, definition).iter_errors(value)
    ]


def check_instance(schema, value):
    """What is wrong with `value` by a schema that a peer sent."""
    return [e.message[:300] for e in jsonschema.Draft202012Validator(schema).iter_errors(value)]


# ---- messages --------------------------------------------------------------------------------


def envelope(revision, message):
    kind = kind_of(message)
    if kind is None:
        return ["it is no JSON-RPC message"]
    found = [f"unknown member {key}" for key in set(message) - KEYS[kind]]
    if "id" in message and (
        isinstance(message["id"], bool) or not isinstance(message["id"], (int, str))
    ):
        found.append(f"the id is {message['id']!r}")
    definition = ENVELOPES[revision in ("2025-11-25", MODERN)][kind]
    return found + faults(revision, definition, message)


def lookup(table, revision, method, what):
    row = table.get(method)
    if row is None or revision not in row[-1]:
        return None, [f"MCP {revision} has no {what} {method}"]
    return row, []


def home(revision, method):
    """Which document has a method's definitions."""
    return TASKS if revision == MODERN and method.startswith("tasks/") else revision


def from_client(revision, message, asked=None):
    """Faults of what a client sent; `asked` is the method that a response of its answers."""
    found, kind = envelope(revision, message), kind_of(message)
    if kind == "request":
        row, missing = lookup(REQUESTS, revision, message["method"], "request")
        found += missing or faults(home(revision, message["method"]), row[0], message)
    elif kind == "notification":
        row, missing = lookup(CLIENT_NOTES, revision, message["method"], "notification")
        found += missing or faults(revision, row[0], message)
    elif kind == "result":
        row, missing = lookup(ASKS, revision, asked, "request of a server")
        found += missing or faults(revision, row[1], message["result"])
    params = message.get("params") if isinstance(message, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    if revision != MODERN and isinstance(meta, dict):
        found += [
            f"{key} is of MCP {MODERN}"
            for key in meta
            if key.startswith(PREFIX) and key != PREFIX + "related-task"
        ]
    return found


def from_server(revision, message, asked=None, params=None):
    """Faults of what the server itself sent; `asked`: the method that it answers, with `params`."""
    found, kind = envelope(revision, message), kind_of(message)
    if kind == "request":
        row, missing = lookup(ASKS, revision, message["method"], "request of a server")
        found += missing or faults(revision, row[0], message)
    elif kind == "notification":
        row, missing = lookup(SERVER_NOTES, revision, message["method"], "notification")
        name = TASKS if message["method"] == "notifications/tasks" else revision
        found += missing or faults(name, row[0], message)
    elif kind == "result":
        found += result_faults(revision, asked, params or {}, message["result"])
    elif kind == "error" and revision == MODERN and message["error"].get("code") in ERRORS:
        found += faults(revision, ERRORS[message["error"]["code"]], message)
    return found


def result_faults(revision, asked, params, result):
    row, missing = lookup(REQUESTS, revision, asked, "request")
    if missing:
        return missing
    kind = result.get("resultType")
    if revision != MODERN:
        if asked == "tools/call" and "task" in params and "task" in result:
            return faults(revision, "CreateTaskResult", result)
        return faults(revision, row[1], result)
    if kind == "input_required":
        found = faults(revision, "InputRequiredResult", result)
        if asked not in ASKS_BACK:
            found.append(f"{asked} must not be input_required")
        if not {"inputRequests", "requestState"} & set(result):
            found.append("input_required without anything")
        return found
    if kind == "task":
        return faults(TASKS, "CreateTaskResult", result)
    if kind != "complete":
        return [f"resultType {kind!r}"]
    return faults(home(revision, asked), row[1], result)
