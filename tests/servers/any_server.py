#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A strict MCP server of any revisions over stdio or HTTP, scripted by options in JSON.

    any_server.py '{"versions": ["2026-07-28"], "transport": "stdio", "journal": "/tmp/j"}'

Every message is checked against the official schema of its revision, and what the client does
against the rules of that revision; what is wrong is a `violation` in the journal. Options:

    versions    the revisions it speaks, newest first
    transport   stdio, or http (Streamable HTTP at /mcp, HTTP+SSE at /sse; prints `listening PORT`)
    journal     file of everything that was received and sent
    control     socket on which a test gives orders to the tool `puppet`
    features    some of tools, resources, prompts, completions, logging, tasks; news: list changes
    script      [{method or verb, times, skip, what to do instead}]: see Script of any_http.py, and
                Pipe.act here
    page, empty_cursor, cursor_loop, walks, resources     how lists come in pages
    form, event_ids, priming, retry, sse_style, endpoint  how answers come over HTTP
    bad_headers, extra_tools, pushy, state, ttl_ms, cache_scope, refuses_versions, listen, cold_ms
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback

import any_schema as schema
from any_core import VERSION, Conversation, Refusal, Server
from any_features import Features
from any_referee import Referee
from any_tasks import Tasks
from any_tools import Tools


def build(options):
    server = Server(options)
    server.referee = Referee(server)
    server.features = Features(server)
    server.tools = Tools(server, server.features, Tasks(server, server.features))
    if options.get("control"):
        threading.Thread(target=take_orders, args=(server,), daemon=True).start()
    return server


# ---- orders ----------------------------------------------------------------------------------


def take_orders(server):
    """One JSON object a line, each answered when it was carried out. The process id stands in the
    path where several processes are to have one each."""
    path = server.options["control"].replace("{pid}", str(os.getpid()))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path + ".new")
    listener.listen()
    os.rename(path + ".new", path)  # who finds it can connect
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=take_peer, args=(server, peer), daemon=True).start()


def take_peer(server, peer):
    with peer.makefile("rw", encoding="utf-8") as file:
        for line in file:
            try:
                done = server.tools.control(json.loads(line))
            except (TimeoutError, OSError, Refusal) as fault:
                done = {"failed": repr(fault)}
            file.write(json.dumps(done) + "\n")
            file.flush()


# ---- stdio -----------------------------------------------------------------------------------


class Pipe:
    """stdin and stdout, which both eras share."""

    is_lossy = True

    def __init__(self, server):
        self.server, self.lock = server, threading.Lock()
        self.legacy = Conversation(server, "stdio", "pipe", self)
        server.modern.common = None

    def send(self, message, _is_last=False, _status=200):
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data):
        with self.lock:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def drop(self, _how, _exchange):
        """All that can break here is the process."""
        os._exit(9)

    def run(self):
        for line in sys.stdin.buffer:
            try:
                message = json.loads(line)
            except ValueError:
                self.server.violation("a line that is no JSON", line=repr(line[:200]))
                continue
            if not line.endswith(b"\n") or line.endswith(b"\r\n"):
                self.server.violation("a line that does not end in LF", line=repr(line[-20:]))
            self.take(message)
        self.server.journal.note("end of input")

    def take(self, message):
        script = None
        if isinstance(message, dict) and message.get("method"):
            script = self.server.scripted(method=message["method"])
        if script:
            self.act(script, message)
            return
        conversation = self.conversation_of(message)
        try:
            self.server.receive(conversation, message, self)
        except Refusal as refusal:
            self.server.journal.note("refused", why=refusal.text)

    def conversation_of(self, message):
        """By what the message says of itself; what says nothing belongs to the handshake's."""
        params = message.get("params") if isinstance(message, dict) else None
        meta = params.get("_meta") if isinstance(params, dict) else None
        is_modern = isinstance(meta, dict) and VERSION in meta
        old, new = self.legacy, self.server.modern
        if schema.MODERN not in self.server.revisions:
            return old
        if is_modern:
            if old.revision:
                self.server.violation("a modern request after initialize", message=message)
            return new
        if new.seen and message.get("method") == "initialize":
            self.server.violation("initialize after server/discover", message=message)
        return new if new.seen and not old.revision else old

    def act(self, script, message):
        """error, result: an answer; raw: bytes; exit: a code; else silence. delay_ms goes first;
        `note` is written to the journal by Server.scripted()."""
        self.server.journal.note("received", message=message, conversation="script", wire="stdio")
        self.legacy.seen.add((type(message.get("id")).__name__, message.get("id")))
        time.sleep(script.get("delay_ms", 0) / 1000)
        if "exit" in script:
            print(script.get("stderr", "fatal: unknown request"), file=sys.stderr, flush=True)
            os._exit(script["exit"])
        if "raw" in script:
            self.write(script["raw"].encode("latin-1"))
        for key in ("error", "result"):
            if key in script:
                self.send({"jsonrpc": "2.0", "id": message.get("id"), key: script[key]})
        if script.get("deaf"):
            threading.Event().wait()


def main():
    options = json.loads(sys.argv[1])
    server = build(options)
    server.journal.note("start", versions=server.revisions)
    threading.excepthook = lambda args: server.violation(
        "the server itself failed: " + "".join(traceback.format_exception(*args[:3]))[-2000:]
    )
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    time.sleep(options.get("cold_ms", 0) / 1000)
    if options.get("transport", "stdio") == "stdio":
        Pipe(server).run()
    else:
        import any_http  # pylint: disable=import-outside-toplevel

        any_http.serve(server)


if __name__ == "__main__":
    main()
