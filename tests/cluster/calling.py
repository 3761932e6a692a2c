"""`safelight results` called in this process, and what help loads in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from cluster.results.commands import results


def called(*words: str) -> Result:
    """What it says to some words."""
    return CliRunner().invoke(results, list(words), standalone_mode=False)


def help_of(command: str, *words: str) -> tuple[str, set[str]]:
    """What a command (`module:name`) prints for words with `--help`, and all modules that were loaded for it."""
    module, _, name = command.partition(":")
    code = (
        f"import json, sys\nfrom {module} import {name}\n"
        f"{name}.main([*sys.argv[1:], '--help'], standalone_mode=False)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.rstrip("\n").rpartition("\n")
    return text, set(json.loads(loaded))
