"""Labels that predictions doubt: planted ones are found, from logits, from the best five, from a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from jobs.audit import Audit
from jobs.predict import Predict
from jobs.spec import Report, SpecError
from tests.answering import answer
from tests.making import CLASSES, picture, write_corpus

WRONG = {3, 10, 22, 41, 57, 58, 70, 88}


def audit(**fields: Any) -> Report:
    return Audit(**{"checks": ("labels",), "workers": 0, **fields}).run()


def corpus(folder: Path, shard_rows: int = 30) -> str:
    """Shapes, some of them called by another's name."""
    rows = [(f"{n:03d}.jpg", picture(n % 3, n + 3000), (n + (n in WRONG)) % 3) for n in range(120)]
    return write_corpus(folder, rows, shard_rows)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory, small_model: str) -> dict[tuple[int, bool], str]:
    """Predictions for two shardings, with logits and without."""
    found = {}
    for shard_rows in (30, 120):
        place = tmp_path_factory.mktemp("labels")
        held = corpus(place / "corpus", shard_rows)
        for logits in (False, True):
            output = str(place / f"predictions-{logits}")
            fields = {"corpus": held, "model": small_model, "output": output, "kernel": "torch", "workers": 0}
            Predict(**fields, keep_logits=logits).run()
            found[shard_rows, logits] = output
    return found


def test_planted_errors_head_the_list(predicted: dict[tuple[int, bool], str]) -> None:
    report = audit(predictions=predicted[30, True])
    table = report.tables["label_suspects"].to_pylist()
    ids = [row["id"] for row in table]
    wrong = [f"{n:03d}.jpg" for n in sorted(WRONG)]
    assert len(set(ids) & set(wrong)) >= 7
    first = next(row for row in table if row["id"] in wrong)
    number = int(first["id"][:3])
    assert (first["given"], first["likely"]) == (CLASSES[(number + 1) % 3], CLASSES[number % 3])
    margins = [row["margin"] for row in table]
    assert margins == sorted(margins, reverse=True)
    assert first["margin"] == first["probability_of_likely"] - first["probability_of_given"] > 0
    share, noise = report.metrics["labels.suspect"], report.metrics["labels.noise"]
    assert share.n == 120 and 7 <= share.value * 120 <= 30
    assert 8 / 120 < noise.low < noise.value < noise.high < 0.5  # this small net is wrong at times, too
    assert {row["given"] for row in report.tables["label_noise"].to_pylist()} <= set(CLASSES)
    assert "if the model has not learnt these labels" in "\n".join(report.notes)
    assert report.metrics["top1"].n == 120  # the audit of the answers is part of it


def test_shards_and_logits_make_no_difference(predicted: dict[tuple[int, bool], str]) -> None:
    # Three classes are all among the best five.
    reports = {key: audit(predictions=output) for key, output in predicted.items()}
    for logits in (True, False):
        one, other = reports[30, logits], reports[120, logits]
        assert one.metrics == other.metrics
        assert all(one.tables[name].equals(other.tables[name]) for name in ("label_suspects", "label_noise"))
    some, every = (reports[30, logits].tables["label_suspects"] for logits in (False, True))
    assert some["id"].to_pylist() == every["id"].to_pylist()
    assert some["margin"].to_pylist() == pytest.approx(every["margin"].to_pylist(), abs=1e-5)


def test_so_many_are_listed_of_each_class(predicted: dict[tuple[int, bool], str]) -> None:
    report = audit(predictions=predicted[30, True], suspects=1)
    given = report.tables["label_suspects"]["given"].to_pylist()
    assert len(given) == len(set(given))
    assert report.metrics["labels.suspect"].value * 120 > len(given)


def test_a_table_has_probabilities_in_a_list(predicted: dict[tuple[int, bool], str]) -> None:
    report = audit(predictions=predicted[30, True])
    rows = pa.concat_tables([pq.read_table(path) for path in sorted(Path(predicted[30, True]).rglob("*.parquet"))])
    logits = np.array(rows["logits"].to_pylist(), np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [(n + (n in WRONG)) % 3 for n in range(120)]
    table = pa.table({"file": rows["id"], "truth": labels, "p": pa.FixedSizeListArray.from_arrays(p.reshape(-1), 3)})
    pq.write_table(table, "rows.parquet")
    roles = ("id=file", "truth=truth", "probabilities=p")
    found = audit(table="rows.parquet", columns=roles)
    assert found.tables["label_suspects"]["id"].equals(report.tables["label_suspects"]["id"])
    assert found.metrics["labels.suspect"] == report.metrics["labels.suspect"]
    pq.write_table(table.set_column(2, "p", [[[3.0, 1.0, 0.0]] * 120]), "rows.parquet")
    with pytest.raises(SpecError, match=r"probabilities of a row must be 0 or more and add up to 1, got \[3"):
        audit(table="rows.parquet", columns=roles)
    pq.write_table(table.set_column(1, "truth", [["disc"] * 120]), "rows.parquet")
    with pytest.raises(SpecError, match=r"truth holds .*string.* and no numbers of classes"):
        audit(table="rows.parquet", columns=roles)


def test_wrong_words_are_one_line(predicted: dict[tuple[int, bool], str], tmp_path: Path) -> None:
    held = corpus(tmp_path / "corpus")
    with pytest.raises(SpecError, match="labels needs answers with probabilities: give --predictions"):
        audit(corpus=held)
    answer(tmp_path / "bare", held, np.zeros(120, np.int64))
    with pytest.raises(SpecError, match="bare has no probabilities: predict again with --keep-logits"):
        audit(predictions=str(tmp_path / "bare"))
    Path("rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpecError, match="labels in a table needs --columns truth=NAME,probabilities=NAME"):
        audit(table="rows.csv", columns=("truth=a",))
    with pytest.raises(SpecError, match="b holds int64 and no lists of probabilities"):
        audit(table="rows.csv", columns=("truth=a", "probabilities=b"))
    pacsv.write_csv(pa.table({"id": [f"{n:03d}.jpg" for n in range(120)], "label": [CLASSES[0]] * 120}), "labels.csv")
    with pytest.raises(SpecError, match="labels that are joined need all probabilities"):
        audit(predictions=predicted[30, False], join="labels.csv")
    assert audit(predictions=predicted[30, True], join="labels.csv").metrics["labels.suspect"].n == 120
