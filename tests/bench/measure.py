# SPDX-License-Identifier: MIT
"""What the rows of the benchmark are made with: processes on their cores, load, requests, lines."""
import json
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import msgpack

TEXT = "The quick brown fox jumps over the lazy dog. " * 4
LIMITS = "connections = 100000, connections_per_uid = 100000, inflight = 4096, calls = 100000"


class Bench:
    def __init__(self, args):
        self.bin = pathlib.Path(args.build).resolve() / "bin"
        self.seconds, self.rounds = args.seconds, args.rounds
        self.client_cpu, self.server_cpu = (int(cpu) for cpu in args.cpus.split(","))
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="toolbroker-bench."))
        self.scratch.chmod(0o700)
        self.children = []
        self.files = 0

    # ---- processes ---------------------------------------------------------------------------

    def start(self, argv, cpu=None, **options):
        cpu = self.server_cpu if cpu is None else cpu
        options.setdefault("stdout", subprocess.DEVNULL)
        log = open(self.scratch / f"{pathlib.Path(argv[0]).name}.log", "ab")
        child = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, argv)], stderr=log, **options)
        self.children.append(child)
        return child

    def stop(self, child):
        if child in self.children:
            self.children.remove(child)
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def close(self):
        for child in list(self.children):
            self.stop(child)
        shutil.rmtree(self.scratch)

    def file(self, data, name=None):
        self.files += 1
        path = self.scratch / (name or f"request{self.files}")
        path.write_bytes(data)
        return path

    def daemon(self, name, services, policy, cpu=None, limits="", store=""):
        """Starts toolbrokerd with these services, policy and settings (Lua); gives (process, socket)."""
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if services is not None:  # None: the built-in ones
            (folder / "services.lua").write_text("return {\n" + services + "}\n")
        (folder / "policy.lua").write_text('include "default"\n' + policy)
        (folder / "toolbroker.lua").write_text(
            f"return {{ limits = {{ {LIMITS}, {limits} }}, {store} }}\n")
        path = folder / "socket"
        child = self.start([self.bin / "toolbrokerd", "--config", folder, "--state", folder / "state",
                            "--socket", path], cpu)
        wait_for(path, child)
        return child, path

    def redis(self, cpu=None):
        path = self.scratch / "redis.sock"
        child = self.start(["redis-server", "--port", "0", "--unixsocket", path, "--save", "",
                            "--maxclients", "20000", "--dir", self.scratch], cpu)
        wait_for(path, child)
        return child, path

    # ---- load --------------------------------------------------------------------------------

    def load(self, target, protocol, request, connections=1, depth=1, pids=(), must="", cpu=None,
             idle=0, seconds=None):
        cpu = self.client_cpu if cpu is None else cpu
        where = ["-u", target] if isinstance(target, pathlib.Path) else ["-t", target]
        argv = ["taskset", "-c", cpu, self.bin / "load", *where, "-p", protocol, "-r", request, "-c",
                connections, "-d", depth, "-s", seconds or self.seconds, "-i", idle]
        if pids:
            argv += ["-P", ",".join(str(pid) for pid in pids)]
        if must:
            argv += ["-m", must]
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"bench: wrong answers or a lost connection:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def versus(self, ours, theirs):
        """Alternates two loads; gives the medians of every figure of both, and their ratios."""
        results = [[], []]
        for _ in range(self.rounds):
            results[0].append(ours())
            results[1].append(theirs())
        return [median(rounds) for rounds in results]


def median(rounds):
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def wait_for(path, child, seconds=30):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                return
        except OSError:
            if child.poll() is not None:
                sys.exit(f"bench: {child.args} ended at once")
            time.sleep(0.01)
    sys.exit(f"bench: nobody serves {path}")


def wait_for_port(port, seconds=60):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"bench: nobody serves port {port}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """A process and all that descend from it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def rpc(method, params=None):
    """A request whose msgid the load program fills in: it must take five bytes at offset 2."""
    body = msgpack.packb(method) + msgpack.packb([params] if params is not None else [])
    return b"\x94\x00\xce\x00\x00\x00\x00" + body


def resp(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def tool_call(service, message=TEXT):
    return rpc("tools.call", {"tool": f"{service}/echo", "agent": "bench", "user": "u1",
                              "arguments": {"message": message}})


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(str(path))
        peer.sendall(request)
        unpacker = msgpack.Unpacker(strict_map_key=False)
        while True:
            unpacker.feed(peer.recv(1 << 20))
            for message in unpacker:
                if message[0] == 1:
                    if message[2] is not None:
                        sys.exit(f"bench: {message[2]}")
                    return message[3]


def http_post(port, path, body, headers=""):
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


CALL = json.dumps({"jsonrpc": "2.0", "id": 1000000000, "method": "tools/call",
                   "params": {"name": "echo", "arguments": {"message": TEXT}}}).encode()
SERVICE = '  %s = { transport = "stdio", command = "%s" },\n'
SERVICE_HTTP = '  %s = { transport = "http", url = "http://127.0.0.1:%d/mcp%s", limits = { concurrency = 2048 } },\n'
POLICY = 'agent "bench" { title = "Bench", services = { "echo*", "idle*" } }\n'


def headline(text):
    print(f"\n{text}", flush=True)


def row(name, ours, theirs, unit, goal, ratio=None):
    value = ratio if ratio is not None else (ours / theirs if theirs else 0)
    print(f"  {name:<46} {ours:>12,.2f} {theirs:>12,.2f} {unit:<12} ratio {value:5.2f}   goal {goal}",
          flush=True)


def nginx(bench, upstream, cpu):
    port = free_port()
    folder = bench.scratch / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  upstream echo {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://echo; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_max_temp_file_size 0; }} }} }}
""")
    child = bench.start(["nginx", "-p", folder, "-c", folder / "nginx.conf"], cpu)
    wait_for_port(port)
    return child, port


def echo_http(bench, cpu):
    child = bench.start([bench.bin / "echo_http"], cpu, stdout=subprocess.PIPE, text=True)
    return child, int(child.stdout.readline().split()[1])


def peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0
