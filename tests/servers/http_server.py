#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An MCP server over Streamable HTTP that misbehaves on request.

The path says how it answers (`/mcp` in JSON, `/sse` as an event stream, `/status/503` always with
that status); its tools misbehave call by call. Prints `listening PORT`. Standard library only.
"""

import argparse
import collections
import itertools
import json
import os
import queue
import re
import signal
import socketserver
import sys
import threading
import time

import mcp_common as mcp

TOOLS = mcp.GOOD_TOOLS + [
    mcp.tool("half", "Closes half-way through its answer."),
    mcp.tool("half_event", "Closes half-way through an event."),
    mcp.tool("no_answer", "Ends its event stream without the answer."),
    mcp.tool("broken_event", "Sends events that are no JSON-RPC."),
    mcp.tool("broken_json", "Answers JSON that is none."),
    mcp.tool("broken_http", "Answers what is no HTTP."),
    mcp.tool("page", "Answers a page of HTML with 200."),
    mcp.tool("status", "Answers with an HTTP status.", status="integer", after="integer"),
    mcp.tool("rationed", "Answers so many a second, and 429 to more.", per_s="integer"),
    mcp.tool("expire", "Answers, and forgets the session."),
    mcp.tool("headers", "Tells the headers of the call."),
    mcp.tool("drip", "Sends so many bytes one by one, slowly.", bytes="integer"),
    mcp.tool("endless", "Sends comments for ever."),
    mcp.tool("redirect", "Sends the caller elsewhere.", to="string"),
]

PHRASES = {
    200: "OK", 202: "Accepted", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class State:
    """What all connections share."""

    def __init__(self, options):
        self.options = options
        self.journal = mcp.Journal(options.journal)
        self.tools = list(TOOLS)
        self.numbers = itertools.count(1)
        self.sessions = set()
        self.streams = {}  # session -> queue of what its GET stream is to say
        self.cancelled = {}  # (session, id) -> event
        self.ration = collections.Counter()  # second of the clock -> calls


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    @property
    def state(self):
        return self.server.state

    # ---- HTTP --------------------------------------------------------------------------------

    def handle(self):
        try:
            while self.handle_one():
                pass
        except (ConnectionError, BrokenPipeError, TimeoutError):
            self.state.journal.note("connection lost")

    def handle_one(self):
        line = self.rfile.readline()
        if not line.strip():
            return False
        self.verb, self.path, _ = line.decode("latin-1").split(" ", 2)
        self.headers = {}
        while (line := self.rfile.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        message = json.loads(body) if body else None
        self.state.journal.note(
            "request", verb=self.verb, path=self.path, headers=self.headers, message=message
        )
        self.close = self.is_chunked = False
        self.route(message)
        return not self.close

    def put(self, data):
        self.wfile.write(data)

    def head(self, status, kind=None, length=0, **headers):
        lines = [f"HTTP/1.1 {status} {PHRASES.get(status, 'Odd')}"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        lines.append(f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.put(("\r\n".join(lines) + "\r\n\r\n").encode())

    def chunk(self, data):
        self.put(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, message, name="message"):
        text = message if isinstance(message, str) else json.dumps(message)
        self.chunk(f"event: {name}\ndata: {text}\n\n".encode())

    def answer(self, message, **headers):
        """One message, in the form that the path asks for."""
        if self.path.startswith("/sse"):
            if not self.is_chunked:
                self.head(200, "text/event-stream", None, **headers)
            self.chunk(b": a comment\n\nid: 1\ndata:\n\n")
            self.event(message)
            self.chunk(b"")
        else:
            body = (message if isinstance(message, str) else json.dumps(message)).encode()
            self.head(200, "application/json", len(body), **headers)
            self.put(body)

    # ---- MCP ---------------------------------------------------------------------------------

    def route(self, message):
        fixed = re.match(r"/status/(\d+)(?:/(\d+))?", self.path)
        session = self.headers.get("mcp-session-id")
        if fixed:
            self.fail(int(fixed[1]), fixed[2])
        elif self.verb == "DELETE":
            self.state.sessions.discard(session)
            self.head(200)
        elif self.verb == "GET":
            self.listen(session)
        elif message.get("method") == "initialize":
            session = f"session-{next(self.state.numbers)}"
            self.state.sessions.add(session)
            self.answer(mcp.initialize(message, self.state.options.version), Mcp_Session_Id=session)
        elif session not in self.state.sessions:
            self.head(404)
        else:
            self.receive(session, message)

    def fail(self, status, after=None):
        headers = {"Retry_After": after} if after else {}
        if status == 401:
            headers["WWW_Authenticate"] = 'Bearer error="invalid_token"'
        self.head(status, **headers)

    def listen(self, session):
        if session not in self.state.sessions:
            self.head(404)
            return
        self.close = True
        events = self.state.streams[session] = queue.Queue()
        self.head(200, "text/event-stream", None)
        self.state.journal.note("listening")
        while session in self.state.sessions:
            try:
                self.event(events.get(timeout=0.2))
            except queue.Empty:
                self.chunk(b": alive\n\n")

    def receive(self, session, message):
        method, request = message.get("method"), message.get("id")
        if method == "tools/list":
            self.answer(mcp.answer(request, {"tools": self.state.tools}))
        elif method == "tools/call":
            self.call(session, request, message["params"])
        elif method == "ping":
            self.answer(mcp.answer(request, {}))
        elif request is not None and method:
            self.answer(mcp.error(request, -32601, "Method not found"))
        else:
            if method == "notifications/cancelled":
                key = (session, message["params"]["requestId"])
                self.state.cancelled.get(key, threading.Event()).set()
            self.head(202)

    def call(self, session, request, params):
        name, arguments = params["name"], params.get("arguments") or {}
        cancelled = self.state.cancelled[session, request] = threading.Event()
        result = mcp.plain_result(name, arguments)
        handler = getattr(self, "tool_" + name, None)
        if result is not None:
            self.answer(mcp.answer(request, result))
        elif handler is None:
            self.answer(mcp.error(request, -32602, f"Unknown tool: {name}"))
        else:
            self.session, self.cancelled = session, cancelled
            self.token = params.get("_meta", {}).get("progressToken")
            handler(request, arguments)

    # ---- tools that behave -------------------------------------------------------------------

    def tool_slow(self, request, arguments):
        if self.cancelled.wait(arguments.get("ms", 1000) / 1000):
            self.state.journal.note("stopped", request=request)
        self.answer(mcp.answer(request, mcp.text_result("slow")))

    def tool_progress(self, request, arguments):
        steps = arguments.get("steps", 3)
        if self.path.startswith("/sse"):
            self.head(200, "text/event-stream", None)
            self.is_chunked = True
            for step in range(1, steps + 1):
                time.sleep(arguments.get("ms", 20) / 1000)
                if self.token is not None:
                    self.event(
                        mcp.notification(
                            "notifications/progress",
                            progressToken=self.token,
                            progress=step,
                            total=steps,
                            message=f"step {step}",
                        )
                    )
        self.answer(mcp.answer(request, mcp.text_result(f"{steps} steps")))

    def tool_refuses(self, request, _arguments):
        self.answer(mcp.error(request, -32000, "The server refuses", {"why": "as asked"}))

    def tool_number(self, request, _arguments):
        self.answer('{"jsonrpc":"2.0","id":%d,"result":%s}' % (request, mcp.NUMBERS))

    def tool_headers(self, request, _arguments):
        self.answer(mcp.answer(request, mcp.text_result(json.dumps(self.headers))))

    def tool_change(self, request, arguments):
        self.state.tools.append(mcp.tool(arguments.get("name", "added"), "Added later."))
        for events in self.state.streams.values():
            events.put(mcp.notification("notifications/tools/list_changed"))
        self.answer(mcp.answer(request, mcp.text_result("changed")))

    def tool_expire(self, request, _arguments):
        self.state.sessions.discard(self.session)
        self.answer(mcp.answer(request, mcp.text_result("forgotten")))

    # ---- tools that do not -------------------------------------------------------------------

    def tool_hang(self, _request, _arguments):
        self.close = True
        self.cancelled.wait(600)

    def tool_wrong_id(self, request, _arguments):
        self.answer(mcp.answer(request + 1_000_000, mcp.text_result("for somebody else")))

    def tool_half(self, request, _arguments):
        self.close = True
        body = json.dumps(mcp.answer(request, mcp.text_result("y" * 1000))).encode()
        self.head(200, "application/json", len(body))
        self.put(body[: len(body) // 2])

    def tool_half_event(self, request, _arguments):
        self.close = True
        self.head(200, "text/event-stream", None)
        body = json.dumps(mcp.answer(request, mcp.text_result("y" * 1000))).encode()
        self.put(b"%x\r\nevent: message\ndata: %s" % (len(body) + 22, body[: len(body) // 2]))

    def tool_no_answer(self, _request, _arguments):
        self.head(200, "text/event-stream", None)
        self.event(mcp.notification("notifications/message", level="info", data="bye"))
        self.chunk(b"")

    def tool_broken_event(self, _request, _arguments):
        self.head(200, "text/event-stream", None)
        self.chunk(b"\x00\xff event\n\ndata: {not json\n\ndata: 17\n\nevent:\ndata\n\n")
        self.chunk(b"")

    def tool_broken_json(self, _request, _arguments):
        self.head(200, "application/json", 12)
        self.put(b'{"jsonrpc": ')

    def tool_broken_http(self, _request, _arguments):
        self.close = True
        self.put(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n")

    def tool_page(self, _request, _arguments):
        body = b"<html><body>Please log in</body></html>"
        self.head(200, "text/html", len(body))
        self.put(body)

    def tool_status(self, _request, arguments):
        self.fail(arguments.get("status", 503), arguments.get("after"))

    def tool_rationed(self, request, arguments):
        second = int(time.monotonic())
        self.state.ration[second] += 1  # a lost count under threads only makes it kinder
        if self.state.ration[second] > arguments.get("per_s", 10):
            self.state.journal.note("refused")
            self.fail(429, 1)
        else:
            self.answer(mcp.answer(request, mcp.text_result("served")))

    def tool_redirect(self, _request, arguments):
        self.head(307, Location=arguments.get("to", "/mcp"))

    def tool_drip(self, request, arguments):
        self.head(200, "application/json", arguments.get("bytes", 1000))
        for _ in range(arguments.get("bytes", 1000)):
            self.put(b" ")
            time.sleep(0.01)

    def tool_endless(self, _request, _arguments):
        self.close = True
        self.head(200, "text/event-stream", None)
        while True:
            self.chunk(b": and on\n\n")
            time.sleep(0.05)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", help="where to write what was received")
    parser.add_argument("--version", help="protocol version to answer with")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with Server(("127.0.0.1", options.port), Handler) as server:
        server.state = State(options)
        print(f"listening {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
