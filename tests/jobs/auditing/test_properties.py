"""Properties of pictures by group: what was planted is found, for any shards, broken pictures counted."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jobs.audit import Audit
from jobs.spec import Report, SpecError
from tests.making import CorpusMaker, Row


def audit(**fields: Any) -> Report:
    return Audit(**{"workers": 0, "checks": ("properties",), **fields}).run()


def photo(seed: int, bright: int, size: tuple[int, int]) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (size[1], size[0], 3)) + bright
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def photos(count: int = 60) -> list[Row]:
    """Photos of which every second (the corpus calls it m) is darker and smaller; one is broken."""
    kinds = ((120, (64, 48)), (20, (40, 30)))
    return [(f"{n:03}", b"broken" if n == 7 else photo(n, *kinds[n % 2]), n % 3) for n in range(count)]


def rows(report: Report) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["property"], row["group"]): row for row in report.tables["properties"].to_pylist()}


def test_darker_and_smaller_pictures_of_one_group_are_found(make_corpus: CorpusMaker) -> None:
    report = audit(corpus=make_corpus(photos()), by=("sex",))
    found = rows(report)
    assert found["width", "sex=m"]["p50"] == pytest.approx(40, rel=0.005)
    assert found["brightness", "sex=m"]["p50"] < 0.3 < found["brightness", "sex=f"]["p50"]
    assert found["brightness", "sex=m"]["distance"] == 1.0
    assert found["aspect", "sex=m"]["distance"] == 0.0
    assert (found["width", "all"]["n"], found["width", "all"]["distance"]) == (59, None)
    said = "\n".join(report.notes)
    assert "differ from the rest (Benjamini-Hochberg at 0.05)" in said
    assert "1 pictures cannot be decoded" in said
    assert report.metrics["properties.width.median"].n == 59
    assert "properties.brightness.median" in report.files["card.md"]


def test_any_shards_give_the_same_and_no_group_is_needed(make_corpus: CorpusMaker) -> None:
    tables = [
        audit(corpus=make_corpus(photos(), f"c{rows_}", rows_), **fields).tables["properties"]
        for rows_, fields in ((60, {"by": ("sex",)}), (7, {"by": ("sex",)}))
    ]
    assert tables[0].equals(tables[1])
    alone = audit(corpus=make_corpus(photos(), "alone"))
    assert {group for _, group in rows(alone)} == {"all"}


def test_a_table_has_no_pictures(tmp_path: Any) -> None:
    (tmp_path / "t.csv").write_text("sex\nm\n")
    with pytest.raises(SpecError, match="checks: properties looks at pictures, and a table has none: give --corpus"):
        audit(table=str(tmp_path / "t.csv"), by=("sex",))
