"""The entries as manifests for those who keep time elsewhere: KubeRay, cron, systemd.

Only entries with a time of their own get one; what is chained to an entry runs in its tick. A night runs once whoever
calls `tick`, so these may stand beside a loop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cluster.schedule.entries import Entry
from jobs.spec import SpecError


def manifests(entries: Sequence[Entry], target: str, path: Path, *, image: str, kind: str) -> str:
    """The manifests as text.

    Args:
        target: kuberay, cron or systemd.
        path: the file that holds the entries.
        image: kuberay: what runs it.
        kind: kuberay: raycronjob or cronjob.

    Raises:
        SpecError: if a time cannot be said there.
    """
    from cluster.schedule.export import cron, kuberay, systemd

    first = [entry for entry in entries if entry.at is not None]
    names = [safe_name(entry.name) for entry in first]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two entries would both be called {name} there")
    if target == "cron":
        return cron.crontab(first, path)
    if target == "systemd":
        return systemd.units(first, path)
    return kuberay.objects(first, path, image, kind)


def safe_name(name: str) -> str:
    """A name as Kubernetes and systemd take it: small letters, digits and hyphens, at most 40."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
