# SPDX-License-Identifier: MIT
"""Starts tests/servers/any_server.py for a scenario, and asks its journal for violations."""

import json
import pathlib
import subprocess

from daemon import SERVERS, eventually, read_journal
from rpc import Client, RpcError, pack

SERVER = SERVERS / "any_server.py"
MODERN = "2026-07-28"
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

CAPABILITIES = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}
WORDS = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "words"}}
ROOTS = {"roots": [{"uri": "file:///srv/project", "name": "project"}]}

__all__ = ["LEGACY", "MODERN", "SERVER", "AnyHttp", "Asked", "any_stdio", "eventually",
           "read_journal", "violations"]  # fmt: skip


def accept(params):
    """What a person says who agrees to everything: a form comes back with the tag of its message."""
    if params.get("mode") == "url":
        return {"action": "accept"}
    return {"action": "accept", "content": {"word": params["message"]}}


class Asked(Client):
    """A client that answers what servers ask, and remembers it: `questions` has (method, params)."""

    def __init__(self, path, timeout=60, capabilities=None, **hello):
        self.questions, self.question_ids = [], []
        self.answers_by = {"elicitation.create": accept, "sampling.create": lambda _params: WORDS,
                           "roots.list": lambda _params: ROOTS}  # fmt: skip
        hello = {"agent": "tester", "user": "u1", **hello}
        capabilities = CAPABILITIES if capabilities is None else capabilities
        super().__init__(path, timeout, capabilities=capabilities, **hello)

    def receive(self):
        """The next message that is no question."""
        while True:
            message = super().receive()
            if message[0] != 0:
                return message
            _, msgid, method, params = message
            self.questions.append((method, params[0]))
            self.question_ids.append(msgid)
            answer = self.answers_by[method](params[0])
            if answer is not None:  # None: it is left unanswered
                self.send_bytes(pack([1, msgid, None, answer]))

    def wait_note(self, name, check=lambda params: True):
        """The parameters of the next notification of that name; it is taken out of `notes`."""
        while True:
            for i, (_, method, params) in enumerate(self.notes):
                if method == name and check(params[0]):
                    del self.notes[i]
                    return params[0]
            message = self.receive()
            if message[0] == 1:
                self.answers[message[1]] = message
            else:
                self.notes.append(message)

    def wait_error(self, msgid):
        try:
            result = self.wait(msgid)
        except RpcError as error:
            return error
        raise AssertionError(f"it succeeded: {result}")


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


def violations(path, but=()):
    """Nothing that the server received or sent broke a rule, but for rules with words of `but`."""
    assert pathlib.Path(path).exists(), "the server was never started"
    found = [v for v in read_journal(path, "violation") if not any(w in v["rule"] for w in but)]
    assert not found, "\n".join(
        f"{v['rule']}\n    {json.dumps({k: v[k] for k in v if k not in ('at', 'pid', 'kind', 'rule')})[:600]}"
        for v in found[:10]
    )
