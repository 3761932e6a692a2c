"""Labels held against WordNet and against flags: by the command's job, over tables and corpora."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from jobs.audit import Audit
from jobs.spec import Report, SpecError
from tests.audited import published
from tests.making import CorpusMaker, rows_of
from tests.vision.fairness.test_taxonomy import DATA, DOG, ENTITY, PET, PUPPY, TOY
from vision.corpora.imagenet import imagenet_wnids


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def audit(**fields: Any) -> Report:
    return Audit(**{"workers": 0, **fields}).run()


def rows(report: Report, name: str) -> dict[str, dict[str, Any]]:
    return {row["synset"]: row for row in report.tables[name].to_pylist()}


def test_subtrees_and_flags_of_a_table_with_nothing_else() -> None:
    pacsv.write_csv(pa.table({"wnid": [PUPPY] * 6 + [TOY] * 3 + [None]}), "photos.csv")
    pairs = ((ENTITY, PET), (PET, DOG), (ENTITY, DOG), (DOG, PUPPY), (DOG, TOY), (PET, TOY))
    Path("pairs.txt").write_text("\n".join(" ".join(pair) for pair in pairs))
    Path("flags").write_text(f"{TOY}\n\n{ENTITY[:-1]}9\n")
    report = audit(table="photos.csv", synsets="wnid", taxonomy="pairs.txt", flag="flags")
    assert {name: row["images"] for name, row in rows(report, "subtrees").items()} == {
        ENTITY: 9, PET: 9, DOG: 9, PUPPY: 6, TOY: 3,
    }  # fmt: skip
    assert report.metrics["flagged.images"].value == pytest.approx(3 / 9)
    assert report.metrics["flagged.classes"].value == pytest.approx(1 / 2)
    assert "1 of 2 classes and 3 of 9 images are flagged" in report.notes[0]
    assert "2 synsets were flagged, 1 of them hold no class" in report.notes[0]
    assert "flagged.images" in report.files["card.md"]


def test_a_directory_of_wordnet_and_words_that_are_not_printed_where_flagged() -> None:
    Path("WordNet-3.0/dict").mkdir(parents=True)
    Path("WordNet-3.0/dict/data.noun").write_text(DATA)
    pacsv.write_csv(pa.table({"synset": ["n11111111", "n02084071", "n02084071"], "sex": ["f", "m", "m"]}), "photos.csv")
    pacsv.write_csv(pa.table({"wnid": ["n11111111"], "why": ["a person"]}), "flags.csv")
    report = audit(table="photos.csv", synsets="synset", taxonomy="WordNet-3.0", flag="flags.csv", by=("sex",))
    found = rows(report, "subtrees")
    assert (found["n02084071"]["images"], found["n02084071"]["classes"], found["n02084071"]["name"]) == (3, 2, "dog")
    assert found["n11111111"]["name"] is None
    assert "name" not in report.tables["flagged"].column_names
    assert "share.entropy" in report.metrics


def test_the_classes_of_a_corpus_are_synsets(make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(rows_of(30), "dogs", 7)
    Path("flags").write_text(DOG)
    with pytest.raises(SpecError, match="synsets: the classes of the corpus are no synset ids"):
        audit(corpus=corpus, flag="flags")
    manifest = Path(corpus, "corpus.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "classes": [DOG, PUPPY, TOY, PET]}))
    report = audit(corpus=corpus, flag="flags")
    assert (report.metrics["flagged.images"].value, report.metrics["flagged.images"].n) == (pytest.approx(1 / 3), 30)
    assert report.metrics["flagged.classes"].n == 4


def test_imagenets_thousand_classes() -> None:
    nodes = str(published("wordnet/wordnet_ilsvrc_nodes.csv"))
    pacsv.write_csv(pa.table({"wnid": [*imagenet_wnids()], "count": [50] * 1000}), "val.csv")
    report = audit(table="val.csv", columns=("count=count",), synsets="wnid", taxonomy=nodes)
    dogs = rows(report, "subtrees")["n02084071"]
    assert (dogs["classes"], dogs["images"]) == (118, 5900)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flag": "flags"}, "synsets: with --table, name the column of synset ids"),
        ({"synsets": "wnid"}, "synsets: say what to hold them against: --taxonomy or --flag"),
        ({"synsets": "word", "flag": "flags"}, "synsets: 'dog' is no synset id, such as n02084071"),
        ({"synsets": "wnid", "flag": "words"}, "flag: words: 'dog' is no synset id, such as n02084071"),
        ({"synsets": "wnid", "flag": "none"}, "flag: none: there is no such file"),
        ({"synsets": "wnid", "taxonomy": "folder"}, r"taxonomy: folder: there is no data\.noun in it"),
        ({"synsets": "wnid", "taxonomy": "photos.csv"}, r"taxonomy: photos\.csv: a column"),
        ({"synsets": "wnid", "taxonomy": "round.txt"}, "taxonomy: n0000000[34] lies below itself"),
        ({"synsets": "wnit", "flag": "flags"}, "has no column 'wnit'; did you mean wnid"),
    ],
)
def test_wrong_words_are_one_line(fields: dict[str, Any], message: str) -> None:
    pacsv.write_csv(pa.table({"wnid": [PUPPY], "word": ["dog"]}), "photos.csv")
    Path("flags").write_text(DOG)
    Path("words").write_text("dog")
    Path("folder").mkdir()
    Path("round.txt").write_text(f"{DOG} {PUPPY}\n{PUPPY} {DOG}\n")
    with pytest.raises(SpecError, match=message):
        audit(table="photos.csv", **fields)
