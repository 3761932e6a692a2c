"""The recipe of the room's README, carried out as it stands, on faces that the test makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from cluster.commands import job_class
from jobs.spec import Report
from tests.audited import GENDERS

README = (Path(__file__).parents[3] / "vision" / "fairness" / "README.md").read_text()
COMMANDS = [
    shlex.split(line)[2:]
    for block in re.findall(r"```\n(safelight .*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def faces(n: int = 1270) -> None:
    """Faces of lighter and darker subjects; dark women are misclassified in a third, others in one of thirty."""
    rng = np.random.default_rng(3)
    tone, gender = rng.integers(0, 2, n), rng.integers(0, 2, n)
    wrong = rng.random(n) < np.where((tone == 1) & (gender == 1), 0.33, 0.03)
    names = np.array([*GENDERS, None], object)
    said = np.where(rng.random(n) < 0.01, 2, np.where(wrong, 1 - gender, gender))
    again = np.where(rng.random(n) < 0.02, 1 - gender, gender)
    columns = {
        "subject": [f"subject {number}" for number in rng.integers(0, 800, n)],
        "gender": names[gender],
        "gender_again": names[again],
        "tone": np.array(["lighter", "darker"], object)[tone],
        "said": names[said],
    }
    pacsv.write_csv(pa.table(columns), "faces.csv")
    Path("groups.yaml").write_text("tone: [lighter, darker]\ngender: {female: [F], male: [M]}\n")
    Path("published.csv").write_text("tone,error_percent\nlighter,8.3\ndarker,46.8\n")


def run(words: list[str]) -> Report:
    flags = dict(zip(words[1::2], words[2::2], strict=True))
    fields = {flag.removeprefix("--").replace("-", "_"): value for flag, value in flags.items()}
    found: Report = job_class(words[0]).parse({**fields, "workers": 0}).run()
    return found


def test_the_recipe_finds_what_the_paper_found() -> None:
    faces()
    who, whom, odds, people, twice, given = map(run, COMMANDS)
    assert who.metrics["share.entropy.tone.gender"].value > 0.99
    assert "groups of tone, gender are annotated by two of us" in who.notes
    worst = whom.tables["disparities"].to_pylist()[-3:]
    assert {row["worst_group"] for row in worst if row["rate"] == "top1"} == {"tone=darker, gender=female"}
    assert whom.metrics["top1.difference"].value > 0.2
    assert odds.metrics["equalized_odds.difference"].value > 0.2
    assert people.tables["persons"].num_rows == people.tables["groups_tested"].num_rows
    assert 0.9 < twice.metrics["kappa.gender"].value < 1
    assert given.metrics["rate.difference"].value == 38.5
