"""The recipe of the room's README, carried out as it stands, on faces that the test makes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import yaml

from cluster.commands import job_class
from cluster.schedule.reading import parse
from jobs.predict import Predict
from jobs.spec import Report
from tests.audited import GENDERS
from tests.jobs.auditing.test_duplicates import with_splits
from tests.making import picture
from tests.vision.fairness.test_taxonomy import DATA

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
    who, whom, odds, people, twice, given = map(run, COMMANDS[:6])
    assert who.metrics["share.entropy.tone.gender"].value > 0.99
    assert "groups of tone, gender are annotated by two of us" in who.notes
    worst = whom.tables["disparities"].to_pylist()[-3:]
    assert {row["worst_group"] for row in worst if row["rate"] == "top1"} == {"tone=darker, gender=female"}
    assert whom.metrics["top1.difference"].value > 0.2
    assert odds.metrics["equalized_odds.difference"].value > 0.2
    assert people.tables["persons"].num_rows == people.tables["groups_tested"].num_rows
    assert 0.9 < twice.metrics["kappa.gender"].value < 1
    assert given.metrics["rate.difference"].value == 38.5
    card = whom.files["card.md"]
    assert "## Whom the answers fail" in card
    assert "subject" not in card.split("```yaml")[0]


def test_where_from_and_of_what() -> None:
    wnids = ["n02084071", "n11111111", "n00001930", "n02084071"]
    place = {"latitude": [48.9, 48.8, 40.4, 0.5], "longitude": [2.3, 2.4, -3.7, -30.0]}
    pacsv.write_csv(pa.table({**place, "wnid": wnids}), "photos.csv")
    Path("places.csv").write_text("country,latitude,longitude\nFR,48.85,2.35\nES,40.42,-3.7\n")
    Path("people.csv").write_text("country,population\nFR,68000000\nES,48000000\n")
    Path("WordNet-3.0/dict").mkdir(parents=True)
    Path("WordNet-3.0/dict/data.noun").write_text(DATA)
    Path("flagged.txt").write_text("n11111111\n")
    where, what = map(run, COMMANDS[6:8])
    found = {row["group"]: row["images"] for row in where.tables["per_capita"].to_pylist()}
    assert found == {"country=FR": 2, "country=ES": 1}
    assert what.metrics["flagged.images"].value == 0.25
    assert {row["synset"]: row["images"] for row in what.tables["subtrees"].to_pylist()}["n02084071"] == 3


def test_can_the_data_be_trusted(small_model: str, tmp_path: Path) -> None:
    train = [(f"train-{n}", picture(n % 3, n), n % 3) for n in range(60)]
    test = [(f"test-{n}", picture(n % 3, n + 500), (n + (n < 4)) % 3) for n in range(90)]  # four are called wrong
    test[10] = ("test-10", train[20][1], 2)
    with_splits(tmp_path / "faces", test, train, 40)
    rng = np.random.default_rng(0)
    ids = [row[0] for row in test + train]
    cameras = [("a" if label == 0 else "b") for _, _, label in test + train]
    people = pa.table({"id": ids, "person": [f"p{n}" for n in rng.integers(0, 200, 150)], "camera": cameras})
    pacsv.write_csv(people, "people.csv")
    asked = {"corpus": "faces", "split": "test", "model": small_model, "output": "answers", "kernel": "torch"}
    Predict.parse({**asked, "workers": 0, "keep_logits": True}).run()
    relatives, labels, together = map(run, COMMANDS[8:])
    assert (
        relatives.metrics["duplicates.across"].value >= 1 / 90
    )  # such simple shapes are near duplicates by chance, too
    copies = relatives.tables["duplicates"].to_pylist()
    assert {row["id"] for row in copies if row["kind"] == "exact"} == {"test-10", "train-20"}
    assert 0 < relatives.metrics["leakage.person"].value < 0.6
    assert {f"test-{n}" for n in range(4)} & set(labels.tables["label_suspects"]["id"].to_pylist())
    assert together.metrics["correlations.camera.label"].value > 0.9


def test_the_entry_for_every_night_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (entry,) = parse(yaml.safe_load(block))
    assert (entry.job, entry.against, len(entry.gates)) == ("audit", "latest", 2)
    assert entry.fields["by"] == ["tone", "gender"]
