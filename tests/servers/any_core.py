# SPDX-License-Identifier: MIT
"""What a server of any revision is made of: its journal, its conversations with clients, and the
exchanges in them. Transports hand messages in by `Server.receive`; channels take them out."""

import inspect
import json
import os
import threading
import time

import any_schema as schema
from any_schema import MODERN, PREFIX

VERSION, CAPABILITIES = PREFIX + "protocolVersion", PREFIX + "clientCapabilities"
SUBSCRIPTION, LEVEL = PREFIX + "subscriptionId", PREFIX + "logLevel"
INFO = {"name": "any", "version": "1"}
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Journal:
    """Everything that was received and sent, and every violation: one JSON object a line."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a", encoding="utf-8") if path else None

    def note(self, kind, **what):
        if self.file:
            line = json.dumps({"at": time.time(), "pid": os.getpid(), "kind": kind, **what})
            with self.lock:
                self.file.write(line + "\n")
                self.file.flush()


class Refusal(Exception):
    """A message gets an error for an answer."""

    def __init__(self, code, text, data=None, status=200):
        super().__init__(text)
        self.code, self.text, self.data, self.status = code, text, data, status


def key_of(request_id):
    """1 and "1" are two ids."""
    return (type(request_id).__name__, request_id)


def answer(request_id, result):
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error(request_id, code, text, data=None):
    body = {"code": code, "message": text}
    if data is not None:
        body["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": body}


def notification(method, params):
    return {"jsonrpc": "2.0", "method": method, **({"params": params} if params else {})}


class Conversation:
    """One pipe, one HTTP session, one SSE connection; or all that is said to a modern endpoint."""

    def __init__(self, server, wire, name, common=None):
        self.server, self.wire, self.name = server, wire, name
        self.common = common  # the channel of what belongs to no request; None: there is none
        self.revision = None  # what `initialize` agreed on
        self.is_initialized = False
        self.capabilities = {}  # of the client, as told by `initialize`
        self.seen, self.open = set(), {}  # ids of requests: all; id -> Exchange
        self.asked = {}  # our requests: id -> Ask
        self.tokens = set()
        self.level, self.subscribed = None, set()

    def push(self, method, params=None):
        """A notification that belongs to no request."""
        if self.revision and self.common:
            self.server.send(self, self.common, notification(method, params))


class Ask:
    """A request of ours to a legacy client, and its answer."""

    def __init__(self, method, params):
        self.method, self.params = method, params
        self.event, self.answer = threading.Event(), None


class Exchange:
    """One request, from its arrival to its answer."""

    def __init__(self, conversation, message, channel, revision):
        self.conversation, self.server = conversation, conversation.server
        self.id, self.method = message["id"], message["method"]
        self.params = message.get("params") or {}
        self.meta = self.params.get("_meta") or {}
        self.channel, self.revision = channel, revision
        self.cancelled, self.how, self.is_answered = threading.Event(), None, False

    @property
    def is_modern(self):
        return self.revision == MODERN

    @property
    def capabilities(self):
        if self.is_modern:
            return self.meta.get(CAPABILITIES) or {}
        return self.conversation.capabilities

    def cancel(self, how):
        if not self.cancelled.is_set():
            self.how = how
            tag = (self.params.get("arguments") or {}).get("tag")
            self.server.journal.note(
                "cancelled", id=self.id, method=self.method, tag=tag, how=how
            )
            self.finish()
            self.cancelled.set()

    def finish(self):
        self.conversation.open.pop(key_of(self.id), None)
        self.conversation.tokens.discard(self.meta.get("progressToken"))

    def note(self, method, **params):
        if not self.cancelled.is_set():
            self.server.send(self.conversation, self.channel, notification(method, params), self)

    def progress(self, value, total=None, text=None):
        token = self.meta.get("progressToken")
        if token is None:
            return
        params = {"progressToken": token, "progress": value}
        if total is not None:
            params["total"] = total
        if text is not None and self.revision >= "2025-03-26":
            params["message"] = text
        self.note("notifications/progress", **params)

    def log(self, level, data):
        """A log message, if the client wants it."""
        wanted = self.meta.get(LEVEL) if self.is_modern else self.conversation.level
        if wanted and LEVELS.index(level) >= LEVELS.index(wanted):
            self.note("notifications/message", level=level, logger="any", data=data)

    def result(self, result, is_checked=True):
        if self.is_modern and is_checked:
            result = {
                "resultType": "complete",
                **result,
                "_meta": {PREFIX + "serverInfo": INFO, **result.get("_meta", {})},
            }
        self.reply(answer(self.id, result), is_checked=is_checked)

    def error(self, code, text, data=None, status=200):
        self.reply(error(self.id, code, text, data), status)

    def reply(self, message, status=200, is_checked=True):
        if self.is_answered or self.cancelled.is_set():
            return
        self.is_answered = True
        self.finish()
        self.server.send(
            self.conversation, self.channel, message, self, is_last=True, status=status,
            is_checked=is_checked,
        )  # fmt: skip


class Call:
    """A tool (or prompt, or resource) at work: it may ask back, and outlives its first exchange
    where a modern client comes again with the answers."""

    def __init__(self, exchange):
        self.exchange, self.server = exchange, exchange.server
        self.arguments = exchange.params.get("arguments") or {}
        self.task = None

    def is_able(self, kind, mode=None):
        """Whether the client announced that it can be asked."""
        able = self.exchange.capabilities.get(kind)
        if able is None:
            return False
        # {} means forms, as it did before there were modes.
        return mode is None or mode in able or (mode == "form" and not able)

    def wait(self, seconds):
        """Whether it was cancelled meanwhile."""
        return (self.task or self.exchange).cancelled.wait(seconds)


class Server:
    """The revisions, the features, the conversations. Features and tasks register handlers."""

    def __init__(self, options):
        self.options = options
        self.revisions = options.get("versions", [schema.LEGACY[-1]])
        self.journal = Journal(options.get("journal"))
        self.handlers = {}  # method -> function(exchange); returns a result, or a generator of asks
        self.slow = set()  # methods that need a thread
        self.conversations, self.parked, self.listens = [], {}, {}
        self.numbers = 0
        self.lock = threading.RLock()
        self.referee = None
        self.scripted_tags = {}  # drops that happened
        self.scripts = [dict(script) for script in options.get("script", [])]
        # All that is said in the modern revision, over whatever pipe or connection.
        self.modern = Conversation(self, options.get("transport", "stdio"), "modern")

    def number(self):
        with self.lock:
            self.numbers += 1
            return self.numbers

    def violation(self, rule, **what):
        self.journal.note("violation", rule=rule, **what)

    def scripted(self, **event):
        """What the options say to do at this event instead of what is right, or None."""
        with self.lock:
            for script in self.scripts:
                if any(script.get(key) != value for key, value in event.items() if key in script):
                    continue
                if not set(event) & set(script):
                    continue
                if script.get("skip", 0) > 0:
                    script["skip"] -= 1
                elif script.get("times", 1 << 30) > 0:
                    script["times"] = script.get("times", 1 << 30) - 1
                    self.journal.note("scripted", script=script)
                    return script
        return None

    # ---- out ---------------------------------------------------------------------------------

    def send(self, conversation, channel, message, exchange=None, *, is_last=False, status=200,
             is_checked=True):  # fmt: skip
        revision = exchange.revision if exchange else conversation.revision
        if is_checked:
            asked, params = (exchange.method, exchange.params) if exchange else (None, None)
            for fault in schema.from_server(revision, message, asked, params):
                self.violation("the server itself: " + fault, message=message)
        self.journal.note("sent", message=message, conversation=conversation.name)
        channel.send(message, is_last, status)

    def ask(self, conversation, channel, method, params, exchange=None):
        """A request to a legacy client; gives the Ask."""
        ask, name = Ask(method, params), f"ask-{self.number()}"
        conversation.asked[key_of(name)] = ask
        message = {"jsonrpc": "2.0", "id": name, "method": method}
        if params:
            message["params"] = params
        self.send(conversation, channel, message, exchange)
        return ask

    # ---- in ----------------------------------------------------------------------------------

    def receive(self, conversation, message, channel, headers=None):
        """One message. Gives its Exchange if it is a request that is served."""
        self.journal.note(
            "received", message=message, conversation=conversation.name, wire=conversation.wire
        )
        kind = schema.kind_of(message)
        try:
            if kind == "request":
                return self.receive_request(conversation, message, channel, headers)
            self.referee.check(conversation, message, headers)
            if kind == "notification":
                self.take_notification(conversation, message)
            else:
                self.take_response(conversation, message)
        except Refusal as refusal:
            if kind == "request":
                fault = error(message["id"], refusal.code, refusal.text, refusal.data)
                self.journal.note("sent", message=fault, conversation=conversation.name)
                channel.send(fault, True, refusal.status)
            else:
                raise
        return None

    def receive_request(self, conversation, message, channel, headers):
        revision = self.referee.check(conversation, message, headers)
        exchange = Exchange(conversation, message, channel, revision)
        conversation.seen.add(key_of(exchange.id))
        conversation.open[key_of(exchange.id)] = exchange
        conversation.tokens.add(exchange.meta.get("progressToken"))
        conversation.tokens.discard(None)
        if self.is_slow(exchange):
            threading.Thread(target=self.serve, args=(exchange,), daemon=True).start()
        else:
            self.serve(exchange)
        return exchange

    def is_slow(self, exchange):
        if exchange.method == "tools/call":
            return exchange.params["name"] in self.slow
        return exchange.method in self.slow

    def serve(self, exchange):
        try:
            state = exchange.params.get("requestState") if exchange.is_modern else None
            parked = self.parked.pop(self.parking_key(exchange, state), None)
            if parked:
                call, work = parked
                call.exchange = exchange
                self.carry_on(call, work, exchange.params.get("inputResponses") or {})
                return
            call = Call(exchange)
            result = self.handlers[exchange.method](call)
            if inspect.isgenerator(result):
                self.carry_on(call, result, None)
            elif result is not None:
                exchange.result(result)
        except Refusal as refusal:
            exchange.error(refusal.code, refusal.text, refusal.data, refusal.status)
        except (BrokenPipeError, ConnectionError, ValueError) as fault:
            self.journal.note("lost", id=exchange.id, why=repr(fault))

    # ---- asking back -------------------------------------------------------------------------

    def parking_key(self, exchange, state):
        """Where a modern call waits for its answers: under its state, or, where it was told to give
        none, under what it asked for."""
        if state is not None:
            return state
        params = {k: v for k, v in exchange.params.items() if k not in ("_meta", "inputResponses")}
        return json.dumps([exchange.method, params], sort_keys=True)

    def carry_on(self, call, work, answers):
        """Runs a tool until its end or its next question. `work` yields {key: (method, params)} and
        is sent {key: result, or {"error": ...}}."""
        while True:
            try:
                asks = work.send(answers)
            except StopIteration as end:
                if end.value is not None:
                    call.exchange.result(end.value)
                return
            if asks is None:  # somebody else answers this exchange
                return
            if call.exchange.is_modern:
                self.park(call, work, asks)
                return
            answers = self.gather(call, asks)
            if answers is None:
                return

    def park(self, call, work, asks):
        exchange, result = call.exchange, {"resultType": "input_required"}
        requests = {
            key: {"method": method, **({"params": params} if params else {})}
            for key, (method, params) in asks.items()
        }
        if requests:
            result["inputRequests"] = requests
        state = None
        if self.options.get("state", True) or not requests:
            state = result["requestState"] = f'v1 "{self.number()}" ünïcödé \\ /'
        self.parked[self.parking_key(exchange, state)] = (call, work)
        self.referee.remember_asks(exchange, state, requests)
        exchange.result(result)

    def gather(self, call, asks):
        """Asks a legacy client everything at once; None if the call ended meanwhile."""
        exchange = call.exchange
        sent = {
            key: self.ask(exchange.conversation, exchange.channel, method, params, exchange)
            for key, (method, params) in asks.items()
        }
        deadline = time.monotonic() + 60
        while any(not ask.event.is_set() for ask in sent.values()):
            if exchange.cancelled.wait(0.005) or time.monotonic() > deadline:
                return None
        return {key: ask.answer for key, ask in sent.items()}

    # ---- notifications of the client ---------------------------------------------------------

    def take_notification(self, conversation, message):
        if message["method"] == "notifications/initialized":
            conversation.is_initialized = True
        elif message["method"] == "notifications/cancelled":
            exchange = conversation.open.get(key_of(message["params"]["requestId"]))
            if exchange:
                exchange.cancel("notification")

    @staticmethod
    def take_response(conversation, message):
        ask = conversation.asked.get(key_of(message["id"]))
        if ask and not ask.event.is_set():
            ask.answer = message["result"] if "result" in message else {"error": message["error"]}
            ask.event.set()

    def tell(self, method, params=None, wants=None):
        """News to every client that is to have it: pushed to legacy ones, on listen streams to
        modern ones. `wants` looks at a listen's filter or at a conversation."""
        for conversation in list(self.conversations):
            if conversation.is_initialized and (wants is None or wants(conversation)):
                conversation.push(method, params)
        for exchange in list(self.listens.values()):
            if wants is None or wants(exchange):
                is_odd = self.options.get("string_subscription")
                meta = {"_meta": {SUBSCRIPTION: str(exchange.id) if is_odd else exchange.id}}
                exchange.note(method, **{**meta, **(params or {})})
