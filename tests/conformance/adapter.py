#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon as the client under the official conformance suite.

The suite starts this with the URL of a scenario's server. It starts a daemon whose only service is
that URL, and calls through the socket what the scenario wants to see called. Everything MCP is the
daemon's; here is only what an agent would do.
"""

import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))

from daemon import Daemon  # noqa: E402
from rpc import Client, RpcError, pack  # noqa: E402

CAPABILITIES = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}


class Agent(Client):
    """A client that answers the questions of servers."""

    def answer(self, method, params):
        if method == "elicitation.create":
            fields = params.get("requestedSchema", {}).get("properties", {})
            content = {name: field["default"] for name, field in fields.items() if "default" in field}
            if "confirmed" in fields:
                content["confirmed"] = True
            return {"action": "accept", "content": content}
        if method == "sampling.create":
            text = {"type": "text", "text": "an answer"}
            return {"role": "assistant", "content": text, "model": "none", "stopReason": "endTurn"}
        return {"roots": [{"uri": "file:///tmp", "name": "tmp"}]}

    def receive(self):
        while True:
            message = super().receive()
            if message[0] != 0:
                return message
            result = self.answer(message[2], message[3][0])
            self.send_bytes(pack([1, message[1], None, result]))

    def tools(self):
        listed = self.call("tools.list", service="suite")
        assert not listed["unavailable"], listed["unavailable"]
        return {tool["name"].split("/", 1)[1]: tool for tool in listed["tools"]}

    def suite(self, tool, arguments=None):
        return self.tool(f"suite/{tool}", arguments)["result"]


# ---- what each scenario wants to see -------------------------------------------------------------


def lists(agent, _):
    agent.tools()


def asks_around(agent, _):
    """Requests that carry what this client can be asked."""
    for tool in agent.tools():
        agent.suite(tool)
    for method in ("resources.list", "prompts.list"):
        try:
            agent.call(method, service="suite")
        except RpcError as error:
            assert error.code == "NOT_FOUND", error.error


def adds(agent, _):
    agent.tools()
    content = agent.suite("add_numbers", {"a": 2, "b": 3})["content"]
    assert "5" in content[0]["text"], content


def elicits(agent, _):
    agent.suite("test_client_elicitation_defaults")


def reconnects(agent, _):
    agent.suite("test_reconnection")


def sends_headers(agent, _):
    tools = agent.tools()
    for name in tools:
        agent.suite(name, example(tools[name]["inputSchema"]))
        agent.suite(name, example(tools[name]["inputSchema"]))
    resources = agent.call("resources.list", service="suite")["resources"]
    for resource in resources[:2]:
        agent.call("resources.read", service="suite", uri=resource["uri"])
    for prompt in agent.call("prompts.list", service="suite")["prompts"][:2]:
        agent.call("prompts.get", service="suite", prompt=prompt["name"])


def mirrors_arguments(agent, context):
    agent.tools()
    for call in context["toolCalls"]:
        agent.suite(call["name"], call["arguments"])


def leaves_bad_tools_out(agent, _):
    tools = agent.tools()
    assert "valid_tool" in tools, list(tools)
    for name in tools:
        agent.suite(name, example(tools[name]["inputSchema"]))


def carries_state(agent, _):
    agent.tools()
    waiting = [
        agent.start("tools.call", {"tool": "suite/test_mrtr_echo_state", "arguments": {}}),
        agent.start("tools.call", {"tool": "suite/test_mrtr_unrelated", "arguments": {}}),
    ]
    for msgid in waiting:
        agent.wait(msgid)
    agent.suite("test_mrtr_no_state")
    agent.suite("test_mrtr_no_result_type")


def keeps_schemas(agent, _):
    schema = agent.tools()["json_schema_2020_12_tool"]["inputSchema"]
    agent.suite("json_schema_echo", {"schema": schema})


STEPS = {
    "initialize": lists,
    "tools_call": adds,
    "elicitation-sep1034-client-defaults": elicits,
    "sse-retry": reconnects,
    "request-metadata": asks_around,
    "http-standard-headers": sends_headers,
    "http-custom-headers": mirrors_arguments,
    "http-invalid-tool-headers": leaves_bad_tools_out,
    "sep-2322-client-request-state": carries_state,
    "json-schema-ref-no-deref": lists,
    "json-schema-2020-12-preservation": keeps_schemas,
}


def example(schema):
    """Arguments that fit a simple schema."""
    values = {"string": "text", "integer": 3, "number": 1.5, "boolean": True, "array": [], "object": {}}
    fields = schema.get("properties", {})
    return {name: values[fields[name]["type"]] for name in schema.get("required", [])}


def main():
    url = sys.argv[-1]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    with tempfile.TemporaryDirectory(prefix="toolbroker-") as folder:
        os.chmod(folder, 0o700)
        daemon = Daemon(folder)
        daemon.services({"suite": {"transport": "http", "url": url, "timeout_ms": 20000}})
        daemon.settings({"log": {"level": "debug"}})
        daemon.start()
        try:
            hello = {"agent": "tester", "user": "u1"}
            hello["capabilities"] = {} if scenario == "initialize" else CAPABILITIES
            with Agent(daemon.socket, 30, **hello) as agent:
                STEPS[scenario](agent, context)
        except (RpcError, AssertionError) as error:
            print(f"{type(error).__name__}: {getattr(error, 'error', error)}", file=sys.stderr)
            print(daemon.log(), file=sys.stderr)
            return 1
        finally:
            daemon.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
