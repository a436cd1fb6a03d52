#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An MCP server over stdio that misbehaves on request.

--mode says how it starts and ends; its tools misbehave call by call. Python's standard library only.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

import mcp_common as mcp

MODES = {
    "normal": "as it should be",
    "silent": "reads and never writes",
    "exit": "exits at once with 3 and a line on stderr",
    "banner": "prints lines that are no JSON before it speaks",
    "rubbish": "answers everything with rubbish",
    "stubborn": "ignores TERM and the end of its input",
    "family": "starts a grandchild in its group and one that tries to leave it",
    "noisy": "floods stderr as it starts",
    "slow": "takes --delay ms to answer initialize",
    "endless": "its tools/list has always one more page",
}

TOOLS = mcp.GOOD_TOOLS + [
    mcp.tool("die", "Is killed in mid-call."),
    mcp.tool("leave", "Exits in mid-call with 7 and a line on stderr."),
    mcp.tool("rubbish", "Writes lines that are no JSON, then its answer."),
    mcp.tool("huge_line", "Writes a line of so many bytes that does not end.", bytes="integer"),
    mcp.tool("half_line", "Writes half an answer, then is killed.", bytes="integer"),
    mcp.tool("bad_utf8", "Answers text that is no UTF-8."),
    mcp.tool("twice_a_key", "Answers an object with a key twice."),
    mcp.tool("deep", "Answers arrays nested so deep.", depth="integer"),
    mcp.tool("stderr", "Writes so many bytes on stderr, then answers.", bytes="integer"),
    mcp.tool("asks", "Sends a request of its own and answers with what came.", method="string"),
    mcp.tool("logs", "Sends a log message, then answers."),
    mcp.tool("stop_reading", "Reads nothing for so many ms.", ms="integer"),
    mcp.tool("forks", "Starts processes that stay and answers with their ids."),
]


class Server:
    def __init__(self, options):
        self.options = options
        self.journal = mcp.Journal(options.journal)
        self.lock = threading.Lock()
        self.tools = list(TOOLS) + [
            mcp.tool(f"extra_{i:04}", "One more.") for i in range(options.extra_tools)
        ]
        self.cancelled = {}
        self.answers = {}
        self.pause_ms = 0

    # ---- the wire ----------------------------------------------------------------------------

    def write(self, data):
        with self.lock:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def send(self, message):
        if self.options.mode == "rubbish":
            self.write(b"Segmentation fault (but still here) {]\n")
        elif self.options.mode != "silent":
            self.write(json.dumps(message).encode() + b"\n")

    def run(self):
        for line in sys.stdin.buffer:
            message = json.loads(line)
            self.journal.note("message", message=message)
            self.receive(message)
            if self.pause_ms:
                time.sleep(self.pause_ms / 1000)
                self.pause_ms = 0
        self.journal.note("end of input")
        while self.options.mode == "stubborn":
            time.sleep(1)

    def receive(self, message):
        method = message.get("method")
        if method is None:
            event = self.answers.pop(message.get("id"), None)
            if event:
                event[1].append(message)
                event[0].set()
        elif method == "initialize":
            time.sleep(self.options.delay / 1000 if self.options.mode == "slow" else 0)
            self.send(mcp.initialize(message, self.options.version))
        elif method == "tools/list":
            self.list(message)
        elif method == "tools/call":
            self.cancelled[message["id"]] = threading.Event()
            threading.Thread(target=self.call, args=(message,), daemon=True).start()
        elif method == "notifications/cancelled":
            self.cancelled.get(message["params"]["requestId"], threading.Event()).set()
        elif method == "ping":
            self.send(mcp.answer(message["id"], {}))
        elif "id" in message:
            self.send(mcp.error(message["id"], -32601, "Method not found"))

    def list(self, message):
        start = int(message.get("params", {}).get("cursor") or 0)
        page = self.options.page or len(self.tools)
        result = {"tools": self.tools[start : start + page]}
        if self.options.mode == "endless":
            result = {"tools": [mcp.tool(f"t{start}", "")], "nextCursor": str(start + 1)}
        elif start + page < len(self.tools):
            result["nextCursor"] = str(start + page)
        self.send(mcp.answer(message["id"], result))

    # ---- tools -------------------------------------------------------------------------------

    def call(self, message):
        params, request = message["params"], message["id"]
        name, arguments = params["name"], params.get("arguments") or {}
        result = mcp.plain_result(name, arguments)
        if result is None:
            handler = getattr(self, "tool_" + name, None)
            if handler is None:
                self.send(mcp.error(request, -32602, f"Unknown tool: {name}"))
                return
            result = handler(request, arguments, params.get("_meta", {}).get("progressToken"))
        if result is not None and not self.cancelled[request].is_set():
            self.send(mcp.answer(request, result))

    def tool_slow(self, request, arguments, _token):
        if not self.cancelled[request].wait(arguments.get("ms", 1000) / 1000):
            return mcp.text_result("slow")
        self.journal.note("stopped", request=request)
        return None

    def tool_hang(self, *_):
        return None

    def tool_progress(self, request, arguments, token):
        steps = arguments.get("steps", 3)
        for step in range(1, steps + 1):
            if self.cancelled[request].wait(arguments.get("ms", 20) / 1000):
                return None
            if token is not None:
                self.send(
                    mcp.notification(
                        "notifications/progress",
                        progressToken=token,
                        progress=step,
                        total=steps,
                        message=f"step {step}",
                    )
                )
        return mcp.text_result(f"{steps} steps")

    def tool_refuses(self, request, *_):
        self.send(mcp.error(request, -32000, "The server refuses", {"why": "as asked"}))

    def tool_number(self, request, *_):
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (request, mcp.NUMBERS.encode()))

    def tool_wrong_id(self, request, *_):
        self.send(mcp.answer(request + 1_000_000, mcp.text_result("for somebody else")))

    def tool_change(self, _request, arguments, _token):
        self.tools.append(mcp.tool(arguments.get("name", "added"), "Added later."))
        self.send(mcp.notification("notifications/tools/list_changed"))
        return mcp.text_result("changed")

    def tool_die(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)

    def tool_leave(self, *_):
        print("fatal: leaving in the middle of it", file=sys.stderr, flush=True)
        os._exit(7)

    def tool_rubbish(self, *_):
        self.write(b"Warning: this is no JSON\n\n}{\n[1,\n\x00\xff\xfe\n")
        return mcp.text_result("after the rubbish")

    def tool_huge_line(self, _request, arguments, _token):
        left = int(arguments.get("bytes", 100_000_000))
        self.write(b'{"jsonrpc":"2.0","result":"')
        while left > 0:
            self.write(b"x" * min(left, 1 << 20))
            left -= 1 << 20

    def tool_half_line(self, request, arguments, _token):
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"te' % request)
        self.write(b"x" * int(arguments.get("bytes", 0)))
        time.sleep(0.1)
        self.tool_die()

    def tool_bad_utf8(self, request, *_):
        self.write(
            b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\xff\xfe"}]}}\n'
            % request
        )

    def tool_twice_a_key(self, request, *_):
        self.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"content":[]}}\n' % request)

    def tool_deep(self, request, arguments, _token):
        depth = int(arguments.get("depth", 100_000))
        self.write(
            b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"x":%s%s}}\n'
            % (request, b"[" * depth, b"]" * depth)
        )

    def tool_stderr(self, _request, arguments, _token):
        left = int(arguments.get("bytes", 1_000_000))
        while left > 0:
            sys.stderr.write("e" * 99 + "\n")
            left -= 100
        sys.stderr.flush()
        return mcp.text_result("said")

    def tool_asks(self, request, arguments, _token):
        own = f"own-{request}"
        event, got = threading.Event(), []
        self.answers[own] = (event, got)
        method = arguments.get("method", "ping")
        self.send({"jsonrpc": "2.0", "id": own, "method": method})
        event.wait(10)
        return mcp.text_result(json.dumps(got))

    def tool_logs(self, *_):
        self.send(
            mcp.notification("notifications/message", level="info", logger="test", data="said so")
        )
        return mcp.text_result("logged")

    def tool_stop_reading(self, _request, arguments, _token):
        self.pause_ms = arguments.get("ms", 1000)
        return mcp.text_result("from the next message on")

    def tool_forks(self, *_):
        return mcp.text_result(json.dumps(grandchildren()))


def grandchildren():
    """One in our process group, one in a session of its own."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return [
        subprocess.Popen(["sleep", "600"], **quiet).pid,
        subprocess.Popen(["sleep", "600"], start_new_session=True, **quiet).pid,
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=MODES, default="normal")
    parser.add_argument("--journal", help="where to write what was received")
    parser.add_argument("--version", help="protocol version to answer with")
    parser.add_argument("--delay", type=int, default=0, help="ms, for --mode slow")
    parser.add_argument("--page", type=int, default=0, help="tools on a page")
    parser.add_argument("--extra-tools", type=int, default=0)
    options = parser.parse_args()
    server = Server(options)
    server.journal.note("start", mode=options.mode)
    if options.mode == "exit":
        print("fatal: no such database", file=sys.stderr)
        sys.exit(3)
    if options.mode == "stubborn":
        signal.signal(signal.SIGTERM, lambda *_: server.journal.note("TERM"))
    if options.mode == "noisy":
        server.tool_stderr(0, {"bytes": 2_000_000}, None)
    if options.mode == "family":
        server.journal.note("family", pids=grandchildren())
    if options.mode == "banner":
        server.write(b"Welcome to the server!\n\nlistening on stdio\n")
    server.run()


if __name__ == "__main__":
    main()
