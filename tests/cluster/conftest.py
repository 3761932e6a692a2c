"""Fixtures of tests that record runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cluster.client import connect
from cluster.settings import Settings, from_environment


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, which take MLflow seconds to make."""
    place = from_environment({}, tmp_path_factory.mktemp("empty"))
    connect(place)
    assert place.database is not None
    return place.database


@pytest.fixture
def here(tmp_path: Path, empty_database: Path) -> Settings:
    """The settings of the folder in which the test stands, where nothing was recorded yet."""
    place = from_environment({}, tmp_path)
    assert place.database is not None
    shutil.copy(empty_database, place.database)
    return place


@pytest.fixture
def there(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of the module's own `store`, in whose folder the test stands."""
    monkeypatch.chdir(store.home)
    return store
