# SPDX-License-Identifier: MIT
"""What the Python clients make of questions, of services' features and of events, beyond the
transcript: handlers that fail, wait, use the client or outlive it."""

import asyncio
import os
import pathlib
import socket
import threading
import time

import msgpack
import pytest

from peer import TablePeer
from test_python import RESULT, table  # noqa: F401
from toolbroker import AsyncClient, Client, Elicitation, Event, Sampling, ToolbrokerError

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "default": "Ana"}, "age": {"type": "integer"}},
}
FORM = {"message": "Who?", "requestedSchema": SCHEMA, "service": "s", "tool": "t"}


def ask(peer, questions):
    """Sends questions and gives the answers by msgid, in any order."""
    for number, (method, params) in enumerate(questions, 1):
        peer.connection.sendall(msgpack.packb([0, number, method, [params]]))
    answers = {}
    while len(answers) < len(questions):
        kind, msgid, error, result = peer.receive()
        assert kind == 1
        answers[msgid] = (error, result)
    return answers


def asking(*questions):
    """A method that asks first, and tells in its result what was answered."""

    def method(peer, msgid, params):
        answers = ask(peer, [(name, {**body, "msgid": msgid}) for name, body in questions])
        return {**RESULT, "answers": [list(answers[n]) for n in sorted(answers)]}

    return method


def run_sync(path, handlers, work=None):
    with Client(path, **handlers) as client:
        return work(client) if work else client.call_tool("t", timeout=60).raw["answers"]


def run_async(path, handlers, work=None):
    async def run():
        async with AsyncClient(path, **handlers) as client:
            return (await client.call_tool("t", timeout=60)).raw["answers"]

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("run", [run_sync, run_async])


@BOTH
def test_an_elicitation_is_typed(run, table, socket_path):  # noqa: F811
    table(tools_call=asking(
        ("elicitation.create", FORM),
        ("elicitation.create", {"message": "Go", "mode": "url", "url": "https://x.example/",
                                "elicitationId": "7", "service": "s", "tool": "t"}),
    ))  # fmt: skip
    seen = []

    def handler(question):
        seen.append(question)
        return question.accept({**question.defaults(), "age": 7})

    form, url = run(socket_path, {"on_elicitation": handler})
    assert form == [None, {"action": "accept", "content": {"name": "Ana", "age": 7}}]
    assert url == [None, {"action": "accept"}]
    seen.sort(key=lambda question: question.mode)
    assert [q.mode for q in seen] == ["form", "url"]
    assert (seen[0].service, seen[0].tool, seen[0].schema) == ("s", "t", SCHEMA)
    assert (seen[1].url, seen[1].raw["elicitationId"]) == ("https://x.example/", "7")
    assert "msgid" not in seen[0].raw and not any(q.is_cancelled for q in seen)


def test_helpers():
    question = Elicitation("Who?", "form", {"properties": {"a": {"default": False}, "b": True}})
    assert question.defaults() == {"a": False}
    assert question.accept() == {"action": "accept", "content": {}}
    assert question.decline() == {"action": "decline"} and question.cancel() == {"action": "cancel"}
    assert Elicitation(schema={"properties": 7}).defaults() == {}
    assert Sampling().answer("hi", model="m") == {
        "role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m",
        "stopReason": "endTurn",
    }  # fmt: skip


@BOTH
@pytest.mark.parametrize("answer", [
    None, "yes", {"action": "maybe"}, {"action": "accept", "content": {"x": object()}}, 7,
])  # fmt: skip
def test_what_is_no_answer_is_a_no(run, answer, table, socket_path, caplog):  # noqa: F811
    table(tools_call=asking(("elicitation.create", FORM)))
    answers = run(socket_path, {"on_elicitation": lambda question: answer})
    assert answers == [[None, {"action": "decline"}]]
    assert ("failed" in caplog.text) == (answer is not None)


@BOTH
def test_a_handler_that_raises(run, table, socket_path, caplog):  # noqa: F811
    asked = {"messages": [], "maxTokens": 1, "service": "s", "tool": "t"}
    table(tools_call=asking(("elicitation.create", FORM), ("sampling.create", asked),
                            ("roots.list", {"service": "s", "tool": "t"})))  # fmt: skip

    def handler(question):
        raise ZeroDivisionError("the secret is in here")

    declined, *failed = run(socket_path, {
        "on_elicitation": handler, "on_sampling": handler, "on_roots": handler})  # fmt: skip
    assert declined == [None, {"action": "decline"}]
    for error, result in failed:
        assert result is None and error["code"] == "INTERNAL" and "secret" not in str(error)
    assert caplog.text.count("ZeroDivisionError: ") == 3


@BOTH
def test_sampling_and_roots(run, table, socket_path):  # noqa: F811
    asked = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}],
             "maxTokens": 5, "systemPrompt": "be kind", "temperature": 0.5,
             "modelPreferences": {"hints": []}, "service": "s", "tool": "t"}  # fmt: skip
    table(tools_call=asking(("sampling.create", asked), ("roots.list", {"service": "s", "tool": "t"})))

    def sample(question):
        assert (question.max_tokens, question.system_prompt) == (5, "be kind")
        assert question.temperature == 0.5 and question.messages == asked["messages"]
        return question.answer("words", model="m")

    roots = [pathlib.Path("/srv/a b"), "/srv/c", "https://x.example/d", {"uri": "file:///e"}]
    sampled, listed = run(socket_path, {"on_sampling": sample, "on_roots": lambda q: roots})
    assert sampled[1]["content"]["text"] == "words"
    assert listed[1] == {"roots": [
        {"uri": "file:///srv/a%20b", "name": "a b"}, {"uri": "file:///srv/c", "name": "c"},
        {"uri": "https://x.example/d"}, {"uri": "file:///e"},
    ]}  # fmt: skip


def test_handlers_run_side_by_side_and_may_use_the_client(socket_path):
    """Two questions at once: each handler waits until the other runs, and asks the daemon too."""
    pings = []

    class Busy(TablePeer):
        def serve(self):
            call = None
            answers = []
            while True:
                message = self.receive()
                if message is None:
                    self.connection.close()
                    return
                if message[0] == 1:
                    answers.append(message)
                    if len(answers) == 2:
                        self.connection.sendall(msgpack.packb([1, call, None, RESULT]))
                elif message[2] == "tools.call":
                    call = message[1]
                    for number in (1, 2):
                        self.connection.sendall(msgpack.packb(
                            [0, number, "elicitation.create", [{**FORM, "msgid": call}]]))  # fmt: skip
                else:
                    pings.append(message[2])
                    self.connection.sendall(msgpack.packb([1, message[1], None, {}]))

    peer = Busy(socket_path, {})
    together = threading.Barrier(2, timeout=60)

    def handler(question):
        assert threading.current_thread() is not threading.main_thread()
        together.wait()
        client.ping()
        return question.decline()

    with Client(socket_path, on_elicitation=handler) as client:
        assert client.call_tool("t", timeout=60).source == "demo"

    async def run():
        both = []
        met = asyncio.Event()

        async def answer(question):
            both.append(question)
            if len(both) == 2:
                met.set()
            await asyncio.wait_for(met.wait(), 60)
            await aio.ping()
            return question.decline()

        async with AsyncClient(socket_path, on_elicitation=answer) as aio:
            await aio.call_tool("t", timeout=60)

    asyncio.run(run())
    peer.stop()
    assert pings.count("ping") == 4


def test_no_more_questions_than_the_daemon_may_have_open(table, socket_path):  # noqa: F811
    gate = threading.Event()

    def method(peer, msgid, params):
        for number in range(70):
            peer.connection.sendall(msgpack.packb([0, number, "roots.list", [{"msgid": msgid}]]))
        refused = [peer.receive() for _ in range(6)]
        gate.set()
        answered = [peer.receive() for _ in range(64)]
        assert {m[2]["code"] for m in refused} == {"OVERLOADED"}
        assert all(m[2] is None and m[3] == {"roots": []} for m in answered)
        return RESULT

    table(tools_call=method)

    def wait(question):
        assert gate.wait(60)
        return []

    with Client(socket_path, on_roots=wait) as client:
        client.call_tool("t", timeout=60)


def test_a_question_that_is_open_when_the_client_closes(table, socket_path):  # noqa: F811
    def method(peer, msgid, params):
        peer.connection.sendall(msgpack.packb([0, 1, "elicitation.create", [{**FORM, "msgid": msgid}]]))
        assert peer.receive() is None
        return RESULT

    table(tools_call=method)
    asked, ended = threading.Event(), threading.Event()

    def handler(question):
        asked.set()
        if question.wait_cancelled(60):
            ended.set()

    client = Client(socket_path, on_elicitation=handler)
    caller = threading.Thread(target=lambda: pytest.raises(ToolbrokerError, client.call_tool, "t"))
    caller.start()
    assert asked.wait(60)
    client.close()
    assert ended.wait(60)
    caller.join(60)


def test_closing_inside_a_handler_does_not_hang(table, socket_path):  # noqa: F811
    def method(peer, msgid, params):
        peer.connection.sendall(msgpack.packb([0, 1, "elicitation.create", [{**FORM, "msgid": msgid}]]))
        peer.receive()
        return RESULT

    table(tools_call=method)

    async def run():
        async def handler(question):
            await client.close()

        client = AsyncClient(socket_path, on_elicitation=handler)
        with pytest.raises(ToolbrokerError):
            await client.call_tool("t", timeout=60)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_after_a_fork_the_answer_is_the_parents(table, socket_path):  # noqa: F811
    table(tools_call=asking(("elicitation.create", FORM)))

    def handler(question):
        child = os.fork()
        if child == 0:
            # Returning in the child must not put an answer on the parent's connection.
            threading.Timer(0.5, os._exit, (0,)).start()
            return question.accept({"from": "child"})
        assert os.waitpid(child, 0)[1] == 0
        return question.accept({"from": "parent"})

    answers = run_sync(socket_path, {"on_elicitation": handler})
    assert answers == [[None, {"action": "accept", "content": {"from": "parent"}}]]


def test_wrong_handlers(socket_path):
    async def handler(question):
        return None

    with pytest.raises(ToolbrokerError) as raised:
        Client(socket_path, on_elicitation=handler)
    assert raised.value.code == "INVALID_REQUEST" and "AsyncClient" in raised.value.message
    for modes in ((), ("from",)):
        with pytest.raises(ToolbrokerError):
            Client(socket_path, on_elicitation=lambda q: None, elicitation_modes=modes)


# ---- features --------------------------------------------------------------------------------

FEATURES = {
    "resources_list": {"resources": [{"uri": "a:1", "name": "one", "mimeType": "text/plain", "size": 3}]},
    "resources_templates": {"resourceTemplates": [{"uriTemplate": "a:{n}", "name": "n"}]},
    "resources_read": {"result": {"contents": [
        {"uri": "a:1", "text": "¡hola!"}, {"uri": "a:2", "blob": "AAE="}, {"uri": "a:3", "blob": "?"}]}},
    "prompts_list": {"prompts": [{"name": "p", "arguments": [{"name": "who", "required": True}]}]},
    "prompts_get": {"result": {"description": "d", "messages": [
        {"role": "user", "content": {"type": "text", "text": "Hello"}}]}},
    "complete": {"result": {"completion": {"values": ["xa"], "total": 1, "hasMore": False}}},
    "tasks_get": {"task": {"id": "h", "status": "completed", "poll_interval_ms": 5},
                  "result": {"content": [{"type": "text", "text": "done"}]}},
    "tasks_cancel": {"request_id": "1", "service": "s"},
    "tools_call": {**RESULT, "result": None, "task": {"id": "h", "status": "working", "service": "s"}},
}  # fmt: skip


async def use_features(client):
    """Drives AsyncClient; through `Awaited` also Client."""
    (resource,) = await client.resources("s", agent="a", timeout=2)
    assert (resource.uri, resource.name, resource.mime_type, resource.size) == ("a:1", "one", "text/plain", 3)
    assert [t.uri_template for t in await client.resource_templates("s")] == ["a:{n}"]
    text, data, broken = await client.read_resource("s", "a:1")
    assert text.text == "¡hola!" and text.data is None
    assert data.data == b"\0\1" and broken.data is None and broken.raw["blob"] == "?"
    (prompt,) = await client.prompts("s")
    assert prompt.name == "p" and prompt.arguments[0]["required"] is True
    filled = await client.get_prompt("s", "p", {"who": "Ana"}, user="u")
    assert filled.description == "d" and filled.messages[0]["content"]["text"] == "Hello"
    done = await client.complete("s", "who", "x", prompt="p", known={"b": "c"})
    assert (done.values, done.total, done.has_more) == (["xa"], 1, False)
    await client.complete("s", "n", "1", uri="a:{n}")
    with pytest.raises(ToolbrokerError):
        await client.complete("s", "n", "1")
    started = await client.call_tool("t", task=True, log_level="info")
    assert started.task.id == "h" and not started.task.is_over and started.result == {}
    task = await client.task("h")
    assert task.is_over and task.text == "done" and task.poll_interval_ms == 5
    assert (await client.cancel_task("h", agent="a")).id == "h"


class Awaited:
    """A Client whose methods can be awaited, so that both clients take the same test."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        async def method(*words, **more):
            return getattr(self.client, name)(*words, **more)

        return method


SENT = [
    ("resources.list", {"service": "s", "agent": "a", "timeout_ms": 2000}),
    ("resources.templates", {"service": "s"}),
    ("resources.read", {"service": "s", "uri": "a:1"}),
    ("prompts.list", {"service": "s"}),
    ("prompts.get", {"service": "s", "user": "u", "prompt": "p", "arguments": {"who": "Ana"}}),
    ("complete", {"service": "s", "ref": {"type": "ref/prompt", "name": "p"},
                  "argument": {"name": "who", "value": "x"}, "context": {"arguments": {"b": "c"}}}),
    ("complete", {"service": "s", "ref": {"type": "ref/resource", "uri": "a:{n}"},
                  "argument": {"name": "n", "value": "1"}}),
    ("tools.call", {"tool": "t", "task": True, "log_level": "info"}),
    ("tasks.get", {"task": "h"}),
    ("tasks.cancel", {"agent": "a", "task": "h"}),
]  # fmt: skip


def test_features(table, socket_path):  # noqa: F811
    peer = table(**FEATURES)
    with Client(socket_path) as client:
        asyncio.run(use_features(Awaited(client)))
    sent = [request for request in peer.requests if request[0] != "hello"]

    async def run():
        async with AsyncClient(socket_path) as aio:
            await use_features(aio)

    asyncio.run(run())
    assert sent == SENT
    assert [request for request in peer.requests if request[0] != "hello"] == SENT * 2


# ---- events ----------------------------------------------------------------------------------


def eventually(check):
    for _ in range(6000):
        if check():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def test_events_go_to_who_subscribed_and_again_after_a_reconnect(socket_path):
    class Restarting(TablePeer):
        """Closes the connection when it is asked to; tells an event after each subscription."""

        def serve(self):
            while True:
                message = self.receive()
                if message is None or message[2] == "restart":
                    self.connection.close()
                    return
                _, msgid, method, params = message
                self.requests.append((method, params[0] if params else None))
                self.connection.sendall(msgpack.packb([1, msgid, None, {"kinds": ["tools.changed"]}]))
                if method == "events.subscribe":
                    self.notify("event", {"kind": "tools.changed", "time": "T", "service": "s"})
                if method == "resources.subscribe":
                    self.notify("event", {"kind": "resource.updated", "service": "s", "uri": "a:1/x"})
                    self.notify("event", {"kind": "resource.updated", "service": "other", "uri": "a:1"})

    peer = Restarting(socket_path, {})
    events, updates, rest = [], [], []
    with Client(socket_path, on_notification=lambda method, params: rest.append(params)) as client:
        assert client.subscribe_events(["tools.changed"], events.append) == ["tools.changed"]
        client.subscribe_resource("s", "a:1", updates.append)
        client.ping()
        assert [event.kind for event in events] == ["tools.changed"]
        assert events[0] == Event("tools.changed", "T", "s", raw=events[0].raw)
        assert [event.uri for event in updates] == ["a:1/x"]
        assert [params["service"] for params in rest] == ["other"]
        with pytest.raises(ToolbrokerError):
            client.request("restart")
        eventually(lambda: events[-1].kind == updates[-1].kind == "connection.lost")
        client.ping()
        eventually(lambda: len(events) == 3 and len(updates) == 3)
        client.unsubscribe_resource("s", "a:1")
        client.subscribe_events([])
        count = len(peer.requests)
        with pytest.raises(ToolbrokerError):
            client.request("restart")
        client.ping()
    assert [request[0] for request in peer.requests[count:]] == ["hello", "ping"]
    assert len(events) == 3  # nobody who had left was told of the second end

    async def run():
        events.clear()
        async with AsyncClient(socket_path) as aio:
            await aio.subscribe_events(["tools.changed"], events.append)
            await aio.subscribe_resource("s", "a:1", updates.append)
            with pytest.raises(ToolbrokerError):
                await aio.request("restart")
            await aio.ping()
            for _ in range(6000):
                if len(events) == 3 and len(updates) == 6:
                    break
                await asyncio.sleep(0.01)
            assert [e.kind for e in events] == ["tools.changed", "connection.lost", "tools.changed"]

    asyncio.run(run())
    peer.stop()


def test_a_subscription_that_fails_is_not_kept(table, socket_path):  # noqa: F811
    error = {"code": "NOT_FOUND", "message": "no"}
    peer = table(events_subscribe=error, resources_subscribe=error)
    with Client(socket_path) as client:
        for work in (lambda: client.subscribe_events(["x"], print),
                     lambda: client.subscribe_resource("s", "u", print)):  # fmt: skip
            with pytest.raises(ToolbrokerError):
                work()
        assert client._subscriptions.requests() == []
    assert len(peer.requests) == 3


# ---- connecting ------------------------------------------------------------------------------


@pytest.fixture
def full(socket_path):
    """A socket at which somebody listens whose queue of connections is full."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path)
        listener.listen(0)
        fillers = []
        while True:
            filler = socket.socket(socket.AF_UNIX)
            filler.setblocking(False)
            try:
                filler.connect(socket_path)
            except BlockingIOError:
                filler.close()
                break
            fillers.append(filler)
        yield listener
        for filler in fillers:
            filler.close()


def attempt(kind, path):
    if kind is Client:
        Client(path, connect_timeout=0.3).ping()
    else:
        asyncio.run(AsyncClient(path, connect_timeout=0.3).ping())


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_queue_that_stays_full(kind, full, socket_path):
    began = time.monotonic()
    with pytest.raises(ToolbrokerError) as raised:
        attempt(kind, socket_path)
    assert raised.value.code == "UNAVAILABLE" and "accepts no connections" in raised.value.message
    assert 0.25 < time.monotonic() - began < 20


def serve_one(listener):
    """Takes whoever waits in the queue, and answers the one that speaks."""
    while True:
        connection, _ = listener.accept()
        unpacker = msgpack.Unpacker()
        data = connection.recv(65536)
        while data:
            unpacker.feed(data)
            for _, msgid, method, _ in unpacker:
                connection.sendall(msgpack.packb([1, msgid, None, {}]))
                if method == "ping":
                    connection.close()
                    return
            data = connection.recv(65536)
        connection.close()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_queue_that_becomes_free(kind, socket_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path)
        listener.listen(0)
        filler = socket.socket(socket.AF_UNIX)
        filler.connect(socket_path)

        def serve():
            time.sleep(0.3)
            filler.close()
            serve_one(listener)

        thread = threading.Thread(target=serve)
        thread.start()
        if kind is Client:
            with Client(socket_path) as client:
                client.ping()
        else:

            async def run():
                async with AsyncClient(socket_path) as aio:
                    await aio.ping()

            asyncio.run(run())
        thread.join(60)
        assert not thread.is_alive()
