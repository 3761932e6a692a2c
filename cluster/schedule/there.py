"""The job of a night sent to the cluster, and waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from cluster.schedule.clock import Clock
from cluster.schedule.working import Done
from cluster.settings import Settings
from jobs.spec import Job, JobFailed


def there(
    job: Job, key: str, tags: Mapping[str, str], where: Settings, say: Callable[[str], None],
    until: tuple[datetime, str] | None, clock: Clock,
) -> list[Done]:  # fmt: skip
    """Submit a job under its night's name, which makes it one job however often it is submitted, and wait for it."""
    raise JobFailed(f"{key}: this safelight cannot submit jobs to {where.ray_address}; `on: here` runs them here")
