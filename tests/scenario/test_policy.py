# SPDX-License-Identifier: MIT
"""Who may call what, what stands in, and what people are told: the shipped policy, and others."""

import time

import pytest

from daemon import PATIENCE, ROOT, echo_stdio, http, stdio
from rpc import RpcError

SERVICES = {
    "coordinator": {"sendgrid", "twitter"},
    "meeting_scheduler": {"calendly", "google_calendar"},
    "lead_administrator": {"pipedrive", "salesforce", "zoho_crm"},
}
EVERY = sorted(set.union(*SERVICES.values()))


@pytest.fixture
def shipped(daemon):
    """The default policy with the services that ship in etc/: nobody has linked an account."""
    for path in sorted((ROOT / "etc").rglob("*.lua")):
        if "sendgrid" in path.read_text(encoding="utf-8") and "services" in str(path):
            daemon.write(f"services.d/{path.name}", path.read_text(encoding="utf-8"))
    daemon.start(policy=None)
    return daemon


def test_the_shipped_agents(shipped):
    client = shipped.client(agent="coordinator")
    agents = {a["name"]: a for a in client.call("agents.list")["agents"]}
    assert set(agents) == set(SERVICES)
    for name, services in SERVICES.items():
        assert set(agents[name]["services"]) == services
        assert client.call("agents.get", agent=name)["title"]
    error = client.fails("agents.get", agent="cordinator")
    assert error.code == "NOT_FOUND" and "coordinator" in error.suggestion


def test_the_seven_services_are_registered(shipped):
    names = [s["name"] for s in shipped.client(agent="coordinator").call("services.list")["services"]]
    assert names == EVERY


@pytest.mark.parametrize("agent", SERVICES)
def test_listed_is_callable_and_only_that(shipped, agent):
    client = shipped.client(agent=agent, user="nobody")
    listed = client.call("tools.list")
    seen = {tool["name"].partition("/")[0] for tool in listed["tools"] if "/" in tool["name"]}
    assert seen == SERVICES[agent]
    for service in EVERY:
        if service not in SERVICES[agent]:
            error = client.tool_fails(f"{service}/anything")
            assert error.code == "POLICY_DENIED" and error.details["rule"], error.error
            assert agent in error.message and service in error.message
    for tool in listed["tools"]:
        assert tool["inputSchema"]["type"] == "object", tool


@pytest.mark.parametrize("service", EVERY)
def test_demo_answers_of_all_seven(shipped, service):
    agent = next(name for name, services in SERVICES.items() if service in services)
    client = shipped.client(agent=agent, user="nobody")
    tools = client.call("tools.list", service=service)["tools"]
    assert tools
    tool = next(t for t in tools if t["name"].startswith(service + "/"))
    arguments = example(tool["inputSchema"])
    answer = client.tool(tool["name"], arguments)
    assert answer["source"] == "demo" and answer["warnings"]
    assert answer["result"]["_meta"]["toolbroker/demo"]
    assert answer["result"]["content"][0]["text"] and answer["service"] == service
    error = client.tool_fails(tool["name"], arguments, demo="never")
    assert error.code == "AUTH_REQUIRED", error.error


def example(schema):
    """Arguments that fit a simple schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        required = schema.get("required", [])
        return {k: example(v) for k, v in schema.get("properties", {}).items() if k in required}
    return {"array": [example(schema.get("items", {}))] if kind == "array" else [], "integer": 1,
            "number": 1, "boolean": True, "string": "2026-01-01T10:00:00Z"}[kind]  # fmt: skip


def test_the_shipped_operations(shipped):
    client = shipped.client(agent="lead_administrator", user="nobody")
    names = [tool["name"] for tool in client.call("tools.list")["tools"]]
    assert "mark_lead_as_contacted" in names
    answer = client.tool("mark_lead_as_contacted", {"lead_id": "17"})
    assert answer["source"] == "demo" and answer["service"] in SERVICES["lead_administrator"]
    error = client.tool_fails("mark_lead_as_contacted", {})
    assert error.code == "VALIDATION_ERROR" and "lead_id" in error.details["field"]
    scheduler = shipped.client(agent="meeting_scheduler", user="nobody")
    assert "schedule_meeting_for_lead" in [t["name"] for t in scheduler.call("tools.list")["tools"]]
    denied = shipped.client(agent="coordinator").tool_fails("mark_lead_as_contacted", {"lead_id": "1"})
    assert denied.code == "POLICY_DENIED"


def test_what_stays_local_says_so(shipped):
    error = shipped.client(agent="lead_administrator").tool_fails("create_lead_in_database", {})
    assert error.code in ("POLICY_DENIED", "NOT_FOUND")
    assert "local" in (error.message + error.suggestion) or "application" in error.message


DOWN = """
include "default"
agent "tester" { title = "Tester", services = { "salesforce", "echo" } }
"""


def test_messages_to_people_in_both_languages(daemon):
    daemon.services({"salesforce": http(1, title="Salesforce", retry={"max_attempts": 1}), "echo": echo_stdio()})
    daemon.start(policy=DOWN)
    client = daemon.client()
    error = client.tool_fails("salesforce/x", locale="es", demo="never")
    assert error.code == "UNAVAILABLE"
    assert error.user_message == "Ups, hubo un error al conectarse con Salesforce"
    english = client.tool_fails("salesforce/x", locale="en", demo="never").user_message
    assert "Salesforce" in english and "Ups" not in english
    spanish = daemon.client(locale="es-MX").tool_fails("salesforce/x", demo="never").user_message
    assert spanish == "Ups, hubo un error al conectarse con Salesforce"


def test_include_adds_to_the_default(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start(policy=DOWN)
    agents = [a["name"] for a in daemon.client().call("agents.list")["agents"]]
    assert set(agents) == set(SERVICES) | {"tester"}


def test_no_agent_and_unknown_agent(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    nobody = daemon.client(agent=None, user=None)
    error = nobody.tool_fails("echo/echo", {"message": "x"})
    assert error.code in ("INVALID_REQUEST", "POLICY_DENIED", "NOT_FOUND"), error.error
    error = nobody.tool_fails("echo/echo", {"message": "x"}, agent="testr")
    assert error.code in ("NOT_FOUND", "POLICY_DENIED") and "tester" in error.suggestion


RULES = """
agent "tester" { title = "T", services = { "e*" }, tools = { deny = { "*/*delete*" } } }
agent "other"  { title = "O", services = { "echo" } }
function before_call(call)
  if call.user == "mallory" then return deny("mallory may not") end
  if call.tool == "echo" and call.user == "robot" then return rewrite { message = "rewritten" } end
  if call.user == "loop" then while true do end end
  if call.user == "bomb" then local t = {} while true do t[#t + 1] = ("x"):rep(1000) end end
  if call.user == "fault" then error("a fault in the policy") end
  if call.user == "nonsense" then return 17 end
  if call.user == "answer" then return answer { content = { { type = "text", text = "from policy" } } } end
end
"""


def test_hooks_decide_and_their_faults_deny(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start(policy=RULES)
    client = daemon.client()

    def call(user):
        return client.tool("echo/echo", {"message": "m"}, user=user)

    assert call("u")["result"]["content"][0]["text"] == "m"
    assert call("robot")["result"]["content"][0]["text"] == "rewritten"
    assert call("answer")["result"]["content"][0]["text"] == "from policy"
    for user in ("mallory", "loop", "bomb", "fault", "nonsense"):
        with pytest.raises(RpcError) as denied:
            started = time.monotonic()
            call(user)
        assert denied.value.code == "POLICY_DENIED", (user, denied.value.error)
        assert time.monotonic() - started < 2 * PATIENCE
    assert "mallory may not" in client.tool_fails("echo/echo", {"message": "m"}, user="mallory").message
    assert "traceback" in daemon.log()
    assert call("u")["result"]["content"][0]["text"] == "m"


def test_denied_tools_are_not_listed(daemon):
    daemon.services({"echo": echo_stdio(), "eval": stdio(arguments=["--extra-tools", 2])})
    daemon.start(
        policy='agent "tester" { title = "T", services = { "e*" }, tools = { deny = { "*/extra*", "*/die" } } }\n'
    )
    client = daemon.client()
    names = [tool["name"] for tool in client.call("tools.list")["tools"]]
    assert "eval/echo" in names and "eval/die" not in names
    assert not [name for name in names if "extra" in name]
    for tool in ("eval/die", "eval/extra_0001"):
        assert client.tool_fails(tool).code == "POLICY_DENIED"


def test_a_disabled_service_is_not_called(daemon):
    daemon.services({"echo": echo_stdio(enabled=False)})
    daemon.start()
    client = daemon.client()
    assert client.tool_fails("echo/echo", {"message": "x"}).code == "DISABLED"
    assert client.call("services.status")["services"][0]["state"] == "disabled"


def test_human_format_has_text(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start()
    answer = daemon.client().tool("echo/echo", {"message": "for people"}, format="human")
    assert "for people" in answer["text"]


def test_who_may_not_speak_learns_nothing_from_lists(daemon):
    daemon.services({"echo": echo_stdio()})
    daemon.start(
        policy=f"""
agent "tester" {{ title = "T", services = {{ "*" }} }}
locale "es"
function peer_may(peer, agent, user)
  if user == "mallory" then return deny("not mallory") end
  if agent == "" then return deny("an agent is needed") end
end
"""
    )
    client = daemon.client()
    assert client.call("tools.list")["tools"]
    for agent in ("tester", "testr"):
        error = client.fails("tools.list", agent=agent, user="mallory")
        assert error.code == "POLICY_DENIED" and error.details["rule"] == "peer_may", error.error
    assert client.fails("tools.list", agent="testr", user="u").code == "NOT_FOUND"
    everything = daemon.client(agent=None, user=None).call("tools.list")  # the administrator's view
    assert everything["tools"]
