"""On the cluster: `safelight run JOB spec.yaml`, begun again when it is killed.

A driver that ends by itself has said why, and its exit code is that of the submission. One that a signal ended (out of
memory, a crash below Python) is run again, `retries` times at most, and goes on from the shards that are committed.
What it answers goes into the log as one marked line, from which `--wait` and `safelight jobs` take it.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import click

from cluster.submission.parcel import SECRETS, SPEC, Order
from jobs import children
from jobs.lease import STALE_S

MARK = "@safelight "
"""Begins the lines of a log that are for machines: one JSON document each."""

PAUSE_S = 2.0


def take_credentials() -> None:
    """Put the secrets of this job's package into the environment; Ray calls it as every process of the job begins."""
    path = Path(SECRETS)
    if path.exists():
        path.chmod(0o600)
        os.environ.update(json.loads(path.read_text()))


def main(arguments: list[str]) -> int:
    """Carry out what was submitted; `arguments` are `safelight`'s own."""
    order = Order.read(Path())
    if (reason := _unfit(order)) is not None:
        _say(f"safelight: {reason}")
        return 1
    take_credentials()
    os.environ["LOGNAME"] = order.owner
    home = _home(order)
    code, attempts = _Watch(order, arguments).carry_out()
    if any((home / ".safelight" / "pending").glob("*/head.json")):
        _say(f"MLflow has not everything yet: `safelight results push` in {home} on {platform.node()} sends the rest")
    _mark({"event": "end", "code": code, "attempts": attempts})
    return code


def _unfit(order: Order) -> str | None:
    """Why this cluster cannot do what was submitted from elsewhere, or None."""
    python = ".".join(platform.python_version_tuple()[:2])
    if (python, version("ray")) != (order.python, order.ray):
        return (
            f"the cluster has Python {python} and Ray {version('ray')}, and this was submitted with Python "
            f"{order.python} and Ray {order.ray}: they must be the same"
        )
    session = _session(os.environ.get("RAY_ADDRESS", ""))
    if session is not None and order.session and session != order.session:
        return f"RAY_ADDRESS={os.environ.get('RAY_ADDRESS')} is another cluster than the one this was sent to"
    return None


def _session(address: str) -> str | None:
    """What the cluster at an address calls itself, if it says so."""
    from ray import _raylet

    try:
        client = _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
        found = client.internal_kv_get(b"session_name", namespace=b"session", timeout=10)
    except Exception:
        return None
    return found.decode() if found else None


def _home(order: Order) -> Path:
    """Where records wait for an MLflow that is away: this folder is Ray's, and goes when the job is over."""
    home = Path(order.home) if order.home else Path.home() / "safelight"
    (home / ".safelight").mkdir(parents=True, exist_ok=True)
    if not Path(".safelight").exists():
        Path(".safelight").symlink_to(home / ".safelight")
    return home


class _Watch:
    """Runs the driver, again if it is killed, until it is done or this process is told to stop."""

    def __init__(self, order: Order, arguments: list[str]) -> None:
        self._order = order
        tags = {**order.tags, "safelight.submission": order.name}
        words = [word for name, value in tags.items() for word in ("--tag", f"{name}={value}")]
        self._command = [sys.executable, "-m", "cluster.cli", *arguments, "--format", "json", *words]
        self._stopping = False

    def carry_out(self) -> tuple[int, int]:
        """(exit code, how often it was run)."""
        # Ray tells the driver too: here it is only noted, so that what was told to stop is not begun again.
        signal.signal(signal.SIGTERM, self._stop)
        attempt = 1
        while True:
            _mark({"event": "begin", "attempt": attempt})
            code = self._once()
            if code < 0 or self._stopping:
                self._bury()
            if code >= 0 or self._stopping or attempt > self._order.retries:
                break
            _say(f"the driver was killed by {signal.Signals(-code).name}; it goes on from what is committed")
            time.sleep(self._pause())
            attempt += 1
        if code < 0 and not self._stopping:
            _say(f"safelight: the driver was killed {attempt} times, the last time by {signal.Signals(-code).name}")
        return (130 if self._stopping else 1) if code < 0 else code, attempt

    def _once(self) -> int:
        """Run the driver; its answer is marked, its other words are the log."""
        with tempfile.TemporaryFile() as answer:
            code = subprocess.run(self._command, stdout=answer, env=children.environment(), check=False).returncode
            answer.seek(0)
            if text := answer.read().decode(errors="replace").strip():
                _mark({"event": "answer", "document": json.loads(text)})
        return code

    def _bury(self) -> None:
        """Tell MLflow that the run of a dead driver has ended."""
        command = [sys.executable, "-m", "cluster.cli", "results", "push"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=40, check=False)

    def _pause(self) -> float:
        """The claim of a dead driver on a folder in S3 holds for a minute."""
        return STALE_S + PAUSE_S if "s3://" in Path(SPEC).read_text() else PAUSE_S

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True


def _mark(value: dict[str, object]) -> None:
    sys.stderr.flush()
    click.echo(MARK + json.dumps(value))


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
