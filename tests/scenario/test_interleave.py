# SPDX-License-Identifier: MIT
"""Several agents, one server, the same msgids, progress tokens and cursors: nothing crosses.

Each interleaving is a shuffle of what its calls do, step by step: the server's tool `puppet` does
nothing but what this test orders it to, so that the seed decides the order of everything, progress,
questions, cancellation and answers. A failure prints its seed; TOOLBROKER_SEED=N repeats that one.
"""

import contextlib
import glob
import json
import os
import random
import socket
import time

import pytest

from any_mcp import CAPABILITIES, LEGACY, MODERN, AnyHttp, Asked, any_stdio, violations
from rpc import RpcError, pack

LAST = LEGACY[-1]
SEED = os.environ.get("TOOLBROKER_SEED")

# revision, transport, whether the server may ask, how many of the thousand interleavings
SETTINGS = [
    (LAST, "stdio", False, 150),
    (LAST, "http", False, 150),
    (LAST, "stdio", True, 150),
    (LAST, "http", True, 150),
    (MODERN, "stdio", True, 200),
    (MODERN, "http", True, 200),
]
AGENTS = [("first", "ana"), ("second", "ben"), ("first", "ana")]  # two of them are one identity
POLICY = "".join(
    f'agent "{name}" {{ title = "{name}", services = {{ "*" }} }}\n' for name in ("first", "second")
)


class Control:
    """Gives orders to puppets, in whichever process they are."""

    def __init__(self, pattern):
        self.pattern, self.files, self.homes = pattern, {}, {}

    @staticmethod
    def connect(path):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(ConnectionRefusedError):
            link.connect(path)
            return link.makefile("rw", encoding="utf-8")
        return None

    def order(self, file, **order):
        file.write(json.dumps(order) + "\n")
        file.flush()
        done = json.loads(file.readline())
        assert "failed" not in done, (order, done)
        return done

    def find(self, tag):
        deadline = time.monotonic() + 20
        while tag not in self.homes:
            for path in set(glob.glob(self.pattern)) - set(self.files):
                self.files[path] = self.connect(path)
            for file in filter(None, self.files.values()):
                with contextlib.suppress(ConnectionError, ValueError):  # a process that has ended
                    if self.order(file, do="has", tag=tag)["has"]:
                        self.homes[tag] = file
            assert time.monotonic() < deadline, f"the call {tag} never came to the server"
        return self.homes[tag]

    def do(self, what, tag, **more):
        return self.order(self.find(tag), do=what, tag=tag, **more)


class Agent(Asked):
    """A client whose questions wait until the test wants them answered."""

    def __init__(self, path, capabilities, name, user):
        super().__init__(path, 30, capabilities, agent=name, user=user)
        self.waiting, self.calls, self.walk = [], {}, None

    def receive(self):
        """The next message that is no question; questions wait."""
        while True:
            message = super(Asked, self).receive()
            if message[0] != 0:
                return message
            self.waiting.append(message)

    def answer_question(self, tag):
        """Waits for the question about `tag`, answers it, and gives its parameters."""
        while True:
            for i, (_, msgid, _, params) in enumerate(self.waiting):
                if params[0]["message"] == tag:
                    del self.waiting[i]
                    result = {"action": "accept", "content": {"word": f"for {tag}"}}
                    self.send_bytes(pack([1, msgid, None, result]))
                    return params[0]
            self.pump()

    def pump(self):
        """Takes in one message, whatever it is."""
        message = super(Asked, self).receive()
        if message[0] == 0:
            self.waiting.append(message)
        elif message[0] == 1:
            self.answers[message[1]] = message
        else:
            self.notes.append(message)


class Round:
    """One interleaving."""

    def __init__(self, seed, control, agents, setting):
        self.random, self.seed = random.Random(seed), seed
        self.control, self.agents = control, agents
        self.revision, self.transport, self.asks, _ = setting
        self.expected = {}  # tag -> what its client must have seen

    def plan(self):
        """What each call does, and all of it shuffled into one order."""
        # Where a pipe does not say whose question it is, a client's requests go one by one.
        is_one_by_one = self.asks and self.transport == "stdio" and self.revision != MODERN
        lines, counts = [], (2, 3) if is_one_by_one else (2, 3, 4, 5)
        for number in range(self.random.choice(counts)):
            agent = self.agents[number % len(self.agents)]
            tag = f"{self.seed}/{number}"
            self.expected[tag] = {"agent": agent, "progress": [], "log": [], "end": None}
            middle = []
            for value in range(1, self.random.choice((1, 2, 3, 4))):
                middle.append(("progress", tag, value))
            if self.revision == MODERN and self.random.random() < 0.5:
                middle.append(("log", tag, None))
            self.random.shuffle(middle)
            if self.asks and self.random.random() < 0.5:
                at = self.random.randrange(len(middle) + 1)
                middle[at:at] = [("ask", tag, None), ("reply", tag, None), ("asked", tag, None)]
            end = "cancel" if self.random.random() < 0.2 else "answer"
            lines.append([("call", tag, None), *sorted_progress(middle), (end, tag, None)])
        for agent in self.agents:
            if self.random.random() < 0.3 and not is_one_by_one:
                lines.append([("page", agent, None)] * 4)
        order = [i for i, line in enumerate(lines) for _ in line]
        self.random.shuffle(order)
        steps = [iter(line) for line in lines]
        return [next(steps[i]) for i in order]

    def run(self):
        steps = self.plan()
        try:
            for what, tag, value in steps:
                getattr(self, "step_" + what)(tag, value)
            for tag, expected in self.expected.items():
                self.check(tag, expected)
            for agent in self.agents:
                self.check_rest(agent)
        except BaseException as fault:
            for number, (what, whose, value) in enumerate(steps):
                print(number, what, whose if isinstance(whose, str) else "", value or "")
            print(f"repeat it with TOOLBROKER_SEED={self.seed}")
            raise fault

    # ---- steps -------------------------------------------------------------------------------

    def step_call(self, tag, _):
        agent = self.expected[tag]["agent"]
        params = {"service": "any", "tool": "puppet", "arguments": {"tag": tag},
                  "meta": {"progressToken": 1}}  # fmt: skip
        if self.revision == MODERN:
            params["log_level"] = "info"
        agent.calls[tag] = agent.start("tools.call", params)

    def step_progress(self, tag, value):
        self.control.do("progress", tag, value=value, text=f"{tag} at {value}")
        self.expected[tag]["progress"].append(value)

    def step_log(self, tag, _):
        self.control.do("log", tag, text=tag)
        self.expected[tag]["log"].append(tag)

    def step_ask(self, tag, _):
        self.control.do("ask", tag, text=tag)

    def step_reply(self, tag, _):
        agent = self.expected[tag]["agent"]
        asked = agent.answer_question(tag)
        assert asked["msgid"] == agent.calls[tag], (tag, asked)

    def step_asked(self, tag, _):
        got = self.control.do("asked", tag)["answers"]
        assert got == {"action": "accept", "content": {"word": f"for {tag}"}}, (tag, got)

    def step_answer(self, tag, _):
        self.control.do("answer", tag, text=f"answer to {tag}")
        self.expected[tag]["end"] = f"answer to {tag}"

    def step_cancel(self, tag, _):
        self.control.find(tag)
        agent = self.expected[tag]["agent"]
        agent.notify("cancel", msgid=agent.calls[tag])
        assert self.control.do("cancelled", tag)["how"], f"{tag} was not cancelled at the server"

    def step_page(self, agent, _):
        """The next page of this agent's own walk through a list."""
        params = {"service": "any", "page": True}
        if agent.walk:
            params["cursor"] = agent.walk["cursor"]
        got = agent.call("resources.list", **params)
        marks = {entry["description"] for entry in got["resources"]}
        if not agent.walk:
            agent.walk = {"mark": marks.pop(), "seen": []}
        else:
            assert marks == {agent.walk["mark"]}, f"a page of another walk: {marks}"
        agent.walk["seen"] += [entry["uri"] for entry in got["resources"]]
        agent.walk["cursor"] = got.get("nextCursor")
        if "nextCursor" not in got:
            assert agent.walk["seen"] == [f"any://item/{n}" for n in range(7)]
            agent.walk = None

    # ---- what came of it ---------------------------------------------------------------------

    def check(self, tag, expected):
        agent = expected["agent"]
        msgid = agent.calls[tag]
        try:
            got = agent.wait(msgid)["result"]["content"][0]["text"]
            assert got == expected["end"], (tag, got)
        except RpcError as error:
            assert (error.code, expected["end"]) == ("CANCELLED", None), (tag, error.error)
        notes = [(m, p[0]) for _, m, p in agent.notes if p[0].get("msgid") == msgid]
        progress = [p for m, p in notes if m == "progress"]
        if expected["end"] is not None:
            assert [p["progress"] for p in progress] == expected["progress"], (tag, progress)
        assert all(p["message"] == f"{tag} at {p['progress']}" for p in progress), (tag, progress)
        logs = [p for m, p in notes if m == "log"]
        if expected["end"] is not None and self.transport == "http":
            assert len(logs) == len(expected["log"]), (tag, logs)  # a pipe does not say whose it is
        assert all(p["data"] == tag for p in logs), (tag, logs)

    @staticmethod
    def check_rest(agent):
        """Nothing came that belongs to no call of this agent."""
        agent.call("ping")
        mine = set(agent.calls.values())
        for _, method, params in agent.notes:
            assert params[0]["msgid"] in mine, (method, params)
        assert not agent.waiting, agent.waiting
        assert not agent.answers, agent.answers
        agent.notes.clear()
        agent.calls.clear()


def sorted_progress(steps):
    """The same steps with the values of progress growing, as they must."""
    values = iter(sorted(value for what, _, value in steps if what == "progress"))
    return [(w, tag, next(values) if w == "progress" else value) for w, tag, value in steps]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s[0]}-{s[1]}-{'asks' if s[2] else 'shared'}")
def test_nothing_crosses(daemon, tmp_path, setting):
    revision, transport, asks, count = setting
    journal, control = tmp_path / "journal", tmp_path / "control-{pid}.socket"
    options = {"control": str(control), "walks": True, "page": 2}
    web = None
    if transport == "stdio":
        service = any_stdio(journal, revision, **options)
    else:
        web = AnyHttp(journal, revision, **options)
        service = web.service()
    try:
        daemon.services({"any": service})
        daemon.start(policy=POLICY)
        capabilities = CAPABILITIES if asks else {}
        agents = [Agent(daemon.socket, capabilities, *agent) for agent in AGENTS]
        puppets = Control(str(control).replace("{pid}", "*"))
        first = random.SystemRandom().randrange(1 << 30) if SEED is None else int(SEED)
        print(f"seeds {first} to {first + count - 1}")
        for seed in range(first, first + (count if SEED is None else 1)):
            Round(seed, puppets, agents, setting).run()
        for agent in agents:
            agent.close()
        violations(journal)
    finally:
        if web:
            web.stop()
