"""Published tables of cells: read as text, checked against their own mean positions, refused where damaged."""

from __future__ import annotations

import numpy as np
import pytest

from tests.geo import clustered_places
from vision.geolocation import published, s2
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.geolocation.published import DamagedTokens
from vision.geolocation.stored import Cells
from vision.sphere import positions

HEADER = "class_label,hex_id,imgs_per_cell,latitude_mean,longitude_mean"


@pytest.fixture(scope="module")
def cells() -> Cells:
    leaves = Leaves.of(s2.ids(*clustered_places(20_000)))
    found = partition(leaves, Rule(t_max=300, t_min=20))
    return Cells(found.cells, found.counts, means(sums(leaves, found.cells), found.counts))


@pytest.fixture(scope="module")
def rows(cells: Cells) -> list[str]:
    """As published: classes in no order of the cells."""
    latitude, longitude = (degrees.tolist() for degrees in positions(cells.means))
    tokens, order = s2.tokens(cells.ids), np.random.default_rng(0).permutation(len(cells))
    return [f"{n},{tokens[k]},{cells.counts[k]},{latitude[k]},{longitude[k]}" for n, k in enumerate(order)]


def as_spreadsheet(token: str) -> str:
    """What a spreadsheet makes of a token: digits are a number, digits with one e are one too."""
    if token.isdigit():
        return str(int(token))
    digits, e, power = token.partition("e")
    if e and digits.isdigit() and power.isdigit():
        return (
            f"{int(digits)}e{power}"
            if len(power) == 1 and int(power) == 0
            else f"{float(token):.3E}".replace(".000", "")
        )
    return token


def test_what_was_written_is_read(cells: Cells, rows: list[str]) -> None:
    found = published.read("\n".join([HEADER, *rows, ""]))
    assert np.array_equal(found.ids, cells.ids)
    assert np.array_equal(found.counts, cells.counts)
    assert found.labels is not None
    tokens = [row.split(",")[1] for row in rows]
    assert [tokens[label] for label in found.labels] == s2.tokens(cells.ids).tolist()
    assert s2.contains(found.ids, s2.ids(*positions(found.means))).all()


def test_lines_before_the_names_and_names_of_ones_own(cells: Cells, rows: list[str]) -> None:
    text = "\r\n".join(["num_images,4723695", "min_concept_probability,0", HEADER.replace("hex_id", "s2"), *rows])
    found = published.read("\ufeff" + text, {"token": "s2"})
    assert np.array_equal(found.ids, cells.ids)
    assert np.array_equal(found.locate(s2.first(found.ids)), found.labels)


def test_tokens_that_a_spreadsheet_read_as_numbers(rows: list[str]) -> None:
    fields = [row.split(",") for row in rows]
    damaged = [[a, as_spreadsheet(token), *rest] for a, token, *rest in fields]
    wrong = [n for n, (was, now) in enumerate(zip(fields, damaged, strict=True)) if was[1] != now[1]]
    assert len(wrong) >= 1, "the made-up cells have a token that looks like a number"
    with pytest.raises(DamagedTokens) as caught:
        published.read("\n".join([HEADER, *map(",".join, damaged)]))
    assert [line for line, _ in caught.value.rows] == [n + 2 for n in wrong]
    assert str(caught.value).startswith(f"{len(wrong)} of {len(rows)} tokens are damaged")
    assert str(caught.value).endswith(", ".join(str(n + 2) for n in wrong))


def test_a_token_of_another_cell_is_damaged_though_it_is_one(rows: list[str]) -> None:
    first, *rest = rows
    other = first.split(",")
    face = int(s2.from_tokens([other[1]])[0] >> 61)
    other[1] = s2.tokens(s2.FACES)[(face + 1) % 6]
    with pytest.raises(DamagedTokens, match=r"in lines 2$"):
        published.read("\n".join([HEADER, ",".join(other), *rest]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'class_label'"),
        (HEADER, "holds no cells"),
        ("class_label,token,imgs_per_cell,latitude_mean,longitude_mean\n0,47e64,3,48.8,2.3", "no column 'hex_id'"),
        (HEADER + "\n0,47e64,many,48.85,2.35", "line 2: '0,47e64,many,48.85,2.35' is not a cell"),
        (HEADER + "\n0,47e64", "line 2"),
        (HEADER + "\n0,47e64,3,148.85,2.35", "line 2: the mean position 148.85, 2.35 is nowhere on Earth"),
        (HEADER + "\n0,47e64,60,48.85,2.35\n1,47e7,70,48.85,2.35", "overlap"),
        (HEADER + "\n0,47e64,60,48.85,2.35\n0,89c25,70,40.75,-73.98", "same class"),
    ],
)
def test_what_is_no_table_of_cells(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        published.read(text)
