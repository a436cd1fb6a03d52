# SPDX-License-Identifier: MIT
"""Where the programs and the Python client are."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python"))


@pytest.fixture(scope="session")
def programs():
    """The folder of the build under test; without it nothing can be tested, so that fails."""
    folder = pathlib.Path(os.environ["TOOLBROKER_BIN"])
    assert (folder / "toolbroker").exists(), f"{folder} holds no build"
    return folder


@pytest.fixture
def socket_path(tmp_path):
    return str(tmp_path / "broker.sock")
