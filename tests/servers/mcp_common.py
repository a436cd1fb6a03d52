# SPDX-License-Identifier: MIT
"""What the two misbehaving servers share: the journal, the tool list, and answers in good order."""

import json
import os
import threading
import time

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")


class Journal:
    """Everything that was received, one JSON object a line, for tests to look at."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()

    def note(self, kind, **what):
        if self.path:
            line = json.dumps({"at": time.time(), "pid": os.getpid(), "kind": kind, **what})
            with self.lock, open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")


def tool(name, description, /, **properties):
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": {key: {"type": kind} for key, kind in properties.items()},
            "required": [key for key in properties if key == "message"],
        },
    }


# The well-behaved tools; each server adds its own bad ones.
GOOD_TOOLS = [
    tool("echo", "Gives its message back.", message="string"),
    tool("slow", "Answers after ms milliseconds, unless it is cancelled.", ms="integer"),
    tool("hang", "Never answers."),
    tool("progress", "Reports steps, then answers.", steps="integer", ms="integer"),
    tool("big", "Answers with a text of so many bytes.", bytes="integer"),
    tool("fails", "Fails as a tool: isError."),
    tool("refuses", "Fails as a server: a JSON-RPC error."),
    tool("number", "Structured content with numbers that no double holds."),
    tool("wrong_id", "Answers an id that nobody asked with."),
    tool("change", "Adds a tool and says so.", name="string"),
    tool("process", "Tells the process id and what it was given."),
]


def text_result(text, **more):
    return {"content": [{"type": "text", "text": text}], **more}


def answer(request_id, result):
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error(request_id, code, message, data=None):
    body = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def notification(method, **params):
    return {"jsonrpc": "2.0", "method": method, "params": params}


def initialize(message, version=None):
    asked = message["params"]["protocolVersion"]
    return answer(
        message["id"],
        {
            "protocolVersion": version or (asked if asked in VERSIONS else VERSIONS[-1]),
            "capabilities": {"tools": {"listChanged": True}, "logging": {}},
            "serverInfo": {"name": "misbehaving", "version": "1"},
        },
    )


def plain_result(name, arguments):
    """The result of a tool that needs nothing but its arguments, or None."""
    if name == "echo":
        return text_result(arguments["message"])
    if name == "big":
        return text_result("x" * int(arguments.get("bytes", 100_000)))
    if name == "fails":
        return text_result("the tool failed", isError=True)
    if name == "process":
        return text_result(
            json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), "env": dict(os.environ)})
        )
    return None


# Written by hand: json.dumps would make doubles of them.
NUMBERS = (
    '{"content":[],"structuredContent":{"huge":123456789012345678901234567890,'
    '"precise":0.1234567890123456789,"large":18446744073709551615,"small":-9223372036854775808}}'
)
