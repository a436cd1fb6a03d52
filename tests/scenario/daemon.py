# SPDX-License-Identifier: MIT
"""Starts the real daemon in a scratch folder, and sees that it leaves nothing behind."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from rpc import Client, Closed

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVERS = ROOT / "tests" / "servers"
NODE_MODULES = ROOT / "tests" / "npm" / "node_modules"

# Where the programs are: the build that ctest runs for, or another daemon with its echo servers.
BIN = pathlib.Path(os.environ.get("TOOLBROKER_BIN", ROOT / "build" / "asan" / "bin"))
ECHO = pathlib.Path(os.environ.get("TOOLBROKER_ECHO", BIN))
IS_SANITIZED = os.environ.get("TOOLBROKER_SANITIZED", "1") == "1"

# A daemon with sanitizers on a busy machine is several times slower; the goal stands for release.
PING_P99_MS = 100 if IS_SANITIZED else 5

# Other tests run beside those with sanitizers: there, what took long is told from what hangs. How
# fast it is, the release says, whose tests run alone.
PATIENCE = 5 if IS_SANITIZED else 1

# A quarantine small enough for memory to be level, large enough to catch a use after free.
SANITIZERS = {
    "ASAN_OPTIONS": "quarantine_size_mb=16",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}

REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "UndefinedBehavior", "must(")

TESTER = 'agent "tester" { title = "Tester", services = { "*" } }\n'


def lua(value):
    """A Python value as Lua text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, pathlib.Path)):
        return json.dumps(str(value))
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(lua(item) for item in value) + " }"
    return "{ " + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + " }"


def stdio(mode="normal", *, journal=None, arguments=(), **more):
    """The settings of a service that is tests/servers/stdio_server.py."""
    words = [str(SERVERS / "stdio_server.py"), "--mode", mode, *map(str, arguments)]
    if journal:
        words += ["--journal", str(journal)]
    return {"transport": "stdio", "command": "/usr/bin/python3", "args": words, **more}


def echo_stdio(**more):
    return {"transport": "stdio", "command": str(ECHO / "echo_stdio"), **more}


def http(port, path="/mcp", **more):
    return {"transport": "http", "url": f"http://127.0.0.1:{port}{path}", **more}


reserved = []


def free_port():
    """A port at which nobody listens, and that nobody else is given as long as this process lives: the
    system takes no port that is bound, and a server that reuses addresses can listen there."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(("127.0.0.1", 0))
    reserved.append(one)
    return one.getsockname()[1]


class Process:
    """A test server that says `listening PORT`."""

    def __init__(self, *words):
        self.process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening "), f"{words}: {line!r}"
        self.port = int(line.split()[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


def http_server(journal=None, port=None, version=None):
    """Its port is kept for another that takes its place."""
    words = [SERVERS / "http_server.py", "--port", port or free_port()]
    words += ["--journal", journal] if journal else []
    words += ["--version", version] if version else []
    return Process("/usr/bin/python3", *words)


def echo_http(*options):
    return Process(ECHO / "echo_http", *options)


def read_journal(path, kind=None, method=None):
    """What a test server received; of it, the messages of one method."""
    if not os.path.exists(path):
        return []
    with open(path, "rb") as file:  # at once, and without the last line, which may be half written
        lines = [json.loads(line) for line in file.read().split(b"\n")[:-1]]
    if method:
        return [n["message"] for n in lines if (n.get("message") or {}).get("method") == method]
    return [note for note in lines if kind is None or note["kind"] == kind]


def eventually(check, seconds=5, what="it"):
    """Waits until check() is true, and gives what it gave."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.02)


# ---- processes -------------------------------------------------------------------------------


def stat(pid):
    """(state, parent, start time), or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[19])


def descendants(pid):
    """{(pid, start time)} of everything below `pid`."""
    table = {int(name): stat(name) for name in os.listdir("/proc") if name.isdigit()}
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        for child, entry in table.items():
            if entry and entry[1] == parent:
                found.add((child, entry[2]))
                todo.append(child)
    return found


def alive(processes):
    """Those of descendants() that still run (a zombie does not)."""
    left = set()
    for pid, started in processes:
        entry = stat(pid)
        if entry and entry[2] == started and entry[0] != "Z":
            left.add(pid)
    return left


def freeze(pid):
    """Stops a process, and waits until none of its threads goes on."""
    os.kill(pid, signal.SIGSTOP)

    def has_stopped():
        return all(stat(f"{pid}/task/{task}")[0] == "T" for task in os.listdir(f"/proc/{pid}/task"))

    eventually(has_stopped, what="the stop")


class Daemon:
    """toolbrokerd with its configuration in files of a scratch folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.config, self.state = self.folder / "config", self.folder / "state"
        self.socket = self.folder / "socket"
        self.log_path = self.folder / "log"
        self.config.mkdir(exist_ok=True)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.process = None
        self.family = set()

    # ---- configuration -----------------------------------------------------------------------

    def write(self, name, text):
        path = self.config / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def services(self, services):
        self.write("services.lua", "return " + lua(services) + "\n")

    def settings(self, settings):
        self.write("toolbroker.lua", "return " + lua(settings) + "\n")

    # ---- life --------------------------------------------------------------------------------

    def command(self, *more):
        return [str(BIN / "toolbrokerd"), "--config", str(self.config), "--state", str(self.state),
                "--socket", str(self.socket), *more]  # fmt: skip

    def start(self, env=None, wait=True, policy=TESTER):
        if policy and not (self.config / "policy.lua").exists():
            self.write("policy.lua", policy)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**SANITIZERS, **os.environ, **(env or {})},
            )  # fmt: skip
        if wait:
            eventually(self.answers, 30, "the daemon")
        return self

    def answers(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log()}"
        try:
            with Client(self.socket, timeout=30) as client:
                client.call("ping")
            return True
        except (FileNotFoundError, ConnectionError, Closed):
            return False

    def check(self):
        """toolbrokerd --check: (exit code, what it printed)."""
        done = subprocess.run(
            self.command("--check"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        self.no_reports(done.stdout)
        return done.returncode, done.stdout

    def client(self, timeout=60, **hello):
        hello.setdefault("agent", "tester")
        hello.setdefault("user", "u1")
        return Client(self.socket, timeout, **hello)

    def signal(self, number):
        self.process.send_signal(number)

    def remember_family(self):
        """Notes which processes are below the daemon now: they must be gone after it."""
        self.family |= descendants(self.process.pid)
        return self.family

    def no_family(self, seconds=5):
        eventually(lambda: not alive(self.family), seconds, f"the end of {alive(self.family)}")

    def stop(self, seconds=60):
        """TERM, and everything that must hold afterwards."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.remember_family()
            self.process.terminate()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end in {seconds} s: {self.log()[-3000:]}") from None
        finally:
            self.process = None
        self.no_reports(self.log())
        assert code == 0, f"exit code {code}: {self.log()[-3000:]}"
        self.no_family()
        assert not self.socket.exists(), "the socket is left over"

    def kill(self):
        self.remember_family()
        self.process.kill()
        self.process.wait()
        self.process = None

    # ---- looking at it -----------------------------------------------------------------------

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @staticmethod
    def no_reports(text):
        for word in REPORTS:
            assert word not in text, text[max(0, text.find(word) - 500) : text.find(word) + 4000]

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def idle_p99(daemon):
    pinger = Pinger(daemon)
    assert pinger.process.stdout.readline() == "pinging\n"
    time.sleep(2)
    times = sorted(json.loads(pinger.process.communicate()[0]))
    return times[int(len(times) * 0.99)] * 1000


class Pinger:
    """Asks `ping` all the time from a process of its own: what other clients feel meanwhile."""

    def __init__(self, daemon):
        self.daemon = daemon
        words = ["/usr/bin/python3", "-B", str(ROOT / "tests/scenario/pinger.py"), str(daemon.socket),
                 str(daemon.process.pid)]  # fmt: skip
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "pinging\n"
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            time.sleep(0.5)  # enough pings, also when what it was about took no time
        out, _ = self.process.communicate()
        if kind is None:
            assert self.process.returncode == 0, "the pinger failed"
            times = sorted(json.loads(out))
            assert len(times) > 100, f"only {len(times)} pings"
            p99 = times[int(len(times) * 0.99)] * 1000
            print(f"ping: p99 {p99:.2f} ms, longest {times[-1] * 1000:.2f} ms, of {len(times)}")
            if p99 >= PING_P99_MS:
                # A machine that is busy with something else is slow when the daemon is idle too.
                idle = idle_p99(self.daemon)
                print(f"ping: p99 of the idle daemon {idle:.2f} ms")
                assert p99 < 4 * idle, f"ping p99 {p99:.1f} ms, idle {idle:.1f} ms"
