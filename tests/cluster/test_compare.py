"""`safelight results compare` over predictions folders: intervals, groups, verdicts and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from cluster.results.compare import compare
from jobs.spec import SpecError
from tests.answering import answer, rows_with
from tests.making import CorpusMaker

N = 2000


@pytest.fixture
def folders(make_corpus: CorpusMaker, tmp_path: Path) -> tuple[str, str]:
    """A champion, and a candidate that gains on `f` and loses a little less on `m`."""
    labels = np.arange(N) // 2 % 3
    corpus = make_corpus(rows_with(labels), shard_rows=700)
    number, women = np.arange(N), np.arange(N) % 2 == 0
    champion = np.where(women & (number % 5 == 0), (labels + 1) % 3, labels)
    candidate = np.where(~women & (number % 12 == 1), (labels + 1) % 3, labels)
    for name, predicted in (("champion", champion), ("candidate", candidate)):
        answer(tmp_path / name, corpus, predicted, model=name)
    return str(tmp_path / "champion"), str(tmp_path / "candidate")


def called(*words: str) -> tuple[int, Result]:
    """The exit code that the command returns, and what it printed."""
    found = CliRunner().invoke(compare, list(words), standalone_mode=False)
    if found.exception:
        raise found.exception
    return found.return_value, found


def test_a_line_a_group_and_the_worst_decides(folders: tuple[str, str]) -> None:
    code, whole = called(*folders, "--margin", "0.01")
    assert code == 0
    assert "95 % interval" in whole.stdout
    code, found = called(*folders, "--margin", "0.01", "--by", "sex")
    assert code == 3
    lines = [line for line in found.stdout.splitlines() if line.startswith(("all ", "sex="))]
    assert lines[0].startswith("sex=m")
    assert [line.split()[-1] for line in lines] == ["fail", "pass", "pass"]
    assert found.stdout.splitlines()[-1] == "fail with all groups"


def test_one_document(folders: tuple[str, str]) -> None:
    code, found = called(*folders, "--margin", "0.01", "--by", "sex", "--format", "json")
    document = json.loads(found.stdout)
    assert (code, document["verdict"]) == (3, "fail")
    assert (document["groups"][0]["group"], document["groups"][0]["cause"]) == ("sex=m", "model")
    assert document["only_baseline"] + document["only_candidate"] > 0


def test_without_a_margin_there_is_no_verdict(folders: tuple[str, str]) -> None:
    code, found = called(*folders, "--by", "sex", "--format", "json")
    document = json.loads(found.stdout)
    assert (code, document["verdict"]) == (0, None)
    assert {group["verdict"] for group in document["groups"]} == {None}
    code, text = called(*folders, "--by", "sex")
    assert code == 0
    assert "fail" not in text.stdout


def test_more_confidence_is_a_wider_interval(folders: tuple[str, str]) -> None:
    widths = []
    for confidence in ("0.8", "0.95", "0.999"):
        document = json.loads(called(*folders, "--confidence", confidence, "--format", "json")[1].stdout)
        widths.append(document["difference"]["high"] - document["difference"]["low"])
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    assert "99.9 % interval" in called(*folders, "--confidence", "0.999")[1].stdout


def test_metrics_that_are_no_means_are_paired_too(folders: tuple[str, str]) -> None:
    code, found = called(*folders, "--metric", "macro_recall", "--margin", "0.05", "--format", "json")
    document = json.loads(found.stdout)
    assert code == 0
    assert document["both_right"] is None
    assert document["difference"]["low"] < document["difference"]["value"] < document["difference"]["high"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--confidence", "1.5"), "confidence"),
        (("--by", "sx"), "sex"),
        (("--metric", "top99"), "top99"),
        (("--by", "sex", "--min-group", "1"), "min_group"),
    ],
)
def test_wrong_words_are_one_line(folders: tuple[str, str], words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        called(*folders, *words)
