# SPDX-License-Identifier: MIT
"""Tasks in both forms: those of MCP 2025-11-25 and those of the extension to 2026-07-28."""

import datetime
import threading

from any_core import CAPABILITIES, Refusal
from any_schema import LEGACY, PREFIX

EXTENSION = PREFIX + "tasks"
RELATED = PREFIX + "related-task"
ENDED = ("completed", "failed", "cancelled")
WORDS = {
    "type": "object",
    "properties": {
        "ms": {"type": "integer"},
        "ask": {"type": "boolean"},
        "fail": {"type": "string"},
        "tag": {"type": "string"},
    },
}


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


class Task:
    def __init__(self, call, number):
        self.id, self.call, self.status = f"task-{number}", call, "working"
        self.created = self.updated = now()
        self.result = self.error = None
        self.moved, self.cancelled = threading.Condition(), threading.Event()
        self.waiting, self.reader = {}, None  # inputs asked for; the exchange of tasks/result
        self.answers = {}

    def move(self, status, **more):
        with self.moved:
            if self.status not in ENDED:
                self.status, self.updated = status, now()
                self.__dict__.update(more)
            self.moved.notify_all()

    def old(self):
        return {"taskId": self.id, "status": self.status, "createdAt": self.created,
                "lastUpdatedAt": self.updated, "ttl": 60_000, "pollInterval": 20}  # fmt: skip

    def new(self):
        shown = {"taskId": self.id, "status": self.status, "createdAt": self.created,
                 "lastUpdatedAt": self.updated, "ttlMs": 60_000, "pollIntervalMs": 20}  # fmt: skip
        if self.status == "input_required":
            shown["inputRequests"] = {
                key: {"method": method, **({"params": params} if params else {})}
                for key, (method, params) in self.waiting.items()
            }
        if self.status == "completed":
            shown["result"] = {"resultType": "complete", **self.result}
        if self.status == "failed":
            shown["error"] = self.error
        return shown


class Tasks:
    def __init__(self, server, features):
        self.server, self.tasks = server, {}
        self.is_on = "tasks" in features.has
        if self.is_on:
            server.handlers.update({
                "tasks/get": self.get, "tasks/result": self.payload, "tasks/list": self.list,
                "tasks/cancel": self.cancel, "tasks/update": self.update,
            })  # fmt: skip
            server.slow.add("tasks/result")

    def tools(self):
        if not self.is_on:
            return []
        return [
            {"name": f"task_{support}", "description": "Works as a task.", "inputSchema": WORDS,
             "execution": {"taskSupport": support}}
            for support in ("optional", "required")
        ]  # fmt: skip

    def takes(self, call):
        """Whether this call of a tool becomes a task."""
        name, exchange = call.exchange.params["name"], call.exchange
        if not name.startswith("task_"):
            return False
        if exchange.is_modern:
            is_able = EXTENSION in (exchange.capabilities.get("extensions") or {})
            if name == "task_required" and not is_able:
                self.refuse_unable()
            return is_able
        return exchange.revision == LEGACY[-1] and "task" in exchange.params

    @staticmethod
    def refuse_unable():
        raise Refusal(-32021, "Missing required client capability",
                      {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}, 400)  # fmt: skip

    def begin(self, call):
        task = Task(call, self.server.number())
        self.tasks[task.id] = call.task = task
        threading.Thread(target=self.run, args=(task,), daemon=True).start()
        if call.exchange.is_modern:
            return {**task.new(), "resultType": "task"}
        return {"task": task.old()}

    # ---- at work -----------------------------------------------------------------------------

    def run(self, task):
        call = task.call
        if call.wait(call.arguments.get("ms", 50) / 1000):
            return
        words = "task done"
        if call.arguments.get("ask"):
            self.ask(task)
            words = f"task done: {task.answers}"
        fail = call.arguments.get("fail")
        if fail == "error":
            task.move("failed", error={"code": -32603, "message": "the task failed"})
            return
        result = {"content": [{"type": "text", "text": words}]}
        if fail:
            result["isError"] = True
        is_failed = fail and not call.exchange.is_modern
        task.move("failed" if is_failed else "completed", result=result)

    def ask(self, task):
        form = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
        tag = task.call.arguments.get("tag", "")
        params = {"message": f"{tag} asks", "requestedSchema": form}
        asks = {"t": ("elicitation/create", params)}
        with task.moved:
            task.waiting = asks
        task.move("input_required")
        if not task.call.exchange.is_modern:
            self.ask_beside(task, asks)
        with task.moved:
            task.moved.wait_for(lambda: task.answers or task.cancelled.is_set(), 30)
        task.move("working", waiting={})

    def ask_beside(self, task, asks):
        """On the stream of tasks/result, as soon as there is one."""
        with task.moved:
            task.moved.wait_for(lambda: task.reader or task.cancelled.is_set(), 30)
        if task.reader:
            method, params = asks["t"]
            params = {**params, "_meta": {RELATED: {"taskId": task.id}}}
            reader = task.reader
            asked = self.server.ask(
                reader.conversation, reader.channel, method, params, reader
            )
            asked.event.wait(30)
            task.answers = {"t": asked.answer}

    # ---- methods -----------------------------------------------------------------------------

    def find(self, call):
        exchange = call.exchange
        if exchange.is_modern and EXTENSION not in (
            exchange.meta[CAPABILITIES].get("extensions") or {}
        ):
            self.server.violation("asks for a task without announcing tasks")
            self.refuse_unable()
        task = self.tasks.get(exchange.params["taskId"])
        if task is None:
            raise Refusal(-32602, "Unknown task")
        return task

    def get(self, call):
        task = self.find(call)
        return task.new() if call.exchange.is_modern else task.old()

    def list(self, _call):
        return {"tasks": [task.old() for task in self.tasks.values()]}

    def payload(self, call):
        task = self.find(call)
        with task.moved:
            task.reader = call.exchange
            task.moved.notify_all()
            task.moved.wait_for(lambda: task.status in ENDED or call.exchange.cancelled.is_set())
        if task.result is None:
            fault = task.error or {"code": -32603, "message": "the task was cancelled"}
            raise Refusal(fault["code"], fault["message"])
        return {**task.result, "_meta": {RELATED: {"taskId": task.id}}}

    def cancel(self, call):
        task = self.find(call)
        if task.status in ENDED and not call.exchange.is_modern:
            raise Refusal(-32602, "The task has ended")
        self.server.journal.note("cancelled", id=task.id, tag=task.call.arguments.get("tag"),
                                 how="tasks/cancel")  # fmt: skip
        task.cancelled.set()
        task.move("cancelled")
        return {} if call.exchange.is_modern else task.old()

    def update(self, call):
        task, responses = self.find(call), call.exchange.params["inputResponses"]
        if set(responses) - set(task.waiting):
            self.server.violation("answers what the task did not ask", responses=responses)
        with task.moved:
            if responses:
                task.answers, task.waiting = responses, {}
                task.status = "working"
            task.moved.notify_all()
        return {}
