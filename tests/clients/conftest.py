# SPDX-License-Identifier: MIT
"""Where the programs and the Python client are."""

import os
import pathlib
import sys
import tempfile

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
def socket_path():
    # A folder of our own: pytest's tmp_path is shared, and cleaned, by other runs of the same user.
    with tempfile.TemporaryDirectory(prefix="tb") as folder:
        yield os.path.join(folder, "broker.sock")
