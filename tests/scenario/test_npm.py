# SPDX-License-Identifier: MIT
"""Real MCP servers from npm: filesystem over stdio, everything over stdio and Streamable HTTP."""

import os
import random
import socket
import subprocess
import time

import pytest

from daemon import PATIENCE, Pinger, eventually, free_port, http


def node(npm, name, *arguments):
    return {"transport": "stdio", "command": "/usr/bin/env",
            "args": ["node", str(npm / name), *map(str, arguments)]}  # fmt: skip


@pytest.fixture
def files(daemon, npm, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    daemon.services({"files": node(npm, "mcp-server-filesystem", folder)})
    daemon.start()
    return folder


def test_a_file_is_read_byte_for_byte(files, daemon):
    text = "".join(map(chr, [*range(1, 0x3000), 0x1F600, 0x2028, 0xFEFF])).replace("\r", "")
    (files / "a.txt").write_text(text, encoding="utf-8", newline="")
    large = "".join(random.Random(1).choices("abcdefghijklmnop \n\"\\é", k=2_000_000))
    (files / "large.txt").write_text(large, encoding="utf-8", newline="")
    client = daemon.client()
    assert client.text("files/read_text_file", {"path": str(files / "a.txt")}) == text
    assert client.text("files/read_text_file", {"path": str(files / "large.txt")}) == large


def test_a_file_is_written_and_listed(files, daemon):
    client = daemon.client()
    path = files / "new.txt"
    client.tool("files/write_file", {"path": str(path), "content": "línea\n"})
    assert path.read_text(encoding="utf-8") == "línea\n"
    assert "new.txt" in client.text("files/list_directory", {"path": str(files)})


def test_what_the_server_forbids_is_its_own_failure(files, daemon):
    answer = daemon.client().tool("files/read_text_file", {"path": "/etc/hostname"})
    assert answer["result"]["isError"] is True and answer["source"] == "live"


@pytest.fixture(params=["stdio", "http"])
def everything(request, daemon, npm, tmp_path):
    server = None
    if request.param == "http":
        port = free_port()
        log = open(tmp_path / "everything.log", "wb")
        server = subprocess.Popen(
            ["node", str(npm / "mcp-server-everything"), "streamableHttp"],
            env={**os.environ, "PORT": str(port)}, stdout=log, stderr=log,
        )  # fmt: skip
        eventually(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), 30, "the server")
        daemon.services({"everything": http(port)})
    else:
        daemon.services({"everything": node(npm, "mcp-server-everything", "stdio")})
    daemon.start()
    yield daemon.client()
    daemon.stop()
    if server:
        server.terminate()
        server.wait(10)
        log.close()


def test_everything_lists_and_echoes(everything):
    names = [tool["name"] for tool in everything.call("tools.list")["tools"]]
    assert "everything/echo" in names and len(names) > 8
    assert everything.text("everything/echo", {"message": "hallå"}) == "Echo: hallå"
    assert "42" in everything.text("everything/get-sum", {"a": 40, "b": 2})


def test_everything_reports_progress(everything):
    msgid = everything.start(
        "tools.call",
        {"tool": "everything/trigger-long-running-operation", "arguments": {"duration": 1, "steps": 4}},
    )
    answer = everything.wait(msgid)
    assert "4" in answer["result"]["content"][0]["text"]
    notes = [note[2][0] for note in everything.notes if note[:2] == [2, "progress"]]
    assert [note["progress"] for note in notes] == [1, 2, 3, 4]
    assert all(note["msgid"] == msgid for note in notes)


def test_everything_has_structured_content_and_images(everything):
    weather = everything.tool("everything/get-structured-content", {"location": "Chicago"})
    assert isinstance(weather["result"]["structuredContent"]["temperature"], (int, float))
    image = everything.tool("everything/get-tiny-image")["result"]["content"]
    assert any(part["type"] == "image" and part["data"] for part in image)


def test_everything_is_cancelled(everything, daemon):
    with Pinger(daemon):
        started = time.monotonic()
        error = everything.tool_fails(
            "everything/trigger-long-running-operation", {"duration": 60, "steps": 2}, timeout_ms=500
        )
        assert error.code == "TIMEOUT" and time.monotonic() - started < 3 * PATIENCE
        assert everything.text("everything/echo", {"message": "x"}) == "Echo: x"


def test_everything_refuses_bad_arguments_before_the_server_does(everything):
    error = everything.tool_fails("everything/get-sum", {"a": "forty", "b": 2})
    assert error.code == "VALIDATION_ERROR" and error.details["field"] == "arguments.a", error.error
