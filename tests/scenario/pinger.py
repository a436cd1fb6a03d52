# SPDX-License-Identifier: MIT
"""Pings a daemon until its input ends, then prints how long each took: pinger.py SOCKET"""

import json
import select
import sys
import time

from rpc import Client

client = Client(sys.argv[1])
client.call("ping")
print("pinging", flush=True)
times = []
while not select.select([sys.stdin], [], [], 0.0002)[0]:
    started = time.monotonic()
    client.call("ping")
    times.append(time.monotonic() - started)
json.dump(times, sys.stdout)
