"""What makes two submissions one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.submission import naming
from jobs.predict import Predict
from jobs.spec import SpecError

JOB = Predict(corpus="/c", model=("nets.lenet:lenet5",), output="/p")


def test_every_field_and_the_key_decide() -> None:
    names = [naming.base(JOB, ""), naming.base(JOB, "monday"), naming.base(JOB.model_copy(update={"limit": 3}), "")]
    assert len(set(names)) == 3
    assert naming.base(Predict(**JOB.model_dump()), "monday") == names[1]
    assert names[1].startswith("predict-")
    assert names[1].endswith("-monday")


def test_keys_that_look_the_same_in_a_name_differ() -> None:
    assert naming.base(JOB, "a@1") != naming.base(JOB, "a/1")


def test_other_code_in_the_same_folder_is_another_job_and_a_moved_folder_is_not(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("x = 1\n")
    first, moved = (JOB.model_copy(update={"code": str(tmp_path / name)}) for name in ("one", "two"))
    before = naming.base(first, "")
    assert before == naming.base(moved, "")
    (tmp_path / "one" / "mine.py").write_text("x = 2\n")
    assert naming.base(first, "") != before


def test_attempts_are_counted_in_the_name() -> None:
    assert naming.attempt("predict-0", 1) == "predict-0"
    assert naming.split(naming.attempt("predict-0", 12)) == ("predict-0", 12)


def test_an_abbreviation_stands_for_the_last_attempt_of_one_job() -> None:
    known = ["predict-0a1", "predict-0a1.2", "predict-0a1.10", "predict-0b2"]
    assert naming.find("predict-0a", known) == "predict-0a1.10"
    assert naming.find("predict-0a1", known) == "predict-0a1", "a whole name is that attempt"
    with pytest.raises(SpecError, match=r"beginning of several: predict-0a1, predict-0a1\.10"):
        naming.find("predict", known)
    with pytest.raises(SpecError, match=r"no submitted job 'predikt-0b2'; did you mean predict-0b2\?"):
        naming.find("predikt-0b2", known)
