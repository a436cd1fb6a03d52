# SPDX-License-Identifier: MIT
"""The tools of a server of any revision. A tool takes a Call and gives a result, or is a generator
that yields what it asks back: {key: (method, params)}."""

import json
import os
import threading

from any_core import Refusal
from any_schema import LEGACY, MODERN

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
FORM = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "many": {"type": "integer", "default": 3}},
    "required": ["word"],
}
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
    "required": ["x", "y"],
}


def tool(name, description, needed=(), /, **properties):
    schema = {"type": "object", "properties": properties}
    if needed:
        schema["required"] = list(needed)
    return {"name": name, "description": description, "inputSchema": schema}


def with_header(name, header, kind="string", **more):
    return tool(name, "Has a parameter in a header.",
                value={"type": kind, "x-mcp-header": header}, **more)  # fmt: skip


READ_ONLY = {"readOnlyHint": True, "openWorldHint": False}
TOOLS = [
    {**tool("echo", "Gives its message back.", ["message"], message=STRING),
     "annotations": READ_ONLY, "title": "Echo"},
    tool("progress", "Reports steps, then answers.", steps=INTEGER, ms=INTEGER, tag=STRING),
    {**tool("slow", "Answers when it is cancelled, or after ms.", ms=INTEGER, tag=STRING),
     "annotations": READ_ONLY},
    tool("elicit", "Asks for a form or a visit, and tells what came.",
         mode=STRING, rounds=INTEGER, count=INTEGER, tag=STRING),
    tool("sample", "Asks for a text of a model.", tag=STRING),
    tool("roots", "Asks for the roots.", tag=STRING),
    tool("mutate", "Adds a tool, prompt or resource, and says so.", what=STRING, name=STRING),
    tool("touch", "Changes a resource, and says so.", uri=STRING),
    tool("log", "Writes a log message of each level.", tag=STRING),
    tool("crash", "Ends the process in mid-call."),
    {**tool("drop", "Breaks the stream or connection of the call.", how=STRING, ms=INTEGER,
            tag=STRING), "annotations": READ_ONLY},
    tool("drop_write", "The same, and may not be called twice.", how=STRING, ms=INTEGER, tag=STRING),
    {**tool("point", "Structured content, valid or not.", valid={"type": "boolean"}),
     "outputSchema": POINT},
    tool("puppet", "Does what the control socket says.", ["tag"], tag=STRING),
    tool("process", "Tells its process."),
    tool("fails", "Fails as a tool."),
    tool("refuses", "Fails as a server."),
]  # fmt: skip

MODERN_TOOLS = [
    {**tool("numbers", "Structured content that is a list."),
     "outputSchema": {"type": "array", "items": {"type": "integer"}}},
    with_header("header", "Region", number={"type": "integer", "x-mcp-header": "Number"},
                flag={"type": "boolean", "x-mcp-header": "Flag"},
                deep={"type": "object",
                      "properties": {"leaf": {"type": "string", "x-mcp-header": "Leaf"}}}),
    tool("odd_result", "A result of another type.", type=STRING),
    tool("busy", "Gives a state instead of an answer, a few times.", rounds=INTEGER),
]  # fmt: skip

BAD_HEADERS = [
    with_header("header_with_space", "Bad Header"),
    with_header("header_empty", ""),
    with_header("header_number", "Number", "number"),
    with_header("header_twice", "Same", other={"type": "string", "x-mcp-header": "sAME"}),
    tool("header_items", "Under items.", value={
        "type": "array",
        "items": {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}}}),
    {**tool("header_in_any_of", "Under anyOf."), "inputSchema": {
        "type": "object",
        "anyOf": [{"properties": {"value": {"type": "string", "x-mcp-header": "Value"}}}]}},
    with_header("header_on_object", "Object", "object"),
    with_header("header_colon", "X:Y"),
    with_header("header_crlf", "X\r\nY"),
    {**tool("header_in_ref", "Behind a reference."), "inputSchema": {
        "type": "object", "properties": {"value": {"$ref": "#/$defs/v"}},
        "$defs": {"v": {"type": "string", "x-mcp-header": "Value"}}}},
]  # fmt: skip


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


class Tools:
    def __init__(self, server, features, tasks):
        self.server, self.features, self.tasks = server, features, tasks
        self.puppets, self.moved = {}, threading.Condition()
        self.tools = list(TOOLS) + tasks.tools()
        if MODERN in server.revisions:
            self.tools += MODERN_TOOLS
        if server.options.get("bad_headers"):
            self.tools += BAD_HEADERS
        for name in server.options.get("extra_tools", []):
            self.tools.append(tool(name, "One more."))
        server.find_tool = self.find
        server.slow |= {entry["name"] for entry in self.tools} - {"echo", "puppet", "process"}
        if "tools" in features.has:
            server.handlers.update({"tools/list": self.list, "tools/call": self.call})

    def find(self, name):
        return next((entry for entry in self.tools if entry["name"] == name), None)

    def list(self, call):
        revision = call.exchange.revision
        hidden = [] if revision == MODERN else MODERN_TOOLS + BAD_HEADERS
        shown = [self.shown(entry, revision) for entry in self.tools if entry not in hidden]
        return self.features.page(call, "tools", shown)

    @staticmethod
    def shown(entry, revision):
        """A tool as a server of that revision describes it."""
        since = {"annotations": "2025-03-26", "title": "2025-06-18", "outputSchema": "2025-06-18"}
        shown = {k: v for k, v in entry.items() if since.get(k, "") <= revision}
        if revision != LEGACY[-1]:
            shown.pop("execution", None)
        return shown

    def call(self, call):
        name = call.exchange.params["name"]
        if not self.find(name):
            raise Refusal(-32602, f"Unknown tool: {name}")
        if self.tasks.takes(call):
            return self.tasks.begin(call)
        if name.startswith("header"):
            return text(json.dumps(call.arguments))
        run = getattr(self, "tool_" + name, None)
        return run(call) if run else text(f"{name} was called")

    # ---- tools that only answer --------------------------------------------------------------

    @staticmethod
    def tool_echo(call):
        return text(call.arguments["message"])

    @staticmethod
    def tool_process(_call):
        return text(str(os.getpid()))

    @staticmethod
    def tool_fails(_call):
        return text("the tool failed", isError=True)

    @staticmethod
    def tool_refuses(_call):
        raise Refusal(-32603, "The server refuses", {"why": "as asked"})

    @staticmethod
    def tool_point(call):
        point = {"x": 1, "y": 2} if call.arguments.get("valid", True) else {"x": "one"}
        result = text(json.dumps(point))
        if call.exchange.revision >= "2025-06-18":
            result["structuredContent"] = point
        return result

    @staticmethod
    def tool_numbers(_call):
        return text("[1, 2, 3]", structuredContent=[1, 2, 3])

    @staticmethod
    def tool_odd_result(call):
        kind = call.arguments.get("type")
        call.exchange.result(text("odd", **({"resultType": kind} if kind else {})), False)

    def tool_progress(self, call):
        steps, tag = call.arguments.get("steps", 3), call.arguments.get("tag", "")
        for step in range(1, steps + 1):
            if call.wait(call.arguments.get("ms", 5) / 1000):
                return None
            call.exchange.progress(step, steps, f"{tag} step {step}")
        return text(f"{tag} {steps} steps")

    def tool_slow(self, call):
        self.server.journal.note("slow", tag=call.arguments.get("tag"))
        call.wait(call.arguments.get("ms", 60_000) / 1000)
        return text("slow")

    def tool_log(self, call):
        for level in ("debug", "info", "error"):
            call.exchange.log(level, {"tag": call.arguments.get("tag"), "level": level})
        return text("logged")

    @staticmethod
    def tool_task_optional(call):
        """Called as no task."""
        call.wait(call.arguments.get("ms", 50) / 1000)
        return text("task done")

    # ---- tools that ask ----------------------------------------------------------------------

    @staticmethod
    def form(words):
        return ("elicitation/create", {"message": words, "requestedSchema": FORM})

    def visit(self, words):
        number = self.server.number()
        params = {"mode": "url", "message": words, "url": f"https://example.com/{number}"}
        return params, number

    def elicit_ask(self, call, words):
        if call.arguments.get("mode") != "url":
            return self.form(words)
        params, number = self.visit(words)
        if not call.exchange.is_modern:
            params["elicitationId"] = f"visit-{number}"
        return ("elicitation/create", params)

    def need(self, call, kind, mode=None):
        """A modern server refuses what its client did not announce; an old one says it cannot. One
        that is `pushy` asks all the same."""
        if call.is_able(kind, mode) or self.server.options.get("pushy"):
            return
        if call.exchange.is_modern:
            need = {kind: {mode: {}} if mode else {}}
            raise Refusal(-32021, "Missing required client capability",
                          {"requiredCapabilities": need}, 400)  # fmt: skip
        raise Refusal(-32603, f"The client has no {kind}")

    def tool_elicit(self, call):
        self.need(call, "elicitation", call.arguments.get("mode", "form"))
        return self.elicit(call)

    def elicit(self, call):
        tag, got = call.arguments.get("tag", ""), []
        for turn in range(call.arguments.get("rounds", 1)):
            asks = {
                f"q{i}": self.elicit_ask(call, f"{tag} turn {turn} question {i}")
                for i in range(call.arguments.get("count", 1))
            }
            answers = yield asks
            got.append(answers)
        return text(json.dumps(got))

    def tool_sample(self, call):
        self.need(call, "sampling")
        return self.sample(call)

    @staticmethod
    def sample(call):
        words = {"type": "text", "text": call.arguments.get("tag", "")}
        answers = yield {"s": ("sampling/createMessage", {
            "messages": [{"role": "user", "content": words}], "maxTokens": 10})}  # fmt: skip
        return text(json.dumps(answers["s"]))

    def tool_roots(self, call):
        self.need(call, "roots")
        return self.ask_roots(call)

    @staticmethod
    def ask_roots(_call):
        answers = yield {"r": ("roots/list", None)}
        return text(json.dumps(answers["r"]))

    @staticmethod
    def tool_busy(call):
        for _ in range(call.arguments.get("rounds", 2)):
            yield {}
        return text("no longer busy")

    # ---- tools that change or break something ------------------------------------------------

    def tool_mutate(self, call):
        what, name = call.arguments.get("what", "tools"), call.arguments.get("name", "added")
        if what == "tools":
            self.tools.append(tool(name, "Added later."))
        elif what == "headers":  # and nobody is told
            old = self.find("header")
            self.tools[self.tools.index(old)] = {**old, "inputSchema": with_header(
                "header", name)["inputSchema"]}  # fmt: skip
            return text("changed")
        elif what == "prompts":
            self.features.prompts.append({"name": name})
        else:
            self.features.resources.append(f"any://item/{name}")
        self.features.changed(what)
        return text("changed")

    def tool_touch(self, call):
        self.features.touch(call.arguments["uri"])
        return text("touched")

    def tool_crash(self, _call):
        self.server.journal.note("crash")
        os._exit(9)

    def tool_drop(self, call):
        """how: `cut` (the connection, before anything was said), `poll` (the client is to come back
        for the answer), `half` (in mid-message), or `none`. The first time of a tag only."""
        how, tag = call.arguments.get("how", "cut"), call.arguments.get("tag")
        if how == "none":
            return text("after the drop")
        if self.server.scripted_tags.get(tag):
            return text("not dropped again")
        self.server.scripted_tags[tag] = True
        self.server.journal.note("drop", tag=tag, how=how)
        call.exchange.channel.drop(how, call.exchange)
        if call.exchange.channel.is_lossy:
            call.exchange.finish()
            return None
        call.wait(call.arguments.get("ms", 0) / 1000)
        return text("after the drop")

    tool_drop_write = tool_drop

    # ---- puppets -----------------------------------------------------------------------------

    def tool_puppet(self, call):
        with self.moved:
            self.puppets[call.arguments["tag"]] = Puppet(call)
            self.moved.notify_all()

    def await_puppet(self, tag, is_there):
        with self.moved:
            if not self.moved.wait_for(lambda: is_there(self.puppets.get(tag)), 20):
                raise TimeoutError(f"puppet {tag} is not there")
            return self.puppets[tag]

    def control(self, order):
        """One order of the control socket: {do, tag, ...}. Gives what the test is told."""
        do, tag = order["do"], order.get("tag")
        if do == "changed":
            self.features.changed(order["what"])
            return {}
        if do == "has":
            puppet = self.puppets.get(tag)
            return {"has": puppet is not None and not puppet.is_away()}
        puppet = self.await_puppet(tag, lambda puppet: puppet and not puppet.is_away())
        if do == "progress":
            puppet.call.exchange.progress(order["value"], None, order["text"])
        elif do == "log":
            puppet.call.exchange.log("info", order["text"])
        elif do == "answer":
            puppet.call.exchange.result(text(order["text"]))
        elif do == "ask":
            self.ask_puppet(puppet, order["text"])
        elif do == "asked":
            answers = self.puppet_answers(puppet)
            return {"answers": answers}
        elif do == "cancelled":
            return {"how": puppet.call.exchange.how if puppet.call.exchange.cancelled.wait(20) else None}
        return {}

    def ask_puppet(self, puppet, words):
        call, ask = puppet.call, self.form(words)
        if call.exchange.is_modern:
            puppet.waits = True
            self.server.park(call, puppet.come_back(self), {"q": ask})
        else:
            puppet.ask = self.server.ask(
                call.exchange.conversation, call.exchange.channel, *ask, call.exchange
            )

    @staticmethod
    def puppet_answers(puppet):
        if puppet.ask:
            if not puppet.ask.event.wait(20):
                raise TimeoutError("no answer of the client")
            return puppet.ask.answer
        return puppet.answers["q"]


class Puppet:
    """A call that waits for orders."""

    def __init__(self, call):
        self.call, self.ask, self.answers, self.waits = call, None, None, False

    def is_away(self):
        """Whether the client is to come again with answers first."""
        return self.waits

    def come_back(self, tools):
        """A generator like that of a tool: started already, resumed with the answers."""

        def work():
            answers = yield
            with tools.moved:
                self.answers, self.waits = answers, False
                tools.moved.notify_all()
            while True:  # the orders go on to answer the exchange
                yield None

        generator = work()
        next(generator)
        return generator
