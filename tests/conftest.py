"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from tests import hostile as hostile_files
from tests.making import CorpusMaker, Row, train_small, write_corpus

# A shell that starts the suite with `&` has it ignore Ctrl-C, and so would the jobs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Workers find the tests' own classes, whatever program runs the suite and whichever test begins Ray.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.fixture(autouse=True)
def _quiet_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in a folder of its own, no server of the machine reaches it, and warnings are heard."""
    logging.root.setLevel(logging.WARNING)
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def hostile() -> ModuleType:
    """`tests/hostile.py`: makes broken files (`broken()`) and odd ones (`odd()`)."""
    return hostile_files


@pytest.fixture(scope="session")
def shared_images() -> Path:
    """Real photographs, where they lie beside the checkout; tests that want them skip elsewhere."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "images"
    if not folder.is_dir():
        pytest.skip("no real images beside the checkout")
    return folder


@pytest.fixture
def make_corpus(tmp_path: Path) -> CorpusMaker:
    """Writes a corpus by hand; returns its folder."""

    def make(rows: Sequence[Row], name: str = "corpus", shard_rows: int = 10, split: str = "test") -> str:
        return write_corpus(tmp_path / name, rows, shard_rows, split)

    return make


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a small trained net with three classes."""
    return train_small(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray for all tests that need it, on this machine and nowhere else."""
    os.environ.pop("RAY_ADDRESS", None)
    from jobs.engine.joining import start_ray

    ray = start_ray(2)
    yield
    ray.shutdown()
