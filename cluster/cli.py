"""The `safelight` command. Everything heavy is imported by the command that needs it, so that `--help` is quick."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from cluster.commands import HELP, Lazy
from jobs.spec import JobFailed, SpecError

COMMANDS = {
    "demo": ("cluster.demo:demo", "everything once, on real images, on this machine, in about a minute"),
    "run": ("cluster.commands:run", "run a job here"),
    "submit": ("cluster.submission.commands:submit", "run a job on the cluster at RAY_ADDRESS"),
    "jobs": ("cluster.submission.commands:jobs", "jobs on the cluster: list, status, logs, stop"),
    "schedule": ("cluster.schedule.commands:schedule", "evaluations every night: list, next, tick, loop, export"),
    "results": ("cluster.results.commands:results", "runs as a table; night, compare, trend, sql, open, push, clean"),
    "stack": ("cluster.stack.commands:stack", "the servers of a cluster on this machine: up, down, status"),
    "show": ("cluster.looking:show", "what a corpus, predictions, a model or a net is"),
    "verify": ("cluster.looking:verify", "check every shard of a corpus against its sha256"),
    "doctor": ("cluster.doctor:doctor", "what this machine and its servers can do"),
}


@click.group(cls=Lazy, commands_at=COMMANDS, context_settings=HELP)
@click.version_option(package_name="safelight")
def safelight() -> None:
    """Vision work over image collections too large for one process.

    Ingest a folder into a corpus, predict in bulk, evaluate, and find the answer again with a query.
    Start with `safelight demo`, or `safelight run --help` for the jobs.
    """


def main() -> NoReturn:
    """The entry point: exit codes 0 done, 1 failed, 2 wrong words, 3 gate failed, 4 undecided, 130 interrupted."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_guarded())


def _guarded() -> int:
    try:
        code = safelight(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return _complain(_usage(error), 2)
    except (SpecError, ValueError) as error:
        return _complain(str(error), 2)
    except JobFailed as error:
        return _complain(str(error), 1, error.details)
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted; what is committed stays, and the same command goes on from there", 130)
    except BrokenPipeError:
        # Whoever read the output has seen enough; the rest of it has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or str(error).splitlines()[0]}", 1)
    except Exception as error:
        return _complain(_crashed(error), 1)


def _usage(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        # One name helps more than several.
        close = get_close_matches(error.option_name, error.possibilities, n=1, cutoff=0.0)
        error = click.NoSuchOption(error.option_name, possibilities=close, ctx=error.ctx)
    message = " ".join(error.format_message().split())
    command = error.ctx.command_path if error.ctx else "safelight"
    return f"{message} (see `{command} --help`)"


def _complain(message: str, code: int, details: tuple[str, ...] = ()) -> int:
    click.echo(f"safelight: {' '.join(message.splitlines())}", err=True)
    for line in details:
        click.echo(f"  {line}", err=True)
    return code


def _crashed(error: Exception) -> str:
    """An error of ours: one line to the user, the rest to a file that can be sent."""
    handle, path = tempfile.mkstemp(prefix="safelight-", suffix=".txt")
    with open(handle, "w") as stream:
        stream.write("".join(traceback.format_exception(error)))
    first = (str(error).splitlines() or [""])[0]
    return f"unexpected {type(error).__name__}: {first} (the trace is in {Path(path)})"


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
