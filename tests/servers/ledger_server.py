#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An MCP server (2025-06-18) whose tool `book` must not happen twice: each time adds a line to a file.

Before and after that it waits, so that whoever kills its caller may hit either side.
`ledger_server.py FILE` speaks on stdin and stdout, `ledger_server.py FILE --http` on a port that it
prints. Standard library only.
"""

import asyncio
import json
import os
import sys

TOOLS = [
    {
        "name": "book",
        "description": "Adds a line to the ledger.",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "before_ms": {}, "after_ms": {}},
            "required": ["id"],
        },
    }
]


class Ledger:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def book(self, arguments):
        await asyncio.sleep(arguments.get("before_ms", 0) / 1000)
        os.write(self.file, (arguments["id"] + "\n").encode())
        await asyncio.sleep(arguments.get("after_ms", 0) / 1000)
        return {"content": [{"type": "text", "text": "booked " + arguments["id"]}]}

    async def answer(self, message):
        """The response; None: none is due."""
        if "id" not in message:
            return None
        method = message.get("method")
        if method == "initialize":
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "ledger", "version": "1"},
            }
        elif method == "tools/list":
            result = {"tools": TOOLS}
        elif method == "tools/call":
            result = await self.book(message["params"]["arguments"])
        elif method == "ping":
            result = {}
        else:
            error = {"code": -32601, "message": "no such method"}
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}


async def serve_stdio(ledger):
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()

    async def take(line):
        response = await ledger.answer(json.loads(line))
        if response:
            sys.stdout.write(json.dumps(response) + "\n")
            sys.stdout.flush()

    while line := await reader.readline():
        task = asyncio.create_task(take(line))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def serve_http(ledger):
    async def connected(reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(
                    (name.lower(), value.strip())
                    for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
                )
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                status, data = "405 Method Not Allowed", b""
                if head.startswith("POST "):
                    response = await ledger.answer(json.loads(body))
                    status = "200 OK" if response else "202 Accepted"
                    data = json.dumps(response).encode() if response else b""
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(data)}\r\n\r\n".encode() + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    book = Ledger(sys.argv[1])
    asyncio.run(serve_http(book) if "--http" in sys.argv else serve_stdio(book))
