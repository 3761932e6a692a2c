"""The data card, the pictures and the sentences of an audit: complete, the same for equal rows, and about groups."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
import yaml

from jobs import page
from jobs.audit import Audit
from jobs.spec import Report
from tests.audited import rows
from vision.fairness.sentences import source_of

ASKED: dict[str, Any] = {"columns": ("truth=truth_", "prediction=said"), "by": ("tone", "gender"), "order": 2}
JUDGING = re.compile(r"\b(un)?(biased|fair|unfair|racist|sexist|safe|neutral|bias-free)\b", re.IGNORECASE)


@pytest.fixture(autouse=True)
def _place(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def audit(table: pa.Table, name: str = "faces.csv", **fields: Any) -> Report:
    pacsv.write_csv(table, name)
    return Audit(**{"table": name, "workers": 0, **ASKED, **fields}).run()


def card(report: Report) -> str:
    return report.files["card.md"]


def test_the_card_says_who_is_there_whom_it_fails_and_what_it_rests_on() -> None:
    report = audit(rows(3000, gap=0.25), annotated_by="two of us", where="score >= 0.01")
    text = card(report)
    for words in (
        "# Data card: faces.csv", "## Who is in it", "### By tone and gender", "## Whom the answers fail",
        "| groups of tone | 3, annotated by two of us |", "| rows left out by | where score \\>= 0.01 |",
        "## What this does not say", "`top1` is P(yhat = y | answered)",
    ):  # fmt: skip
        assert words in text
    judged = re.search(
        r"\| top1 \| tone=dark, gender=female \| (0\.\d+) \(.*\) \| [\d,]+ \| (-0\.\d+).*\| differs \|", text
    )
    assert judged is not None
    assert float(judged[1]) < 0.72
    assert float(judged[2]) < -0.15
    assert re.search(r"\| table sha256 \| [0-9a-f]{64} \|", text)
    assert re.search(r"\| counts sha256 \| [0-9a-f]{64} \|", text)


def test_equal_rows_have_equal_cards_and_the_words_in_it_make_it_again() -> None:
    table = rows(800)
    text = card(audit(table, cluster_by="person"))
    spec = text.split("```yaml\n")[1].split("```")[0]
    again: Report = Audit.parse(yaml.safe_load(spec)).run()
    assert card(again) == text
    other = card(audit(table.slice(1), "other.csv"))
    counts = [re.search(r"counts sha256 \| (\w+)", one)[1] for one in (text, other)]  # type: ignore[index]
    assert counts[0] != counts[1]


def test_no_person_is_in_the_card() -> None:
    report = audit(rows(600), cluster_by="person")
    assert "conflicts" in report.tables
    assert "person 1" not in card(report)
    assert "| values of person |" in card(report)


def test_a_value_cannot_write_the_card() -> None:
    evil = "|x|\n# Unbiased <b>[a](http://b)`"
    table = rows(300).set_column(0, "tone", pa.array([evil] * 150 + ["light"] * 150))
    text = card(audit(table))
    assert not [line for line in text.splitlines() if line.startswith("# Unbiased")]
    assert "<b>" not in text
    assert "[a](" not in text.replace("\\[a\\](", "")


@pytest.mark.parametrize("gap", [0.0, 0.25])
def test_sentences_are_about_groups_and_praise_nothing(gap: float) -> None:
    report = audit(rows(3000, gap=gap), positive="female", annotated_by="two of us")
    said = [*report.notes, *card(report).split("\n")]
    assert not [one for one in said if JUDGING.search(one)]
    assert any("annotated by two of us" in one for one in report.notes)
    assert not any(re.search(r"person \d", one) for one in said)
    if not gap:
        assert "that does not show that there is no difference" in card(report)


def test_a_predicted_group_is_called_so_wherever_it_stands() -> None:
    table = rows(600).rename_columns(["predicted_tone", "gender", "truth_", "said", "score", "person"])
    report = audit(table, by=("predicted_tone", "gender"), annotated_by="two of us")
    assert "| groups of predicted_tone | 3, predicted by a model |" in card(report)
    assert source_of("predicted_tone", "two of us") == "predicted by a model"
    assert "groups of predicted_tone were predicted by a model" in " ".join(report.notes)


def test_the_pictures_are_of_judged_groups_first_and_the_worst_of_them_at_the_head() -> None:
    small = rows(12, seed=9).set_column(0, "tone", pa.array(["violet"] * 12))
    report = audit(pa.concat_tables([rows(3000, gap=0.25), small]))
    ranked = [
        one for one in report.tables["groups_ranked"].to_pylist() if one["of"].startswith("top1 by tone and gender")
    ]
    assert ranked[0]["group"] == "tone=dark, gender=female"
    few = [one["insufficient"] for one in ranked]
    assert few == sorted(few)
    assert {one["group"].split(",")[0] for one in ranked if one["insufficient"]} == {"tone=violet"}
    judged = [one["value"] for one in ranked if not one["insufficient"]]
    assert judged == sorted(judged)
    cells = [one for one in report.tables["intersections"].to_pylist() if one["of"].startswith("top1:")]
    dark = next(one for one in cells if (one["row"], one["column"]) == ("dark", "female"))
    assert dark["worse"] == "low"
    assert dark["value"] == ranked[0]["value"]
    text = page.render(report, "audit", {})
    assert 'class="span grey"' in text
    assert 'class="hatch"' in text


def test_without_answers_shares_are_drawn_beside_the_reference() -> None:
    pacsv.write_csv(pa.table({"gender": ["male", "female"], "share": [0.5, 0.5]}), "population.csv")
    report = audit(rows(900), columns=(), reference="population.csv")
    drawn = report.tables["groups_ranked"].to_pylist()
    assert {one["line"] for one in drawn if one["of"].startswith("share by gender,")} == {0.5}
    assert {one["of"] for one in report.tables["intersections"].to_pylist()} == {
        "share of all rows, by tone and gender"
    }
