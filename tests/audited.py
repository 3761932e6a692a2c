"""Tables for audits: made ones, with gaps of known size, and published ones where they lie beside the checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from vision.accumulator import Array
from vision.fairness.coding import coded
from vision.fairness.counts import Cube

FAIRNESS = Path(__file__).parents[2] / "shared" / "data" / "fairness"
RACES = ("White", "Black", "Asian", "Indian", "Other")
GENDERS = ("male", "female")


def published(name: str) -> Path:
    """A published table; the test is skipped where it is not at hand."""
    path = FAIRNESS / name
    if not path.exists():
        pytest.skip(f"no published table {name} beside the checkout")
    return path


def cube(columns: Mapping[str, Any], weights: Array | None = None) -> Cube:
    """Counts of lists."""
    return Cube.of({name: coded(pa.array(values)) for name, values in columns.items()}, weights)


def cube_of(table: pa.Table) -> Cube:
    return Cube.of({name: coded(table[name]) for name in table.column_names})


def rows(n: int, seed: int = 0, gap: float = 0.0) -> pa.Table:
    """Answers to n faces of three tones and two genders, 90 in 100 right; `gap` less for dark women. Some are missing.

    Columns: tone (some unknown), gender, truth, prediction (some unanswered), score, person.
    """
    rng = np.random.default_rng(seed)
    tone, gender = rng.integers(0, 3, n), rng.integers(0, 2, n)
    right = rng.random(n) < 0.9 - gap * ((tone == 2) & (gender == 1))
    truth = np.where(rng.random(n) < 0.5, gender, 1 - gender)
    said = np.where(right, truth, 1 - truth)
    names = np.array([*GENDERS, None], object)
    return pa.table(
        {
            "tone": np.array(["light", "medium", "dark", None], object)[np.where(rng.random(n) < 0.05, 3, tone)],
            "gender": names[gender],
            "truth_": names[truth],
            "said": names[np.where(rng.random(n) < 0.03, 2, said)],
            "score": rng.random(n),
            "person": [f"person {number}" for number in rng.integers(0, max(1, n // 5), n)],
        }
    )


def utkface() -> pa.Table:
    """2,362 faces of UTKFace's test part with a ResNet's answers: race, gender, age, truth, prediction."""
    table = pacsv.read_csv(published("utkface/test_predictions.csv"))
    age, race = ([int(text[7:-1]) for text in table[name].to_pylist()] for name in ("age", "race"))
    gender, said = ([GENDERS[n] for n in table[name].to_pylist()] for name in ("gender_true", "pred_gender"))
    tops = ((17, "<=17"), (39, "18-39"), (64, "40-64"), (999, ">=65"))
    bins = [next(name for top, name in tops if years <= top) for years in age]
    return pa.table(
        {"race": [RACES[n] for n in race], "gender": gender, "age": bins, "truth": gender, "prediction": said}
    )


def lfw_lists() -> pa.Table:
    """The manual lists of LFW as one table: image, gender, person; 5 images are in both lists."""
    lists = {g: published(f"lfw/{g}_images.txt").read_text().split() for g in GENDERS}
    images = [image for gender in GENDERS for image in lists[gender]]
    genders = [gender for gender in GENDERS for _ in lists[gender]]
    return pa.table({"image": images, "gender": genders, "person": [image.rsplit("_", 1)[0] for image in images]})


def imagenet_x(model: str) -> pa.Table:
    """Factors of ImageNet's validation images beside a model's answers."""
    factors = pq.read_table(published("imagenet_x/annotations_val.parquet"))
    answers = pq.read_table(published(f"imagenet_x/predictions_{model}.parquet"))
    return factors.drop_columns(["class", "top_factor"]).join(answers, "val_index").combine_chunks()
