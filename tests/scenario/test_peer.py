# SPDX-License-Identifier: MIT
"""Who is at the other end: the peer's user and group come before anything that it says."""

import json
import os
import shutil
import subprocess
import tempfile

import pytest

from daemon import ROOT, echo_stdio

NOBODY = 65534

# Speaks as another user, in a process of its own.
SPEAK = """
import json, sys
from rpc import Client, RpcError
out = {}
try:
    with Client(sys.argv[1], agent="tester", user="u1") as client:
        out["role"] = client.hello["role"]
        for name, method, params in json.loads(sys.argv[2]):
            try:
                out[name] = client.call(method, **params)
            except RpcError as error:
                out[name] = error.error
except OSError as error:
    out["error"] = type(error).__name__
print(json.dumps(out))
"""

ASKS = [
    ("call", "tools.call", {"tool": "echo/echo", "arguments": {"message": "m"}}),
    ("list", "tools.list", {}),
    ("calls", "calls.list", {}),
    ("reload", "policy.reload", {}),
    ("shutdown", "daemon.shutdown", {}),
    ("check", "policy.check", {}),
]


@pytest.fixture
def speak(daemon):
    if os.getuid() != 0:
        pytest.skip("needs root, to speak as others")
    folder = tempfile.mkdtemp(dir="/tmp")
    os.chmod(folder, 0o755)
    shutil.copy(ROOT / "tests/scenario/rpc.py", folder)
    daemon.socket = daemon.socket.__class__(folder) / "socket"
    daemon.services({"echo": echo_stdio()})

    def speak(user, group):
        done = subprocess.run(
            ["/usr/bin/python3", "-B", "-c", SPEAK, str(daemon.socket), json.dumps(ASKS)],
            user=user, group=group, extra_groups=[], cwd=folder, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield speak
    daemon.stop()
    shutil.rmtree(folder)


def test_a_stranger_cannot_even_connect(daemon, speak):
    daemon.start()
    assert speak(NOBODY, NOBODY) == {"error": "PermissionError"}


def test_a_member_of_the_group_may_call_but_not_rule(daemon, speak):
    daemon.start()
    said = speak(NOBODY, os.getgid())
    assert said["role"] == "client"
    assert said["call"]["result"]["content"][0]["text"] == "m" and said["list"]["tools"]
    for method in ("calls", "reload", "shutdown", "check"):
        assert said[method]["code"] == "POLICY_DENIED", (method, said[method])
        assert said[method]["details"]["rule"]
    assert daemon.process.poll() is None


def test_a_stranger_on_an_open_socket_may_do_nothing(daemon, speak):
    """Also if an operator opened the socket: the default is that strangers speak for nobody."""
    daemon.start()
    os.chmod(daemon.socket, 0o666)
    said = speak(NOBODY, NOBODY)
    for name in ("call", "list", "calls", "reload", "shutdown", "check"):
        assert said[name]["code"] == "POLICY_DENIED", (name, said[name])


def test_policy_decides_who_may_speak_as_whom(daemon, speak):
    daemon.start(
        policy="""
agent "tester" { title = "T", services = { "*" } }
function peer_may(peer, agent, user)
  if peer.uid == 65534 and user == "u1" then return allow() end
  return deny("only u1")
end
"""
    )
    os.chmod(daemon.socket, 0o666)
    assert speak(NOBODY, NOBODY)["call"]["result"]["content"][0]["text"] == "m"
    with daemon.client(user="u2") as client:
        error = client.tool_fails("echo/echo", {"message": "m"})
        assert error.code == "POLICY_DENIED" and "only u1" in error.message
