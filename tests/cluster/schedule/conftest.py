"""A store whose tables are there already: to make them takes longer than a night of these tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cluster.client import connect
from cluster.settings import from_environment


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    connect(from_environment({}, folder)).search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def nights_place(tmp_path: Path, empty_store: Path) -> Path:
    """A folder with an empty mlflow.db, in which the test stands."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path
