"""A report as a page: self-contained, escaped, and complete."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from jobs import drawing, page
from jobs.spec import Example, Report
from vision.accumulator import Estimate, plotted

EVIL = "<script>alert('x')</script>&\"'"
VOID = {"meta", "img", "line", "circle", "rect"}


class Checked(HTMLParser):
    """Reads a page and refuses what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data


def full() -> Report:
    """A report with everything a page can show, and a script in every text."""
    top1 = Estimate(0.84666, 0.8016, 0.8831, 300)
    bins = {"low": [0.0, 0.5], "high": [0.5, 1.0], "n": [10, 90], "mean_score": [0.4, 0.9], "accuracy": [0.3, 0.95]}
    bins |= {"accuracy_low": [0.1, 0.9], "accuracy_high": [0.6, 0.98]}
    return Report(
        metrics={"top1": top1, EVIL: Estimate(math.nan, math.nan, math.nan, 0), "cross_entropy": Estimate(2, 1, 3, 9)},
        groups=(({"sex": EVIL}, {"top1": top1}), ({"sex": "m"}, {"cross_entropy": top1})),
        output=EVIL,
        errors=1234,
        tables={
            "reliability": plotted(pa.table(bins), kind="reliability"),
            "most_confused": plotted(
                pa.table({"pair": [EVIL] * 30, "count": range(30)}), kind="bars", label="pair", value="count"
            ),
            "classes": pa.table({"class": range(70), "name": [EVIL] * 70, "f1": [None, math.nan] * 35}),
        },
        tags={"digest": EVIL},
        examples=(Example(EVIL, EVIL, b"jpeg bytes"),),
        notes=(EVIL,),
    )


def test_everything_is_escaped_and_nothing_comes_from_elsewhere() -> None:
    text = page.render(full(), EVIL, {"corpus": EVIL, "by": None})
    seen = Checked(text)
    assert "script" not in seen.tags
    assert "<script" not in text
    assert seen.text.count("alert('x')") > 70
    for name, value in seen.attributes:
        assert name not in ("src", "href", "onclick", "onload") or (value or "").startswith("data:image/jpeg;base64,")
    assert re.findall(r"https?://|@import|url\(", text) == []
    assert "default-src 'none'" in text


def test_addresses_in_sentences_can_be_followed_and_carry_nothing_else() -> None:
    address, long = "https://a.org/?b=1&c=2#!%7B%7D", f"http://b.org/{'x' * 300}"
    notes = (f"look: {address}", f"or {long}", 'https://c.org/"onclick="alert(1)', "javascript:alert(1)")
    seen = Checked(page.render(replace(full(), notes=notes), "t", {}))
    assert [value for name, value in seen.attributes if name == "href"] == [address, long, "https://c.org/"]
    assert "onclick" not in [name for name, _ in seen.attributes]
    assert "x" * 300 not in seen.text


def test_metrics_come_with_interval_and_number() -> None:
    seen = Checked(page.render(full(), "t", {}))
    for words in ("0.8467", "0.8016 to 0.8831", "300", "1,234 records", "cross_entropy"):
        assert words in seen.text
    assert "nan" not in seen.text.lower()
    assert seen.tags.count("svg") == 2 + 4 + 2, "two metrics, four group cells with the row of all, two plots"


def test_a_long_table_is_cut_and_says_so() -> None:
    seen = Checked(page.render(full(), "t", {}))
    assert "and 20 more" in seen.text
    assert "and 10 more" in seen.text
    assert "70 rows" in seen.text
    whole = Report(metrics={f"m{n:03}": Estimate(0.5, 0.4, 0.6, 9) for n in range(61)})
    assert "and 11 more" in Checked(page.render(whole, "t", {})).text


def test_pictures_are_inside() -> None:
    text = page.render(full(), "t", {})
    assert base64.b64encode(b"jpeg bytes").decode() in text


def test_fields_facts_and_versions_are_there_and_empty_fields_are_not() -> None:
    text = Checked(page.render(full(), "t", {"corpus": "data/x", "split": None, "by": ""})).text
    assert "data/x" in text
    assert "split" not in text
    assert "torch 2" in text
    assert "python 3" in text


def test_an_empty_report_is_a_page_too() -> None:
    assert "Metrics" not in Checked(page.render(Report(), "nothing", {})).text


def test_a_plot_of_an_unknown_kind_is_a_table() -> None:
    report = Report(tables={"x": plotted(pa.table({"a": ["cell"]}), kind="hologram")})
    assert "cell" in Checked(page.render(report, "t", {})).text


def test_an_interval_lies_where_its_numbers_say() -> None:
    svg = drawing.interval(Estimate(0.5, 0.25, 0.75, 10), (0.0, 1.0))
    low, high = (float(x) for x in re.search(r'class="range" x1="([\d.]+)" x2="([\d.]+)"', svg).groups())  # type: ignore[union-attr]
    dot = float(re.search(r'cx="([\d.]+)"', svg)[1])  # type: ignore[index]
    assert dot - low == high - dot
    assert low < dot
    assert drawing.scale([Estimate(0.2, 0.1, 0.9, 1)]) == (0.0, 1.0)
    assert drawing.scale([Estimate(2, 1, 3, 1)])[1] > 3
    assert drawing.interval(Estimate(math.nan, math.nan, math.nan, 0), (0, 1)) == ""


def ranked() -> pa.Table:
    rows = [
        {"of": "top1 by sex", "group": f"sex={EVIL}", "value": 0.5, "low": 0.25, "high": 0.75, "line": 0.9, "n": 40,
         "insufficient": False},
        {"of": "top1 by sex", "group": "sex=m", "value": None, "low": None, "high": None, "line": 0.9, "n": 0,
         "insufficient": True},
        {"of": "top1 by sex", "group": "sex=u", "value": 0.8, "low": 0.4, "high": 1.0, "line": 0.9, "n": 7,
         "insufficient": True},
    ]  # fmt: skip
    return plotted(pa.Table.from_pylist(rows), kind="ranked", panel="of")


def test_groups_are_ranked_with_intervals_and_small_ones_are_grey() -> None:
    text = page.render(Report(tables={"groups_ranked": ranked()}), "t", {})
    seen = Checked(text)
    assert "script" not in seen.tags
    assert (text.count('class="span"'), text.count('class="span grey"'), text.count('class="dot grey"')) == (1, 1, 1)
    assert text.count('class="whole"') == 3
    assert "0.500 · n 40" in seen.text
    assert "top1 by sex" in seen.text
    low, width = (float(x) for x in re.search(r'class="span" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', text).groups())  # type: ignore[union-attr]
    dot = float(re.search(r'class="dot" cx="([\d.]+)"', text)[1])  # type: ignore[index]
    assert dot == pytest.approx(low + width / 2, abs=0.2)


def test_two_columns_are_a_map_of_numbers_and_small_cells_are_hatched() -> None:
    cells = [
        ("a", "x", 0.9, 100, False),
        ("a", "y", 0.5, 60, False),
        ("b", "x", 0.2, 5, True),
        ("b", "y", None, 0, True),
    ]
    rows = [
        {"of": "top1", "down": "tone", "across": EVIL, "row": row, "column": column, "value": value, "low": None,
         "high": None, "n": n, "insufficient": few, "worse": "low"}
        for row, column, value, n, few in cells
    ]  # fmt: skip
    text = page.render(Report(tables={"m": plotted(pa.Table.from_pylist(rows), kind="matrix", panel="of")}), "t", {})
    seen = Checked(text)
    assert "script" not in seen.tags
    assert (text.count('class="heat"'), text.count('class="few"')) == (2, 2)
    best, worst = (float(x) for x in re.findall(r'class="heat" fill-opacity="([\d.]+)"', text))
    assert best < worst
    assert "url(" not in text
    for words in ("0.900", "0.200", "n 100", "n 5", "n 0", "insufficient data"):
        assert words in seen.text


def test_many_pictures_of_a_table_are_folded() -> None:
    table = ranked().to_pylist()[:1]
    rows = [{**table[0], "of": f"rate {number}"} for number in range(9)]
    text = page.render(Report(tables={"r": plotted(pa.Table.from_pylist(rows), kind="ranked", panel="of")}), "t", {})
    assert "R, 5 more" in Checked(text).text
    assert text.count("<h3>") == 9
