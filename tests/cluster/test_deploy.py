"""What is deployed is what the CRDs know: every manifest against the published schemas, misspelt keys refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "cluster" / "deploy"
SCHEMAS = Path(__file__).parents[2].parent / "shared" / "data" / "kuberay"
MANIFESTS = sorted(DEPLOY.rglob("*.yaml"))
KINDS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayCronJob": "raycronjobs"}


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def strict(schema: Any) -> Any:
    """A schema that refuses keys it does not name, as the API server prunes them."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        made["additionalProperties"] = False
    return made


def problems(document: dict[str, Any]) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema")
    file = SCHEMAS / f"ray.io_{KINDS[document['kind']]}.yaml.gz"
    if not file.exists():
        pytest.skip("no CRDs beside the checkout")
    crd = yaml.load(gzip.decompress(file.read_bytes()), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == "v1"]
    body = {name: value for name, value in document.items() if name == "spec"}
    validator = jsonschema.Draft202012Validator(strict(schema["properties"]["spec"]))
    return [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(body["spec"])]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_parses_and_holds_no_secret(path: Path) -> None:
    for document in documents(path):
        assert isinstance(document, dict) and document
    for name in re.findall(r"name: (\w*(?:TOKEN|SECRET|PASSWORD|ACCESS_KEY)\w*)\n(\s+\w+)", path.read_text()):
        assert name[1].strip() == "valueFrom", name


@pytest.mark.parametrize(
    "path", [path for path in MANIFESTS if any(d.get("kind") in KINDS for d in documents(path))], ids=lambda p: p.name
)
def test_what_ray_runs_fits_its_schema(path: Path) -> None:
    for document in documents(path):
        assert problems(document) == []


def test_a_misspelt_key_and_a_wrong_type_are_seen() -> None:
    (document,) = documents(DEPLOY / "kuberay" / "raycluster.yaml")
    document["spec"]["rayVersions"] = "2.60.0"
    document["spec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    found = "\n".join(problems(document))
    assert "rayVersions" in found and "num-cpus" in found


def test_the_image_has_the_ray_that_the_constraints_have() -> None:
    pinned = re.search(r"^ray(?:\[.*\])?==(\S+)", (DEPLOY / "constraints.txt").read_text(), re.MULTILINE)
    asked = re.search(r"^ARG RAY=(\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert pinned and asked and pinned[1] == asked[1]
