# SPDX-License-Identifier: MIT
"""Compares toolbrokerd with well-known programs in one run, and prints ratios.

Not a timed test: nothing passes or fails here but wrong answers. Client on one core, server on
another, unless a row says "one core". Every comparison alternates between the two sides for
several rounds and gives the median, because a shared machine drifts.
"""
import argparse
import http.client
import json
import pathlib
import socket
import statistics
import subprocess
import time

import stack
from measure import (CALL, POLICY, SERVICE, SERVICE_HTTP, Bench, ask, echo_http, free_port, headline,
                     http_post, median, nginx, peak, resident, resp, row, rpc, tool_call, tree,
                     wait_for_port)

HERE = pathlib.Path(__file__).resolve().parent
EVALSHA = """
local agents = {coordinator = {sendgrid = true, twitter = true}}
local services = agents[ARGV[1]]
if not services or not services[ARGV[2]] then return redis.error_reply('denied') end
return '{"content":[{"type":"text","text":"demo: ' .. ARGV[3] .. ' to ' .. ARGV[4] .. '"}]}'
"""


# ---- the rows of the goals ---------------------------------------------------------------------


def row_1_ping(bench):
    headline("1  ping against redis PING (requests a second; ours, redis)")
    daemon, path = bench.daemon("ping", "", POLICY)
    redis, redis_path = bench.redis()
    ours, theirs = bench.file(rpc("ping")), bench.file(resp(b"PING"))
    for depth, goal in ((1, ">= 1.1"), (16, ">= 1.6")):
        for connections in (1, 16, 64):
            a, b = bench.versus(
                lambda: bench.load(path, "rpc", ours, connections, depth, tree(daemon.pid)),
                lambda: bench.load(redis_path, "redis", theirs, connections, depth, [redis.pid]))
            row(f"{connections} connections, depth {depth}", a["per_second"], b["per_second"], "/s",
                goal)
            row("    CPU of the server", a["cpu_us"], b["cpu_us"], "us", "")
    bench.stop(daemon)
    bench.stop(redis)


def row_2_policy(bench):
    headline("2  a call answered by policy against redis EVALSHA (requests a second; ours, redis)")
    daemon, path = bench.daemon("policy", None, "")
    redis, redis_path = bench.redis()
    sha = subprocess.run(["redis-cli", "-s", redis_path, "SCRIPT", "LOAD", EVALSHA],
                         capture_output=True, text=True, check=True).stdout.strip().encode()
    ours = bench.file(rpc("tools.call", {
        "tool": "sendgrid/sendgrid-send-email-single-recipient", "agent": "coordinator",
        "user": "u1", "arguments": {"toEmail": "ana@example.com", "fromEmail": "us@example.com",
                                    "subject": "Hello", "content": "text"}}))
    theirs = bench.file(resp(b"EVALSHA", sha, b"0", b"coordinator", b"sendgrid", b"Hello",
                             b"ana@example.com"))
    for depth, goal in ((1, ">= 1.0"), (16, ">= 2")):
        for connections in (1, 16, 64):
            a, b = bench.versus(
                lambda: bench.load(path, "rpc", ours, connections, depth, tree(daemon.pid),
                                   must="toolbroker/demo"),
                lambda: bench.load(redis_path, "redis", theirs, connections, depth, [redis.pid],
                                   must="demo"))
            row(f"{connections} connections, depth {depth}", a["per_second"], b["per_second"], "/s",
                goal)
            row("    CPU of the server", a["cpu_us"], b["cpu_us"], "us", "")
    bench.stop(daemon)
    bench.stop(redis)


def compare_http(bench, name, cpus, connections, figures, query=""):
    client_cpu, server_cpu, echo_cpu = cpus
    echo, port = echo_http(bench, echo_cpu)
    proxy, proxy_port = nginx(bench, port, server_cpu)
    daemon, path = bench.daemon("http", SERVICE_HTTP % ("echo", port, query), POLICY, server_cpu)
    ours = bench.file(tool_call("echo"))
    theirs = bench.file(http_post(proxy_port, "/mcp" + query, CALL))
    ask(path, tool_call("echo"))
    a, b = bench.versus(
        lambda: bench.load(path, "rpc", ours, connections, 1, tree(daemon.pid)[:1], "quick brown",
                           client_cpu),
        lambda: bench.load(proxy_port, "http", theirs, connections, 1, tree(proxy.pid),
                           "quick brown", client_cpu))
    for key, title, unit, goal in figures:
        row(f"{name}: {title}", a[key], b[key], unit, goal)
    for child in (daemon, proxy, echo):
        bench.stop(child)
    return a


def row_3_http(bench):
    headline("3  a call over Streamable HTTP against nginx proxying the same POST (ours, nginx)")
    three = (bench.client_cpu, bench.server_cpu, bench.client_cpu)
    ours = compare_http(bench, "JSON, 32 connections", three, 32,
                        (("cpu_us", "CPU", "us", "<= 1.5"), ("p99_us", "p99", "us", "<= 1.3")))
    compare_http(bench, "SSE, 32 connections", three, 32,
                 (("cpu_us", "CPU", "us", "<= 1.5"), ("p99_us", "p99", "us", "<= 1.3")), "?sse")
    compare_http(bench, "JSON, one core, 1 connection", (bench.server_cpu,) * 3, 1,
                 (("p50_us", "p50", "us", "<= 1.15"),))
    return ours


def row_4_stdio(bench):
    headline("4  a call to a stdio child against nginx's HTTP figure (CPU a call; ours, nginx)")
    echo, port = echo_http(bench, bench.client_cpu)
    proxy, proxy_port = nginx(bench, port, bench.server_cpu)
    daemon, path = bench.daemon("stdio", SERVICE % ("echo", bench.bin / "echo_stdio"), POLICY)
    ours = bench.file(tool_call("echo"))
    theirs = bench.file(http_post(proxy_port, "/mcp", CALL))
    ask(path, tool_call("echo"))
    result = None
    for connections in (16, 32):
        a, b = bench.versus(
            lambda: bench.load(path, "rpc", ours, connections, 1, tree(daemon.pid)[:1],
                               "quick brown"),
            lambda: bench.load(proxy_port, "http", theirs, connections, 1, tree(proxy.pid),
                               "quick brown"))
        row(f"{connections} connections", a["cpu_us"], b["cpu_us"], "us", "<= 0.5")
        result = a
    for child in (daemon, proxy, echo):
        bench.stop(child)
    return result


def initialize(port, path):
    """Speaks the handshake to a Node peer; gives the session's headers."""
    peer = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json",
               "Accept": "application/json, text/event-stream"}
    peer.request("POST", path, json.dumps({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                   "clientInfo": {"name": "bench", "version": "1"}}}), headers)
    answer = peer.getresponse()
    answer.read()
    session = answer.getheader("mcp-session-id")
    if session:
        headers["mcp-session-id"] = session
    peer.request("POST", path, json.dumps({"jsonrpc": "2.0",
                                           "method": "notifications/initialized"}), headers)
    peer.getresponse().read()
    return f"mcp-session-id: {session}\r\n" if session else ""


def row_peers(bench, http, stdio):
    headline("3, 4  the same stdio echo behind peers in Node (CPU a call; ours, peer)")
    modules = HERE / "npm" / "node_modules"
    peers = (
        ("mcp-proxy", ["mcp-proxy/dist/bin/mcp-proxy.mjs", "--port", "{port}", "--host", "127.0.0.1",
                       "--server", "stream", "--", "{echo}"], "/mcp"),
        ("supergateway", ["supergateway/dist/index.js", "--stdio", "{echo}", "--outputTransport",
                          "streamableHttp", "--stateful", "--port", "{port}"], "/mcp"),
    )
    for name, words, path in peers:
        port = free_port()
        argv = [word.format(port=port, echo=bench.bin / "echo_stdio") for word in words]
        peer = bench.start(["node", modules / argv[0], *argv[1:]])
        wait_for_port(port)
        time.sleep(1)
        request = bench.file(http_post(port, path, CALL, initialize(port, path)))
        rounds = [bench.load(port, "http", request, 16, 1, tree(peer.pid), "quick brown")
                  for _ in range(bench.rounds)]
        theirs = median(rounds)
        row(f"HTTP call against {name}", http["cpu_us"], theirs["cpu_us"], "us", "<= 0.05")
        row(f"stdio call against {name}", stdio["cpu_us"], theirs["cpu_us"], "us", "<= 0.05")
        bench.stop(peer)


def row_5_memory(bench):
    headline("5  memory and idle clients (ours, redis)")
    daemon, path = bench.daemon("memory", None, "")
    redis, redis_path = bench.redis()
    ping = bench.file(rpc("ping"))
    ask(path, rpc("ping"))
    time.sleep(0.5)
    pid = tree(daemon.pid)
    row("resident", sum(map(resident, pid)) / 1e6, resident(redis.pid) / 1e6, "MB", "<= 1.1")
    row("    without the helper process", resident(pid[0]) / 1e6, resident(redis.pid) / 1e6, "MB", "")
    few = [bench.load(path, "rpc", ping, 16, 1, pid) for _ in range(bench.rounds)]
    idle = []
    for _ in range(400):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(path))
        idle.append(peer)
    before = resident(pid[0])
    for _ in range(10000):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(str(path))
        idle.append(peer)
    ask(path, rpc("ping"))
    each = (resident(pid[0]) - before) / 10000
    row("an idle client", each, 512, "bytes", "<= 512 B")
    many = [bench.load(path, "rpc", ping, 16, 1, pid) for _ in range(bench.rounds)]
    row("requests/s with 10 000 idle clients, without", median(many)["per_second"],
        median(few)["per_second"], "/s", ">= 0.95")
    for peer in idle:
        peer.close()
    bench.stop(daemon)
    bench.stop(redis)


def first_answer(argv, path, request, cpu):
    pathlib.Path(path).unlink(missing_ok=True)
    began = time.perf_counter()
    child = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, argv)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(path))
                peer.sendall(request)
                if peer.recv(100):
                    took = time.perf_counter() - began
                    break
        except OSError:
            time.sleep(0.0002)
    child.terminate()
    child.wait()
    return {"ms": took * 1e3}


def row_7_start(bench):
    headline("7  from start to first answer (ours, redis)")
    folder = bench.scratch / "start"
    folder.mkdir(mode=0o700, exist_ok=True)
    redis_path, path = folder / "redis", folder / "socket"
    (folder / "config").mkdir(mode=0o700, exist_ok=True)
    a, b = bench.versus(
        lambda: first_answer([bench.bin / "toolbrokerd", "--config", folder / "config", "--state",
                              folder, "--socket", path], path, rpc("ping"), bench.server_cpu),
        lambda: first_answer(["redis-server", "--port", "0", "--unixsocket", redis_path, "--save",
                              "", "--dir", folder], redis_path, resp(b"PING"), bench.server_cpu))
    row("start", a["ms"], b["ms"], "ms", "<= 1.2")


def cpu_of_calls(bench, services, policy, request, connections=16, depth=1):
    daemon, path = bench.daemon("growth", services, policy)
    ask(path, request)
    pid = tree(daemon.pid)[:1]
    file = bench.file(request)
    result = [bench.load(path, "rpc", file, connections, depth, pid, "quick brown")["cpu_us"]
              for _ in range(bench.rounds)]
    bench.stop(daemon)
    return statistics.median(result)


def row_8_growth(bench):
    headline("8  growth (CPU a call; grown, small)")
    echo = SERVICE % ("echo", bench.bin / "echo_stdio")
    small = cpu_of_calls(bench, echo, POLICY, tool_call("echo"))
    for count, goal in ((100, "<= 1.15"), (1000, "<= 1.6")):
        many = "".join(SERVICE % (f"echo{i:04}", bench.bin / "echo_stdio") for i in range(count))
        row(f"1 -> {count} services, one called",
            cpu_of_calls(bench, many, POLICY, tool_call("echo0000")), small, "us", goal)
    rules = "for i = 1, 10000 do\n  agent(\"a\" .. i) { title = \"A\", services = { \"echo*\" }, " \
            "tools = { deny = deny } }\nend\n"
    deny = "local deny = {}\nfor i = 1, 100 do deny[i] = \"*/*never\" .. i .. \"*\" end\n"
    grown = cpu_of_calls(bench, echo, POLICY + deny + rules, tool_call("echo"))
    row("1 -> 10 000 agents with 100 rules each", grown, small, "us", "<= 1.5")
    row("16 -> 1 024 in flight",
        cpu_of_calls(bench, echo, POLICY, tool_call("echo"), 64, 16),
        cpu_of_calls(bench, echo, POLICY, tool_call("echo"), 16, 1), "us", "<= 1.1")


def row_9_json(bench):
    headline("9  JSON to MessagePack against yajl's bare parse")
    subprocess.run(["taskset", "-c", str(bench.server_cpu), str(bench.bin / "json_vs_yajl")], check=True)


def tool_text(service, size):
    return rpc("tools.call", {"tool": f"{service}/text", "agent": "bench", "user": "u1",
                              "arguments": {"bytes": size}})



def ping_beside(bench, path, large):
    """The p99 of a client that pings, in ms, while another one gets large results all the time."""
    argv = ["taskset", "-c", bench.client_cpu, bench.bin / "load", "-u", path, "-p", "rpc", "-r", large, "-c", 1,
            "-d", 1, "-s", bench.seconds + 1]
    other = subprocess.Popen([str(word) for word in argv], stdout=subprocess.DEVNULL)
    ping = bench.load(path, "rpc", bench.file(rpc("ping")), 1, 1)
    other.wait()
    return ping["p99_us"] / 1000


def row_10_large(bench):
    headline("10  large text results against nginx proxying the same POST (CPU a call; ours, nginx)")
    echo, port = echo_http(bench, bench.client_cpu)
    proxy, proxy_port = nginx(bench, port, bench.server_cpu)
    services = SERVICE_HTTP % ("echo", port, "") + SERVICE_HTTP % ("echo_sse", port, "?sse")
    services += SERVICE % ("echo_stdio", bench.bin / "echo_stdio")
    for size, goal in ((100_000, "<= 1.0"), (5_000_000, "<= 2.5")):
        daemon, path = bench.daemon("large", services, POLICY)
        pid = daemon.pid
        call = json.dumps({"jsonrpc": "2.0", "id": 1000000000, "method": "tools/call",
                           "params": {"name": "text", "arguments": {"bytes": size}}}).encode()
        theirs = bench.file(http_post(proxy_port, "/mcp", call))
        for service, title in (("echo", "JSON"), ("echo_sse", "SSE"), ("echo_stdio", "stdio")):
            ask(path, tool_text(service, 100))
            time.sleep(1.5)  # what is kept for the next long message is given back
            before = resident(pid)
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak, from now on
            ask(path, tool_text(service, size))
            row(f"{size // 1000} KB, {title}: peak memory beside idle, payloads",
                (peak(pid) - before) / size, 4, "x", "<= 4 x", (peak(pid) - before) / size)
            ours = bench.file(tool_text(service, size))
            a, b = bench.versus(
                lambda: bench.load(path, "rpc", ours, 4, 1, [pid], "quick brown"),
                lambda: bench.load(proxy_port, "http", theirs, 4, 1, tree(proxy.pid),
                                   "quick brown"))
            row(f"{size // 1000} KB, {title}: CPU", a["cpu_us"], b["cpu_us"], "us", goal)
            row(f"{size // 1000} KB, {title}: p99 of others' pings", ping_beside(bench, path, ours),
                10, "ms", "< 10 ms")
        bench.stop(daemon)
    for child in (proxy, echo):
        bench.stop(child)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", default="1,2,3,4,5,7,8,9,10,11,stack,bulkhead")
    parser.add_argument("--cpus", default="0,1", help="the client's core, and the server's")
    args = parser.parse_args()
    bench = Bench(args)
    rows = args.rows.split(",")
    http = stdio = None
    try:
        for number, run in (("1", row_1_ping), ("2", row_2_policy), ("5", row_5_memory),
                            ("7", row_7_start), ("8", row_8_growth), ("9", row_9_json),
                            ("10", row_10_large), ("11", stack.row_11_activity),
                            ("stack", stack.row_stack), ("bulkhead", stack.row_bulkhead)):
            if number in rows:
                run(bench)
        if "3" in rows:
            http = row_3_http(bench)
        if "4" in rows:
            stdio = row_4_stdio(bench)
        if http and stdio:
            row_peers(bench, http, stdio)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
