# SPDX-License-Identifier: MIT
"""One transcript, three clients: C, Python with threads, Python with asyncio."""

import asyncio
import json
import pathlib
import subprocess
from decimal import Decimal

import pytest

from peer import SECONDS, ScriptPeer, from_wire
from toolbroker import AsyncClient, Client, ToolbrokerError

TRANSCRIPT = json.loads(
    (pathlib.Path(__file__).parent / "transcript.json").read_text(), parse_float=Decimal
)


class CClient:
    def __init__(self, programs, path, options):
        words = [options.get(key, "-") for key in ("agent", "user", "locale")]
        numbers = [str(options.get(key, 0)) for key in ("reconnect_ms", "frame_bytes")]
        self.process = subprocess.Popen(
            [str(programs / "client_driver"), path, *words, *numbers],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, call):
        params = call.get("params")
        text = "-" if params is None else json.dumps(params, default=exact, ensure_ascii=False)
        text = text.replace('"\\u0000', "").replace('\\u0000"', "")
        print(call["method"], call.get("timeout_ms", 10000), text, file=self.process.stdin)
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline(), parse_float=Decimal)
        notes = [[method, params] for method, is_mine, params in answer["notifications"] if is_mine]
        return answer.get("result"), answer.get("error"), without_msgid(notes)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(SECONDS) == 0


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
    rest = {key: value for key, value in options.items() if key != "reconnect_ms"}
    return {**rest, **seconds}


class SyncClient:
    def __init__(self, programs, path, options):
        self.client = Client(path, **arguments(options))

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
        self.client = AsyncClient(path, **arguments(options))

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
