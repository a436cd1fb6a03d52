# SPDX-License-Identifier: MIT
"""Starts tests/servers/any_server.py for a scenario, and asks its journal for violations."""

import json
import pathlib
import subprocess

from daemon import SERVERS, eventually, read_journal

SERVER = SERVERS / "any_server.py"
MODERN = "2026-07-28"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

__all__ = ["LEGACY", "MODERN", "SERVER", "AnyHttp", "any_stdio", "eventually", "read_journal", "violations"]


def options_of(journal, versions, options):
    versions = [versions] if isinstance(versions, str) else list(versions)
    return json.dumps({"versions": versions, "journal": str(journal), **options})


def any_stdio(journal, versions, service=None, **options):
    """The settings of a service that is the server over stdio; `service`: more of them."""
    words = [str(SERVER), options_of(journal, versions, options)]
    return {"transport": "stdio", "command": "/usr/bin/python3", "args": words, **(service or {})}


class AnyHttp:
    """The server over HTTP, running."""

    def __init__(self, journal, versions, **options):
        self.journal = journal
        words = options_of(journal, versions, {"transport": "http", **options})
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(SERVER), words], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening "), line
        self.port = int(line.split()[1])

    def service(self, transport="http", path=None, **more):
        path = path or {"http": "/mcp", "auto": "/mcp", "sse": "/sse"}[transport]
        return {"transport": transport, "url": f"http://127.0.0.1:{self.port}{path}", **more}

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def violations(path):
    """Nothing that the server received or sent broke a rule."""
    assert pathlib.Path(path).exists(), "the server was never started"
    found = read_journal(path, "violation")
    assert not found, "\n".join(
        f"{v['rule']}\n    {json.dumps({k: v[k] for k in v if k not in ('at', 'pid', 'kind', 'rule')})[:600]}"
        for v in found[:10]
    )
