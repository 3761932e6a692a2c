"""A RayCronJob for each entry, or, where KubeRay has none yet, a CronJob that makes a RayJob.

Either way a Ray cluster starts for the night, `safelight schedule tick` is its job, and it goes when that is done.
Addresses and keys come from the secret `safelight` (MLFLOW_TRACKING_URI, AWS_ACCESS_KEY_ID, ...), and the entries
from a ConfigMap: neither is in an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from cluster.schedule.due import coming
from cluster.schedule.entries import Entry
from cluster.schedule.export import safe_name
from jobs.spec import SpecError

CONFIG = "safelight-nightly"
SECRET = "safelight"
_FOLDER = "/etc/safelight"
_KUBECTL = "bitnami/kubectl:latest"
_WORKERS = 4

Object = dict[str, Any]


def objects(entries: Sequence[Entry], path: Path, image: str, kind: str) -> str:
    """All objects as YAML documents.

    Raises:
        SpecError: if Kubernetes has no words for a time.
    """
    for entry in entries:
        _check(entry)
    files = {"nightly.yaml": path.read_text(encoding="utf-8")}
    if kind == "raycronjob":
        made = [_config(files), *(_ray_cron_job(entry, image) for entry in entries)]
    else:
        files |= {f"{safe_name(entry.name)}.yaml": _dump([_ray_job(entry, image)]) for entry in entries}
        made = [_config(files), *_rights(), *(_cron_job(entry) for entry in entries)]
    return _dump(made)


def _dump(documents: Sequence[Object]) -> str:
    return str(yaml.safe_dump_all(documents, sort_keys=False))


def _check(entry: Entry) -> None:
    fields = (entry.at or "").upper().split()
    if "#" in fields[4] or "7" in fields[4] or fields[4].endswith("L") or "L" in fields[2]:
        raise SpecError(f"entry {entry.name}: Kubernetes has no words for `{entry.at}` (Sunday is 0; no # and no L)")


def _labels(entry: Entry) -> dict[str, str]:
    """Labels, with those by which Kueue finds queue and priority."""
    given = {"kueue.x-k8s.io/queue-name": entry.queue, "kueue.x-k8s.io/priority-class": entry.priority}
    own = {"app.kubernetes.io/part-of": "safelight", "safelight/entry": entry.name.strip("-_.")}
    return own | {name: value for name, value in given.items() if value}


def _head(entry: Entry, **more: Any) -> Object:
    return {"name": f"safelight-{safe_name(entry.name)}", "labels": _labels(entry), **more}


def _config(files: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG}, "data": files}


def _ray_cron_job(entry: Entry, image: str) -> Object:
    spec = {"schedule": entry.at, "timeZone": entry.zone, "jobTemplate": _job_spec(entry, image)}
    return {"apiVersion": "ray.io/v1", "kind": "RayCronJob", "metadata": _head(entry), "spec": spec}


def _ray_job(entry: Entry, image: str) -> Object:
    head = {"generateName": f"safelight-{safe_name(entry.name)}-", "labels": _labels(entry)}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": head, "spec": _job_spec(entry, image)}


def _job_spec(entry: Entry, image: str) -> Object:
    # The entrypoint is the driver already: to submit from there would make a job wait for another.
    command = f"safelight schedule tick --here --file {_FOLDER}/nightly.yaml --entry {entry.name}"
    spec: Object = {
        "entrypoint": command,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "backoffLimit": 0,
        "rayClusterSpec": _cluster(image),
    }
    # One day's length from time to deadline; the night itself knows the deadline to the minute, and this is the net.
    seconds = _seconds(entry)
    return spec if seconds is None else {**spec, "activeDeadlineSeconds": seconds + 600}


def _seconds(entry: Entry) -> int | None:
    at = next(coming(entry, datetime(2026, 1, 1, tzinfo=UTC)))
    until = entry.deadline(at)
    return None if until is None else int((until - at) / timedelta(seconds=1))


def _cluster(image: str) -> Object:
    worker = {
        "groupName": "cpu",
        "replicas": _WORKERS,
        "minReplicas": 1,
        "maxReplicas": _WORKERS,
        "rayStartParams": {},
        "template": _pod("ray-worker", image),
    }
    head = {"rayStartParams": {"dashboard-host": "0.0.0.0"}, "template": _pod("ray-head", image)}
    auth = {"mode": "token"}
    return {"rayVersion": version("ray"), "authOptions": auth, "headGroupSpec": head, "workerGroupSpecs": [worker]}


def _pod(name: str, image: str) -> Object:
    container = {
        "name": name,
        "image": image,
        "envFrom": [{"secretRef": {"name": SECRET}}],
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        "volumeMounts": [{"name": "nightly", "mountPath": _FOLDER, "readOnly": True}],
    }
    volume = {"name": "nightly", "configMap": {"name": CONFIG}}
    return {"spec": {"containers": [container], "volumes": [volume]}}


def _cron_job(entry: Entry) -> Object:
    file = f"{safe_name(entry.name)}.yaml"
    container = {
        "name": "submit",
        "image": _KUBECTL,
        "command": ["kubectl", "create", "-f", f"{_FOLDER}/{file}"],
        "volumeMounts": [{"name": "nightly", "mountPath": _FOLDER, "readOnly": True}],
    }
    pod = {
        "serviceAccountName": CONFIG,
        "restartPolicy": "OnFailure",
        "containers": [container],
        "volumes": [{"name": "nightly", "configMap": {"name": CONFIG}}],
    }
    spec = {
        "schedule": entry.at,
        "timeZone": entry.zone,
        "concurrencyPolicy": "Replace" if entry.overlap == "replace" else "Forbid",
        "startingDeadlineSeconds": max(60, int(entry.late_s)) if entry.catch_up == "none" else 86_400,
        "jobTemplate": {"spec": {"backoffLimit": 3, "template": {"spec": pod}}},
    }
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": _head(entry), "spec": spec}


def _rights() -> list[Object]:
    """An account that may make RayJobs and nothing else."""
    named = {"name": CONFIG}
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": named,
        "subjects": [{"kind": "ServiceAccount", **named}],
        "roleRef": {"apiGroup": group, "kind": "Role", **named},
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": dict(named)},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": dict(named), "rules": [rule]},
        binding,
    ]
