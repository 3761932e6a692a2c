"""Ray joined or started, and its head watched, so that whoever cannot come in or is left alone hears of it soon."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
import time
from typing import Any

from jobs.spec import JobFailed

REACH_S = 10
"""Seconds in which a cluster must let us in."""


def start_ray(workers: int) -> Any:
    """Ray, joined to the cluster at RAY_ADDRESS, or started on this machine and nowhere else."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get("RAY_ADDRESS") or "local"
        check_reachable(address)
        local: dict[str, Any] = {}
        if address == "local":
            # Descriptors are small: the object store needs next to nothing.
            local = {
                "num_cpus": max(workers, os.cpu_count() or 1),
                "include_dashboard": False,
                "object_store_memory": 100 * 2**20,
            }
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", str(REACH_S))
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            raise JobFailed(f"Ray at {address} cannot be used: {_refusal(address) or first_line(error)}") from None
    return ray


def workers_for(asked: int | None, rows: int, small: int) -> int:
    """How many workers to start: as asked; else none for up to `small` rows, and one for each CPU for more."""
    if asked is not None:
        return asked
    if rows <= small:
        return 0
    return max(1, int(start_ray(0).cluster_resources().get("CPU", 1)))


def _refusal(address: str) -> str | None:
    """What the head of a cluster says to who knocks, where Ray only says that it could not come in."""
    from ray import _raylet
    from ray.exceptions import AuthenticationError

    try:
        _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    except AuthenticationError:
        return "it does not know this token (RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH)"
    except Exception as error:
        return first_line(error)
    return None


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_reachable(address: str) -> None:
    """Knock at a cluster's door, because Ray itself waits for minutes where nobody answers.

    Raises:
        JobFailed: if nobody listens at `host:port` or `ray://host:port`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise JobFailed(f"Ray at {address} cannot be reached: {error.strerror or error}") from None


def stop_ray() -> None:
    """Let go of Ray, if this process holds it and its head still answers."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


def _leave() -> None:
    """End the process without Ray's goodbyes: to a head that is gone they take a minute and end in a crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class Head:
    """Whether Ray's head is still there: Ray itself waits for minutes, and then ends the process."""

    def __init__(self, address: str, retry_s: float) -> None:
        self._address, self._retry_s = address, retry_s
        self._heard = time.monotonic()
        self.lost = False

    def check(self) -> None:
        """Nothing, if it answers or has not been away for long.

        Raises:
            JobFailed: if it was silent for `retry_s`.
        """
        try:
            check_reachable(self._address)
        except JobFailed as error:
            if time.monotonic() - self._heard >= self._retry_s:
                self.lost = True
                atexit.register(_leave)
                raise JobFailed(
                    f"{error}; it was lost {self._retry_s:g} s ago: what is committed stays, run the same command again"
                ) from None
        else:
            self._heard = time.monotonic()
