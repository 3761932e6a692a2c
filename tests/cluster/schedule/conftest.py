"""Where nights are run: a folder whose store has its tables already, which take longer to make than a night."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.settings import Settings


@pytest.fixture
def nights_place(here: Settings) -> Path:
    """A folder with an empty mlflow.db, in which the test stands."""
    return here.home
