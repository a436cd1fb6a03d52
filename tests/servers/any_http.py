# SPDX-License-Identifier: MIT
"""The HTTP side of any_server.py: Streamable HTTP of every revision at /mcp, HTTP+SSE at /sse.

What is said in answer to one POST is a Stream. The connection that asked reads it; where the
revision lets a client come back for the rest, a GET reads on."""

import json
import os
import re
import select
import signal
import socket
import socketserver
import threading
import time
import traceback

import any_schema as schema
from any_core import VERSION, Conversation, Refusal
from any_schema import MODERN

PHRASES = {200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found",
           405: "Method Not Allowed", 406: "Not Acceptable", 429: "Too Many Requests"}  # fmt: skip


class Stream:
    """Events in order, each to be read by one connection at a time."""

    def __init__(self, owner, name, is_resumable=False):
        self.owner, self.name, self.is_resumable = owner, name, is_resumable
        self.events, self.moved = [], threading.Condition()
        self.is_ended = self.is_cut = False
        self.cut_at = 0  # so many events are written before it is cut
        self.status, self.retry, self.left_at = 200, None, 0
        self.readers = 0

    @property
    def is_lossy(self):
        return not self.is_resumable

    def send(self, message, is_last=False, status=200):
        with self.moved:
            self.events.append(json.dumps(message))
            self.status = status
            self.is_ended = self.is_ended or (is_last and self.name != "common")
            self.moved.notify_all()

    def end(self):
        with self.moved:
            self.is_ended = True
            self.moved.notify_all()

    def drop(self, how, exchange):
        """cut: the connection goes; poll: it ends in order, with a time to wait; half: in an event."""
        if self.is_resumable and exchange.revision < "2025-11-25":
            exchange.progress(1, None, "before the drop")  # something with an id to resume from
            time.sleep(0.05)
        with self.moved:
            self.is_cut, self.cut_at = how, len(self.events)
            self.moved.notify_all()


class Session(Conversation):
    def __init__(self, server, wire, name):
        super().__init__(server, wire, name)
        self.streams = {}
        self.common = None

    def stream(self, name):
        is_resumable = self.server.options.get("event_ids", True) and self.wire == "http"
        self.streams[name] = Stream(self, name, is_resumable)
        return self.streams[name]


class Site:
    """What all connections share."""

    def __init__(self, server):
        self.server, self.sessions, self.lock = server, {}, threading.Lock()
        self.expired = set()  # by the server; a client may use what it does not know of yet
        self.deleted = set()  # by the client


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    # ---- HTTP --------------------------------------------------------------------------------

    def handle(self):
        self.site, self.mcp = self.server.site, self.server.site.server
        self.options = self.mcp.options
        try:
            while self.handle_one():
                pass
        except (ConnectionError, TimeoutError):
            pass
        except Exception:
            self.mcp.violation("the server itself failed: " + traceback.format_exc()[-2000:])
            raise

    def handle_one(self):
        line = self.rfile.readline()
        if not line.strip():
            return False
        self.verb, target, _ = line.decode("latin-1").split(" ", 2)
        self.path, _, self.query = target.partition("?")
        self.headers, self.close = {}, False
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() in self.headers:
                self.mcp.violation(f"the header {name} twice")
            self.headers[name.lower()] = value.strip(" \t\r\n")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.mcp.journal.note("http", verb=self.verb, path=target, headers=self.headers)
        message = None
        if self.verb == "POST":
            message = self.parse(body)
        if not self.act(message):
            getattr(self, "do_" + self.verb, self.refuse_verb)(message)
        return not self.close

    def parse(self, body):
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            self.mcp.violation("POST without Content-Type: application/json", headers=self.headers)
        try:
            return json.loads(body)
        except ValueError:
            self.mcp.violation("a body that is no JSON", body=repr(body[:200]))
            return None

    def head(self, status, kind=None, length=0, headers=None):
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, 'Odd')}"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        lines.append(f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def body(self, status, text, headers=None, kind="application/json"):
        data = text.encode()
        self.head(status, kind if data else None, len(data), headers)
        self.wfile.write(data)

    def refuse_verb(self, _message=None, is_fault=True):
        if is_fault:
            self.mcp.violation(f"{self.verb} {self.path} has no business here")
        self.head(405, headers={"Allow": "POST"})

    def act(self, message):
        """What a script says instead: status, headers, and error, result or body; expire forgets the
        session; close ends the connection without a word."""
        method = message.get("method") if isinstance(message, dict) else None
        event = {"verb": self.verb, "path": self.path, **({"method": method} if method else {})}
        script = self.mcp.scripted(**event)
        if not script:
            return False
        self.mcp.journal.note("received", message=message, conversation="script", wire="http")
        time.sleep(script.get("delay_ms", 0) / 1000)
        if script.get("expire"):
            self.expire(self.headers.get("mcp-session-id"))
        if script.get("close"):
            self.close = True
            return True
        text = script.get("body", "")
        for key in ("error", "result"):
            if key in script:
                request_id = None if script.get("id_null") else message.get("id")
                text = json.dumps({"jsonrpc": "2.0", "id": request_id, key: script[key]})
        self.body(script.get("status", 200), text, script.get("headers"),
                  script.get("type", "application/json"))  # fmt: skip
        return True

    # ---- POST --------------------------------------------------------------------------------

    def do_POST(self, message):  # pylint: disable=invalid-name
        if self.path == "/messages":
            self.post_message(message)
        elif self.path != "/mcp":
            self.refuse_verb(is_fault=False)
        else:
            self.check_accept("application/json", "text/event-stream")
            self.post(message)

    def check_accept(self, *kinds):
        accept = [kind.partition(";")[0].strip() for kind in self.headers.get("accept", "").split(",")]
        if not set(kinds) <= set(accept):
            self.mcp.violation(f"Accept is {accept}, and should name {kinds}", headers=self.headers)

    def post(self, message):
        conversation, stream, headers = self.find_conversation(message)
        if conversation is None:
            return
        try:
            exchange = self.mcp.receive(conversation, message, stream, self.headers)
        except Refusal as refusal:
            fault = {"code": refusal.code, "message": refusal.text}
            self.body(refusal.status, json.dumps({"jsonrpc": "2.0", "error": fault}))
            return
        if exchange is None and not stream.events:
            self.head(202)
        else:
            self.pump(stream, 0, exchange, headers)

    def find_conversation(self, message):
        """(conversation, stream for the answer, headers of the answer); None: refused already."""
        params = message.get("params") if isinstance(message, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        number = str(self.mcp.number())
        if (isinstance(meta, dict) and VERSION in meta) or self.mcp.revisions == [MODERN]:
            conversation = self.mcp.modern
            if MODERN not in self.mcp.revisions:
                conversation = Conversation(self.mcp, "http", "probe")
            return conversation, Stream(None, number), {}
        if isinstance(message, dict) and message.get("method") == "initialize":
            session = self.begin("http", f"session-{number}-{os.getpid()}")
            if "mcp-session-id" in self.headers:
                self.mcp.violation("initialize with a session id", headers=self.headers)
            stream = session.stream(number)
            return session, stream, {"Mcp-Session-Id": session.name}
        session = self.find_session(message)
        return session, session and session.stream(number), {}

    def begin(self, wire, name):
        session = Session(self.mcp, wire, name)
        session.common = session.stream("common")
        with self.site.lock:
            self.site.sessions[name] = session
        return session

    def find_session(self, message=None):
        """The session of a request that must have one, with its headers checked. What awaits no
        answer may be overtaken by the DELETE, on another connection."""
        name = self.headers.get("mcp-session-id")
        session = self.site.sessions.get(name)
        if session is None:
            is_late = name in self.site.deleted and schema.kind_of(message) != "request"
            if name not in self.site.expired and not (message and is_late):
                self.mcp.violation(f"the session is {name!r}", headers=self.headers)
            self.head(400 if name is None else 404)
            return None
        self.check_version(session)
        return session

    def check_version(self, session):
        told = self.headers.get("mcp-protocol-version")
        needs = session.revision is not None and session.revision >= "2025-06-18"
        if told != session.revision and (told is not None or needs):
            text = f"MCP-Protocol-Version is {told!r} in a session of {session.revision}"
            self.mcp.violation(text, headers=self.headers)

    def expire(self, name):
        with self.site.lock:
            session = self.site.sessions.pop(name, None)
            self.site.expired.add(name)
        if session:
            session.is_initialized = False
            for stream in session.streams.values():
                stream.end()

    # ---- GET, DELETE -------------------------------------------------------------------------

    def do_GET(self, _message):  # pylint: disable=invalid-name
        self.check_accept("text/event-stream")
        if self.path == "/sse":
            self.open_sse()
        elif self.path != "/mcp" or self.mcp.revisions == [MODERN]:
            self.refuse_verb(is_fault=self.path == "/mcp")
        elif not self.options.get("get", True):
            self.refuse_verb(is_fault=False)
        elif session := self.find_session():
            self.listen(session)

    def listen(self, session):
        last = self.headers.get("last-event-id")
        if last is None:
            if not session.is_initialized:
                self.mcp.violation("GET before notifications/initialized")
            self.mcp.journal.note("listening", session=session.name)
            self.pump(session.common, len(session.common.events), None, {})
            return
        name, _, number = last.rpartition("/")
        stream = session.streams.get(name)
        if stream is None or not number.isdigit() or int(number) > len(stream.events):
            self.mcp.violation(f"Last-Event-ID {last!r} was never given")
            self.head(400)
            return
        waited = (time.monotonic() - stream.left_at) * 1000
        self.mcp.journal.note("resumed", stream=name, after=int(number), waited_ms=waited)
        if stream.retry and waited < stream.retry - 5:
            self.mcp.violation(f"came back after {waited:.0f} ms, and was told {stream.retry}")
        self.pump(stream, int(number), None, {})

    def do_DELETE(self, _message):  # pylint: disable=invalid-name
        if self.mcp.revisions == [MODERN]:
            self.refuse_verb()
        elif session := self.find_session():
            self.mcp.journal.note("deleted", session=session.name)
            self.expire(session.name)
            self.site.expired.discard(session.name)
            self.site.deleted.add(session.name)
            self.head(200)

    # ---- HTTP+SSE ----------------------------------------------------------------------------

    def open_sse(self):
        if self.mcp.revisions == [MODERN]:
            self.refuse_verb(is_fault=False)
            return
        number = self.mcp.number()
        session = self.begin("sse", f"sse-{number}")
        session.common.is_ended = False
        endpoint = self.options.get("endpoint", "/messages?sid={n}")
        port = str(self.server.server_address[1])
        endpoint = endpoint.replace("{n}", str(number)).replace("{port}", port)
        self.head(200, "text/event-stream", None)
        self.chunk(self.event(endpoint, name="endpoint"))
        self.mcp.journal.note("connected", session=session.name)
        self.pump(session.common, 0, None, None)
        self.mcp.journal.note("left", session=session.name)
        self.expire(session.name)

    def post_message(self, message):
        sid = re.fullmatch(r"sid=(\d+)", self.query)
        session = self.site.sessions.get(f"sse-{sid[1]}") if sid else None
        if session is None:
            if not sid or f"sse-{sid[1]}" not in self.site.expired:
                self.mcp.violation(f"POST to {self.path}?{self.query}, which is no endpoint")
            self.head(404)  # of a stream that ended, which the client may not have seen yet
            return
        if set(self.headers) & {"mcp-session-id", "mcp-method", "mcp-name"}:
            self.mcp.violation("headers of Streamable HTTP over HTTP+SSE", headers=self.headers)
        self.check_version(session)
        try:
            self.mcp.receive(session, message, session.common)
        except Refusal as refusal:
            self.body(refusal.status, refusal.text, kind="text/plain")
            return
        self.head(202)

    # ---- streams -----------------------------------------------------------------------------

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, text, event_id=None, name=None, retry=None):
        """One event in the style of the options; every style is good SSE."""
        style = self.options.get("sse_style", [])
        lines = [f"event: {name}"] if name else []
        if "comments" in style:
            lines = [":", ": a comment", "unknown: field", "data-like", *lines]
        if event_id is not None:
            lines.append(f"id: {event_id}" if "tight" not in style else f"id:{event_id}")
        if retry is not None:
            lines.append(f"retry: {retry}")
        if "multiline" in style and text.startswith("{"):
            text = json.dumps(json.loads(text), indent=1)
        lines += [f"data: {part}" if "tight" not in style else f"data:{part}" for part in text.split("\n")]
        if "empty" in style:
            lines = ["data:", "", "retry: never", "event: nothing", "", *lines]
        end = "\r\n" if "crlf" in style else "\r" if "cr" in style else "\n"
        return (end.join(lines) + end + end).encode()

    def begin_events(self, stream, exchange, headers):
        self.head(200, "text/event-stream", None, {"X-Accel-Buffering": "no", **headers})
        if "bom" in self.options.get("sse_style", []):
            self.chunk("\ufeff".encode())
        is_old = exchange is None or exchange.revision < "2025-11-25"
        if is_old or exchange.is_modern or not stream.is_resumable:
            return
        if self.options.get("priming", True):
            self.chunk(self.event("", f"{stream.name}/0"))

    def pump(self, stream, start, exchange, headers):
        try:
            self.write_events(stream, start, exchange, headers)
        except ConnectionError:
            self.leave(stream, exchange)

    def write_events(self, stream, start, exchange, headers):
        """Writes what the stream says until it ends, is cut, or nobody reads any more. `headers`
        None: the head is written already."""
        with stream.moved:
            stream.readers += 1
            reader = stream.readers
            is_now = bool(stream.events) and stream.is_ended and not stream.is_cut
        if is_now and headers is not None and self.is_plain(stream):
            self.body(stream.status, stream.events[-1], headers)
            return
        if headers is not None and (self.options.get("form") != "json" or exchange is None):
            self.begin_events(stream, exchange, headers)
            headers = None
        while True:
            with stream.moved:
                stream.moved.wait_for(
                    lambda: len(stream.events) > start or stream.is_ended or stream.is_cut, 0.05
                )
                is_ended, cut = stream.is_ended, stream.is_cut
                news = stream.events[start : stream.cut_at if cut else None]
            if headers is not None and is_ended and not cut and len(news) == 1:
                self.body(stream.status, news[0], headers)
                return
            if headers is not None and (news or cut):
                self.begin_events(stream, exchange, headers)
                headers = None
            for text in news:
                start += 1
                event_id = f"{stream.name}/{start}" if stream.is_resumable else None
                self.chunk(self.event(text, event_id))
            if cut and not news:
                self.cut(stream, cut)
                return
            if is_ended and not cut:
                self.end_events(headers)
                return
            if self.is_gone() or stream.readers != reader:
                self.leave(stream, exchange)
                return

    def is_plain(self, stream):
        """Whether the answer is to be a JSON body."""
        return len(stream.events) == 1 and (
            self.options.get("form") == "json" or stream.status != 200
        )

    def end_events(self, headers):
        if headers is not None:
            self.head(200, "text/event-stream", None, headers)
        self.chunk(b"")

    def cut(self, stream, how):
        if how == "poll":
            stream.retry = self.options.get("retry", 300)
            self.chunk(self.event("", f"{stream.name}/{len(stream.events)}", retry=stream.retry))
            self.chunk(b"")
        if how == "half":
            self.chunk(b'data: {"jsonrpc": "2.0", "id": 1, "res')
        if how != "poll":
            self.close = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        with stream.moved:
            stream.left_at = time.monotonic()
            stream.is_cut = False

    def is_gone(self):
        ready, _, _ = select.select([self.connection], [], [], 0)
        return bool(ready) and not self.connection.recv(1, socket.MSG_PEEK)

    def leave(self, stream, exchange):
        """The reader went away: to a modern server that is cancellation, to others it is not."""
        self.close = True
        stream.left_at = time.monotonic()
        if exchange and exchange.is_modern:
            exchange.cancel("disconnect")
        elif exchange:
            self.mcp.journal.note("disconnected", id=exchange.id, method=exchange.method)


class HttpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def serve(mcp):
    with HttpServer(("127.0.0.1", mcp.options.get("port", 0)), Handler) as server:
        server.site = Site(mcp)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        print(f"listening {server.server_address[1]}", flush=True)
        server.serve_forever()
