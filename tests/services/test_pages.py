"""What a reader sees: MLflow's page of a run and its report, opened by Chromium."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cluster.results.open import link, page
from cluster.results.query import find_run
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from jobs.evaluate import Evaluate
from tests.cluster.toys import quiet
from tests.making import CorpusMaker, rows_of
from tests.services.browser import chromium, needed
from tests.services.mlflow_server import Server

pytestmark = [needed, pytest.mark.slow]


@pytest.fixture
def here(server: Server, tmp_path: Path) -> Settings:
    return from_environment({"MLFLOW_TRACKING_URI": server.address}, tmp_path)


@pytest.fixture
def run_id(here: Settings, make_corpus: CorpusMaker, small_model: str) -> str:
    """A run of a real evaluation."""
    job = Evaluate(corpus=make_corpus(rows_of(24)), model=small_model, by=("sex",), workers=0)
    _, run_id = tracked(job, quiet, quiet, here)
    assert run_id is not None
    return run_id


def test_the_report_has_its_numbers_groups_and_pictures(here: Settings, run_id: str, tmp_path: Path) -> None:
    report = page(find_run(run_id, here), here)
    dom = chromium(tmp_path, "--dump-dom", report.as_uri()).decode()
    assert "<h1>evaluate small corpus</h1>" in dom
    assert "<td>top1</td>" in dom and "sex = f" in dom
    assert dom.count("<svg") > 3 and "data:image/jpeg;base64," in dom
    chromium(tmp_path, f"--screenshot={tmp_path / 'shot.png'}", report.as_uri())
    pixels = np.asarray(Image.open(io.BytesIO((tmp_path / "shot.png").read_bytes())).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 200, "it shows more than text: pictures have many colours"


def test_mlflows_page_shows_the_run_with_its_metrics(here: Settings, run_id: str, tmp_path: Path) -> None:
    address = link(find_run(run_id, here), here)
    assert address is not None and "/#/experiments/" in address
    dom = chromium(tmp_path, "--dump-dom", address).decode()
    assert "evaluate small corpus" in dom
    for word in ("top1", "top1.low", run_id):
        assert word in dom, word
