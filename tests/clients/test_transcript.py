# SPDX-License-Identifier: MIT
"""One transcript, three clients: C, Python with threads, Python with asyncio."""

import asyncio
import json
import pathlib
import subprocess
import time
from decimal import Decimal

import pytest

from peer import SECONDS, ScriptPeer, from_wire
from toolbroker import AsyncClient, Client, Elicitation, Roots, Sampling, ToolbrokerError

TRANSCRIPT = json.loads(
    (pathlib.Path(__file__).parent / "transcript.json").read_text(), parse_float=Decimal
)


# What a client of the transcript can be asked, as the C client names it.
CAPABILITIES = {"form": 1, "url": 2, "sampling": 4, "sampling_tools": 8, "roots": 16}


class CClient:
    def __init__(self, programs, path, options):
        words = [options.get(key, "-") for key in ("agent", "user", "locale")]
        numbers = [str(options.get(key, 0)) for key in ("reconnect_ms", "frame_bytes")]
        mask = sum(CAPABILITIES[name] for name in options.get("can", []))
        answers = [f"{method}={c_answer(answer)}" for method, answer in options.get("answers", {}).items()]
        self.process = subprocess.Popen(
            [str(programs / "client_driver"), path, *words, *numbers, str(mask), *answers],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.questions, self.taken_back, self.events = [], 0, []

    def call(self, call):
        params = call.get("params")
        text = "-" if params is None else json.dumps(params, default=exact, ensure_ascii=False)
        text = text.replace('"\\u0000', "").replace('\\u0000"', "")
        print(call["method"], call.get("timeout_ms", 10000), text, file=self.process.stdin)
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline(), parse_float=Decimal)
        notes = [[method, params] for method, is_mine, params in answer["notifications"] if is_mine]
        assert all(has_call for _, has_call, _ in answer["questions"])
        self.questions = without_msgid([[method, params] for method, _, params in answer["questions"]])
        self.taken_back = answer["taken_back"]
        self.events += [p for method, _, p in answer["notifications"] if method == "event"]
        return answer.get("result"), answer.get("error"), without_msgid(notes)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(SECONDS) == 0


def c_answer(answer):
    return answer if answer == "wait" else "" if answer is None else json.dumps(answer)


def exact(value):
    assert isinstance(value, Decimal)
    return f"\x00{value}\x00"  # a text for now; the marks and quotes are taken off later


def without_msgid(notes):
    for _, params in notes:
        assert isinstance(params.pop("msgid"), int)
    return notes


def to_python(value):
    """The transcript's numbers as a Python program has them: a float where that is exact."""
    if isinstance(value, list):
        return [to_python(item) for item in value]
    if isinstance(value, dict):
        return {key: to_python(item) for key, item in value.items()}
    if isinstance(value, Decimal) and Decimal(repr(float(value))) == value:
        return float(value)
    return value


def arguments(options):
    seconds = (
        {"reconnect_timeout": options["reconnect_ms"] / 1000} if "reconnect_ms" in options else {}
    )
    rest = {k: v for k, v in options.items() if k not in ("reconnect_ms", "can", "answers")}
    return {**rest, **seconds}


METHODS = {Elicitation: "elicitation.create", Sampling: "sampling.create", Roots: "roots.list"}


class Handlers:
    """Answers questions as a transcript says, and remembers them."""

    def __init__(self, options):
        self.questions, self.taken_back, self.events = [], 0, []
        self.answers = options.get("answers", {})
        self.can = options.get("can", [])

    def arguments(self, handler):
        modes = [mode for mode in ("form", "url") if mode in self.can]
        has_sampling = "sampling" in self.can or "sampling_tools" in self.can
        return {
            "on_elicitation": handler if modes else None,
            "elicitation_modes": modes or ("form", "url"),
            "on_sampling": handler if has_sampling else None,
            "sampling_tools": "sampling_tools" in self.can,
            "on_roots": handler if "roots" in self.can else None,
            "on_notification": self.note,
        }

    def note(self, method, params):
        if method == "event":
            self.events.append(params)

    def answer(self, question):
        method = METHODS[type(question)]
        self.questions.append(
            [method, {**question.raw, "service": question.service, "tool": question.tool}]
        )
        answer = self.answers.get(method)
        if answer is None:
            raise LookupError("a handler that fails")
        return answer["roots"] if method == "roots.list" and answer != "wait" else answer

    def handle(self, question):
        answer = self.answer(question)
        if answer == "wait":
            assert question.wait_cancelled(SECONDS)
            self.taken_back += 1
            return question.cancel()
        return answer

    async def handle_async(self, question):
        answer = self.answer(question)
        if answer == "wait":
            try:
                await asyncio.sleep(SECONDS)
            finally:
                assert question.is_cancelled
                self.taken_back += 1
        return answer


class SyncClient:
    def __init__(self, programs, path, options):
        self.handlers = Handlers(options)
        more = self.handlers.arguments(self.handlers.handle)
        self.client = Client(path, **arguments(options), **more)

    @property
    def questions(self):
        return self.handlers.questions

    @property
    def taken_back(self):
        for _ in range(100 * SECONDS):  # the thread of a question ends when it likes
            if self.handlers.taken_back:
                break
            time.sleep(0.01)
        return self.handlers.taken_back

    @property
    def events(self):
        return self.handlers.events

    def call(self, call):
        notes = []
        try:
            result = self.client.request(
                call["method"], to_python(call.get("params")),
                timeout=call.get("timeout_ms", 10000) / 1000,
                on_notification=lambda method, params: notes.append([method, dict(params)]),
            )  # fmt: skip
        except ToolbrokerError as error:
            return None, error.as_dict(), without_msgid(notes)
        return from_wire(result), None, without_msgid(notes)

    def close(self):
        self.client.close()


class AioClient(SyncClient):
    def __init__(self, programs, path, options):
        self.loop = asyncio.new_event_loop()
        self.handlers = Handlers(options)
        more = self.handlers.arguments(self.handlers.handle_async)
        self.client = AsyncClient(path, **arguments(options), **more)

    def call(self, call):
        return self.loop.run_until_complete(self._call(call))

    async def _call(self, call):
        notes = []
        try:
            result = await self.client.request(
                call["method"], to_python(call.get("params")),
                timeout=call.get("timeout_ms", 10000) / 1000,
                on_notification=lambda method, params: notes.append([method, dict(params)]),
            )  # fmt: skip
        except ToolbrokerError as error:
            return None, error.as_dict(), without_msgid(notes)
        return from_wire(result), None, without_msgid(notes)

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


@pytest.mark.parametrize("kind", [CClient, SyncClient, AioClient])
@pytest.mark.parametrize("scenario", TRANSCRIPT["scenarios"], ids=lambda s: s["name"])
def test_transcript(scenario, kind, programs, socket_path):
    peer = ScriptPeer(socket_path, scenario["peer"])
    client = kind(programs, socket_path, scenario.get("client", {}))
    try:
        for call in scenario["calls"]:
            if "after_step" in call:
                peer.await_step(call["after_step"])
            check(call, *client.call(call))
            if "questions" in call:
                assert client.questions == call["questions"]
            if "taken_back" in call:
                assert client.taken_back == call["taken_back"]
            if "events" in call:
                assert client.events == call["events"]
    except BaseException:
        if peer.failure:  # it says more
            raise peer.failure from None
        raise
    finally:
        client.close()
    peer.finish()


def check(call, result, error, notes):
    if "error" in call:
        assert error is not None, f"{call['method']}: {result}"
        assert {key: error.get(key) for key in call["error"]} == call["error"], error
        assert set(error) <= {
            "code", "message", "user_message", "suggestion", "retryable", "retry_after_ms",
            "details", "request_id",
        }  # fmt: skip
        assert error["message"] and error["user_message"]
    else:
        assert error is None, error
        assert result == call["result"]
    assert notes == call.get("notifications", [])
