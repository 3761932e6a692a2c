"""What an undeclared group may have been meant as."""

from __future__ import annotations

import yaml

from jobs.intake.spelling import mapping_file, meant, undated

AGES = ["0-2", "3-9", "10-19", "20-29"]


def test_ranges_that_a_spreadsheet_took_for_dates() -> None:
    assert (undated("9-Mar"), undated("19-Oct"), undated("2-Jan")) == ("3-9", "10-19", "1-2")
    assert undated("3-9") is None and undated("9-Max") is None
    assert (meant("9-Mar", AGES), meant("19-Oct", AGES)) == ("3-9", "10-19")


def test_other_spellings_are_compared_letter_by_letter() -> None:
    assert meant(" Female", ["female", "male"]) == "female"
    assert meant("femal", ["female", "male"]) == "female"
    assert meant("tree", ["female", "male"]) is None


def test_the_file_that_is_offered_takes_the_values() -> None:
    lines = mapping_file("age", {"0-2": "0-2", "3-9": "3-9", "3 to 9": "3-9"}, ["9-Mar", "?!"])
    assert yaml.safe_load("\n".join(lines[1:])) == {
        "age": {"0-2": [], "3-9": ["3 to 9", "9-Mar"], "SAY WHAT IS MEANT": ["?!"]}
    }
