"""`safelight results` called in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from cluster.results.commands import results


def called(*words: str) -> Result:
    """What it says to some words."""
    return CliRunner().invoke(results, list(words), standalone_mode=False)
