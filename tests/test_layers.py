"""The floors of the house: what may import what, and what stays unloaded until it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "vision": {"ray", "mlflow", "s3fs", "boto3", "fsspec", "logging", "time", "jobs", "cluster"},
    "jobs": {"mlflow", "cluster"},
    "cluster": set[str](),
}
HEAVY = {
    "torch",
    "torchvision",
    "ray",
    "mlflow",
    "timm",
    "onnxruntime",
    "openvino",
    "duckdb",
    "matplotlib",
    "scipy.stats",
}
SCRIPTS = ("cluster/pyfunc.py",)
"""Run by MLflow inside its own process, never imported by ours."""


def modules(floor: str) -> list[Path]:
    return sorted((ROOT / floor).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_nothing_is_imported_upward(floor: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(floor)
        for name in imported(ast.parse(path.read_text()))
        if name.split(".")[0] in FORBIDDEN[floor]
    ]
    assert not wrong


def test_a_room_imports_the_ground_floor_and_no_other_room() -> None:
    rooms = {path.name for path in (ROOT / "vision").iterdir() if path.is_dir()} - {"nets", "corpora", "kernels"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for room in rooms
        for path in modules(f"vision/{room}")
        for name in imported(ast.parse(path.read_text()))
        if name.startswith("vision.") and name.split(".")[1] in rooms - {room}
    ]
    assert not wrong


def at_the_top(tree: ast.Module) -> Iterator[str]:
    """What a module imports when it is imported itself; blocks for type checkers do not count."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield from imported(node) if isinstance(node, ast.Import | ast.ImportFrom) else ()


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_heavy_libraries_load_late(floor: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name} when it is imported"
        for path in modules(floor)
        if str(path.relative_to(ROOT)) not in SCRIPTS
        for name in at_the_top(ast.parse(path.read_text()))
        if name in HEAVY or name.split(".")[0] in HEAVY
    ]
    assert not wrong


def test_importing_every_driver_loads_nothing_heavy() -> None:
    names = [f"jobs.{path.stem}" for path in (ROOT / "jobs").glob("*.py") if path.stem != "__init__"]
    program = f"""
import importlib, sys
for name in {[*names, "cluster.cli", "cluster.tracking", "cluster.results.commands", "vision.classification"]!r}:
    importlib.import_module(name)
print([name for name in ("torch", "torchvision", "ray", "mlflow", "duckdb", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_vision_is_silent() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for floor in ("vision", "jobs")
        for path in modules(floor)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_files_are_short(floor: str) -> None:
    long = {str(p.relative_to(ROOT)): n for p in modules(floor) if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_no_file_holds_an_address_of_a_registry_or_of_a_machine() -> None:
    words = ["pypi." + "org", "python" + "hosted", "deb." + "debian", "/wo" + "rk/"]
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {name: (ROOT / name).read_text(errors="ignore") for name in files if (ROOT / name).is_file()}
    assert not [(name, word) for name, text in texts.items() for word in words if word in text]
