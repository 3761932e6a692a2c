"""The README tells the truth: its commands exist, with their flags, and its jobs are all there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cluster.commands import job_class, job_names

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```\n(safelight .*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def test_the_two_commands_of_a_fresh_machine() -> None:
    found = re.findall(r"^    (pip install -e .*)$", README, re.MULTILINE)
    assert found == ["pip install -e '.[demo]' && safelight demo", "pip install -e '.[test]' && pytest"]


def test_the_table_lists_the_jobs() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == sorted(job_names())


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[1] == "run"], ids=lambda c: c[2])
def test_every_flag_exists(command: list[str]) -> None:
    flags = {word.removeprefix("--").replace("-", "_") for word in command if word.startswith("--")}
    assert flags <= set(job_class(command[2]).words())


def test_commands_were_found() -> None:
    assert len(COMMANDS) == 8
