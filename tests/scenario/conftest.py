# SPDX-License-Identifier: MIT
"""Fixtures of the scenarios: a daemon in a scratch folder, and the servers beside it."""

import pytest

from daemon import NODE_MODULES, Daemon, echo_http, http_server


@pytest.fixture
def daemon(tmp_path):
    """Not started yet: write its configuration, then start(). Checked and ended afterwards."""
    it = Daemon(tmp_path)
    yield it
    it.stop()


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def bad_http(journal):
    """The misbehaving HTTP server."""
    it = http_server(journal)
    yield it
    it.stop()


@pytest.fixture(scope="session")
def echo():
    """The C echo server over HTTP."""
    it = echo_http()
    yield it
    it.stop()


@pytest.fixture(scope="session")
def npm():
    """The folder of the npm servers' programs; `tests/run` installs them."""
    assert (NODE_MODULES / ".bin").is_dir(), "no npm packages: run tests/run once"
    return NODE_MODULES / ".bin"
