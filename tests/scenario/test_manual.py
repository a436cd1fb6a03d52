# SPDX-License-Identifier: MIT
"""Every example of toolbroker.conf(5) is right: the daemon takes it without a fault."""

import re

import pytest

from daemon import ROOT

PAGE = (ROOT / "etc" / "man" / "toolbroker.conf.5").read_text()

# The section says which file it is an example of.
FILES = {"SETTINGS": "toolbroker.lua", "SERVICES": "services.lua"}


def examples():
    found = []
    section = None
    lines = iter(enumerate(PAGE.splitlines(), 1))
    for number, line in lines:
        if line.startswith(".SH "):
            section = line[4:]
        elif line == ".nf":
            block = []
            for _, line in lines:
                if line == ".fi":
                    break
                if line not in (".RS", ".RE"):
                    block.append(line)
            text = "\n".join(block).replace("\\-", "-").replace("\\e", "\\")
            found.append(pytest.param(section, text + "\n", id=f"line{number}"))
    return found


def test_there_are_examples():
    assert len(examples()) == len(re.findall(r"^\.nf$", PAGE, re.M)) >= 3


@pytest.mark.parametrize("section, text", examples())
def test_example_has_no_fault(daemon, section, text):
    daemon.write(FILES[section], text)
    code, out = daemon.check()
    assert code == 0, out
    # What was checked is the example, and not some other file.
    daemon.write(FILES[section], text.replace("return {", "return { no_such_key = 3,", 1))
    code, out = daemon.check()
    assert code != 0 and "no_such_key" in out, out
