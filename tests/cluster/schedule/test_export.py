"""Manifests for KubeRay, cron and systemd: whole, and by the published schemas where those are at hand."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.schedule.export import manifests
from cluster.schedule.reading import read
from jobs.spec import SpecError

SCHEMAS = Path(__file__).parents[4] / "shared" / "data" / "kuberay"

NIGHTLY = """
defaults: {zone: Europe/Berlin, notify: "https://hooks.example.org/${HOOK}"}
entries:
  - {name: Faces_small, at: 30 2 * * 1-5, evaluate: {corpus: s3://b/faces, model: m}, queue: nights, priority: low,
     finish_by: 06:00}
  - {name: fresh, at: 15 1 1 * *, zone: UTC, evaluate: {table: x}, overlap: replace, catch_up: none, late_s: 600}
  - {name: audit, after: fresh, evaluate: {table: y}}
"""


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    path = tmp_path / "nightly.yaml"
    path.write_text(NIGHTLY)
    return path


def made(path: Path, target: str, kind: str = "cronjob") -> str:
    return manifests(read(path), target, path, image="lab/safelight:1", kind=kind)


def objects(path: Path, kind: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(made(path, "kuberay", kind)))


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with no room for keys that it does not list: plain validation accepts misspelt ones."""
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    for value in schema.values():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                strict(part)
    return schema


def schema_of(kind: str) -> jsonschema.protocols.Validator:
    path = SCHEMAS / f"ray.io_{kind.lower()}s.yaml.gz"
    if not path.exists():
        pytest.skip("the published schemas are not beside the checkout")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load(gzip.decompress(path.read_bytes()), loader)
    (version,) = [v for v in found["spec"]["versions"] if v["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    # The server owns what metadata may hold.
    schema["properties"]["metadata"] = {"type": "object"}
    # Without a check of the schema itself, which takes longer than all else here.
    return jsonschema.Draft202012Validator(schema)


def test_ray_cron_jobs_fit_the_published_schema(nightly: Path) -> None:
    schema = schema_of("RayCronJob")
    found = [one for one in objects(nightly, "raycronjob") if one["kind"] == "RayCronJob"]
    assert len(found) == 2
    for one in found:
        schema.validate(one)
    found[0]["spec"]["timezone"] = "UTC"
    with pytest.raises(jsonschema.ValidationError, match="timezone"):
        schema.validate(found[0])


def test_ray_jobs_that_a_cron_job_makes_fit_the_published_schema(nightly: Path) -> None:
    schema = schema_of("RayJob")
    (config,) = [one for one in objects(nightly, "cronjob") if one["kind"] == "ConfigMap"]
    jobs = [yaml.safe_load(text) for name, text in config["data"].items() if name != "nightly.yaml"]
    assert [job["kind"] for job in jobs] == ["RayJob"] * 2
    for job in jobs:
        schema.validate(job)
    jobs[0]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="imagee"):
        schema.validate(jobs[0])


def test_ray_cron_jobs_say_when_in_whose_zone_and_for_how_long(nightly: Path) -> None:
    config, first, second = objects(nightly, "raycronjob")
    assert config["data"] == {"nightly.yaml": NIGHTLY}
    assert (first["apiVersion"], first["kind"], first["metadata"]["name"]) == (
        "ray.io/v1", "RayCronJob", "safelight-faces-small",
    )  # fmt: skip
    assert (first["spec"]["schedule"], first["spec"]["timeZone"]) == ("30 2 * * 1-5", "Europe/Berlin")
    assert first["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nights"
    assert first["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "low"
    job = first["spec"]["jobTemplate"]
    assert job["entrypoint"].endswith("safelight/nightly.yaml --entry Faces_small")
    assert job["activeDeadlineSeconds"] == 3 * 3600 + 1800 + 600
    assert job["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert "activeDeadlineSeconds" not in second["spec"]["jobTemplate"]


def test_cron_jobs_make_ray_jobs_with_no_more_rights_than_that(nightly: Path) -> None:
    kinds = [one["kind"] for one in objects(nightly, "cronjob")]
    assert kinds == ["ConfigMap", "ServiceAccount", "Role", "RoleBinding", "CronJob", "CronJob"]
    config, account, role, binding, first, second = objects(nightly, "cronjob")
    assert role["rules"] == [{"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    pod = first["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    file = pod["containers"][0]["command"][-1].rsplit("/", 1)[-1]
    assert yaml.safe_load(config["data"][file])["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nights"
    assert (first["spec"]["concurrencyPolicy"], second["spec"]["concurrencyPolicy"]) == ("Forbid", "Replace")
    assert (first["spec"]["startingDeadlineSeconds"], second["spec"]["startingDeadlineSeconds"]) == (86400, 600)


def test_a_crontab_has_each_entry_in_its_zone(nightly: Path) -> None:
    lines = made(nightly, "cron").splitlines()
    file = nightly.resolve()
    assert lines[2:] == [
        "CRON_TZ=Europe/Berlin",
        f"30 2 * * 1-5 cd {file.parent} && safelight schedule tick --file {file} --entry Faces_small",
        "CRON_TZ=UTC",
        f"15 1 1 * * cd {file.parent} && safelight schedule tick --file {file} --entry fresh",
    ]


def test_systemd_gets_a_service_and_a_timer_for_each(nightly: Path) -> None:
    text = made(nightly, "systemd")
    assert text.count("ExecStart=") == text.count("[Timer]") == 2
    assert "OnCalendar=Fri,Mon,Thu,Tue,Wed *-*-* 02:30:00 Europe/Berlin\n" in text
    assert "OnCalendar=*-*-01 01:15:00 UTC\n" in text
    assert text.count("Persistent=true") == text.count("Persistent=false") == 1
    if shutil.which("systemd-analyze") is None:
        return
    times = [line.partition("=")[2] for line in text.splitlines() if line.startswith("OnCalendar=")]
    subprocess.run(["systemd-analyze", "calendar", *times], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("at", "lines"),
    [
        ("30 2 * * *", ["*-*-* 02:30:00 UTC"]),
        ("0 23 1,15 6-8 *", ["*-06,07,08-01,15 23:00:00 UTC"]),
        ("0 23 1 * 7", ["*-*-01 23:00:00 UTC", "Sun *-*-* 23:00:00 UTC"]),
        ("5 4 * * SAT", ["Sat *-*-* 04:05:00 UTC"]),
    ],
)
def test_systemd_says_the_same_times(tmp_path: Path, at: str, lines: list[str]) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(yaml.safe_dump([{"name": "a", "at": at, "evaluate": {"table": "x"}}]))
    found = [line[11:] for line in made(path, "systemd").splitlines() if line.startswith("OnCalendar=")]
    assert found == lines


@pytest.mark.parametrize(
    ("target", "at"), [("systemd", "0 1 * * MON#2"), ("kuberay", "0 1 * * MON#2"), ("kuberay", "0 1 * * 7")]
)
def test_a_time_that_they_cannot_say_is_refused(tmp_path: Path, target: str, at: str) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(yaml.safe_dump([{"name": "a", "at": at, "evaluate": {"table": "x"}}]))
    with pytest.raises(SpecError, match=r"entry a: .* has no words for"):
        made(path, target)


def test_names_that_would_become_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(
        yaml.safe_dump([{"name": n, "at": "0 1 * * *", "evaluate": {"table": "x"}} for n in ("a_b", "A-b")])
    )
    with pytest.raises(SpecError, match="both be called a-b"):
        made(path, "systemd")


def test_no_secret_is_in_a_manifest(nightly: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "planted-secret-of-the-hook")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-of-the-bucket")
    for target, kind in (("kuberay", "cronjob"), ("kuberay", "raycronjob"), ("cron", ""), ("systemd", "")):
        assert "planted-secret" not in made(nightly, target, kind)
