# SPDX-License-Identifier: MIT
"""Pings a daemon until its input ends, then prints how long each took: pinger.py SOCKET PID

What the machine is busy with besides is not the daemon's: the time in which it, or this process, was
ready to run and had no processor is not counted.
"""

import json
import os
import select
import sys
import time

from rpc import Client

PINGS = 200  # at least, also when the input has ended on a slow machine


class Queued:
    """How long a process has waited for a processor, in seconds; nothing where the system does not say."""

    def __init__(self, pid):
        try:
            self.file = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)
        except OSError:
            self.file = None

    def seconds(self):
        return int(os.pread(self.file, 100, 0).split()[1]) / 1e9 if self.file is not None else 0


def main(path, pid):
    client = Client(path)
    client.call("ping")
    print("pinging", flush=True)
    ours, theirs, times = Queued("self"), Queued(pid), []
    while not select.select([sys.stdin], [], [], 0.0002)[0] or len(times) < PINGS:
        started, queued = time.monotonic(), ours.seconds() + theirs.seconds()
        client.call("ping")
        queued = ours.seconds() + theirs.seconds() - queued
        times.append(max(0.0, time.monotonic() - started - queued))
    json.dump(times, sys.stdout)


main(*sys.argv[1:])
