"""Subtrees of a graph in which a synset may have two parents; WordNet's own file, pairs, tables."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from tests.audited import published
from vision.fairness import wordnet
from vision.fairness.taxonomy import Taxonomy, flagged, subtrees, synset

ENTITY, PET, DOG, PUPPY, TOY = (f"n0000000{number}" for number in range(1, 6))
GRAPH = Taxonomy({ENTITY: (), PET: (ENTITY,), DOG: (ENTITY, PET), PUPPY: (DOG,), TOY: (ENTITY, DOG, PET)})
DATA = """\
  1 This software and database is being provided to you, the LICENSEE, by Princeton University under the license
00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 ~ 00002137 n 0000 ~ 04424418 n 0000 | that which is perceived
00001930 03 n 01 physical_entity 0 001 @ 00001740 n 0000 | an entity that has physical existence
02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 003 @ 00001930 n 0000 @ 00001740 n 0000 %p 02158846 n 0000 | x
11111111 18 n 02 Lassie 0 Rin_Tin_Tin 0 001 @i 02084071 n 0000 | a dog of the screen
"""


def test_a_synset_below_two_parents_is_counted_once_in_each_subtree() -> None:
    found = {one.synset: one for one in subtrees(GRAPH, {PUPPY: 10, TOY: 5, DOG: 0})}
    assert {name: (one.classes, one.images) for name, one in found.items()} == {
        ENTITY: (3, 15), PET: (3, 15), DOG: (3, 15), PUPPY: (1, 10), TOY: (1, 5),
    }  # fmt: skip
    assert (found[PUPPY].share.value, found[PUPPY].share.n) == (pytest.approx(10 / 15), 15)
    assert found[PUPPY].share.low < 10 / 15 < found[PUPPY].share.high


def test_flags_touch_what_lies_below_them_each_once() -> None:
    images = {PUPPY: 10, TOY: 5, PET: 3}
    found = flagged([PET, DOG, ENTITY[:-1] + "9"], images, GRAPH)
    assert found.by_synset == [(PET, 3, 18), (DOG, 2, 15)]
    assert (list(found.classes), found.images, found.elsewhere) == ([PET, PUPPY, TOY], 18, 1)
    alone = flagged([DOG, PET], images)
    assert (list(alone.classes), alone.images) == ([PET], 3)


def test_a_way_up_that_leads_round_is_refused() -> None:
    with pytest.raises(ValueError, match="lies below itself"):
        Taxonomy({PET: (DOG,), DOG: (PUPPY,), PUPPY: (PET,)}).above(DOG)
    deep = Taxonomy({f"n{number:08d}": (f"n{number + 1:08d}",) for number in range(3_000)})
    assert len(deep.above("n00000000")) == 3_001


def test_wordnets_own_file() -> None:
    found = wordnet.from_data(DATA.splitlines())
    assert found.parents == {
        "n00001740": (), "n00001930": ("n00001740",), "n02084071": ("n00001930", "n00001740"),
        "n11111111": ("n02084071",),
    }  # fmt: skip
    assert found.names["n11111111"] == "Lassie"
    assert found.above("n11111111") == {"n11111111", "n02084071", "n00001930", "n00001740"}
    with pytest.raises(ValueError, match="line 2 is no line of WordNet's data files: 'hello"):
        wordnet.from_data(["  licence", "hello world"])


def test_pairs_and_tables() -> None:
    assert wordnet.from_pairs([f"{PET} {DOG}", "", f"{ENTITY} {DOG}"]).parents == {
        PET: (),
        ENTITY: (),
        DOG: (PET, ENTITY),
    }
    with pytest.raises(ValueError, match="line 1 is no pair of a synset and one below it: 'n00000001'"):
        wordnet.from_pairs([ENTITY])
    rows: list[dict[str, str | None]] = [
        {"wnid": DOG, "parents": f"{PET};{ENTITY}", "lemma": "dog"},
        {"wnid": ENTITY, "parents": None, "lemma": None},
    ]
    found = wordnet.from_rows(rows, ["wnid", "parents", "lemma"])
    assert (found.parents, found.names) == ({DOG: (PET, ENTITY), ENTITY: ()}, {DOG: "dog"})
    with pytest.raises(
        ValueError, match="a column direct_hypernyms, hypernyms, parents or parent is needed, it has wnid"
    ):
        wordnet.from_rows([], ["wnid"])
    assert wordnet.ids([{"x": DOG}], ["x"]) == [DOG]
    with pytest.raises(ValueError, match="'dog' is no synset id, such as n02084071"):
        synset("dog")


def test_imagenet_has_118_breeds_of_dogs_and_three_classes_of_persons() -> None:
    with published("wordnet/wordnet_ilsvrc_nodes.csv").open() as stream:
        graph = wordnet.from_rows(csv.DictReader(stream), ["wnid", "lemma", "direct_hypernyms"])
    with published("wordnet/ilsvrc2012_wordnet.csv").open() as stream:
        classes = list(csv.DictReader(stream))
    found = {one.synset: one for one in subtrees(graph, {row["wnid"]: 50 for row in classes})}
    assert (found["n02084071"].classes, found["n02084071"].images) == (118, 5900)
    assert (found["n00007846"].classes, found["n00001740"].classes) == (3, 1000)
    above = Counter(one for row in classes for one in row["all_hypernyms"].split(";"))
    assert {name: one.classes for name, one in found.items() if name in above} == {
        name: count + (name in {row["wnid"] for row in classes}) for name, count in above.items()
    }


def test_the_people_that_yang_et_al_flagged() -> None:
    with published("wordnet/person_subtree.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    graph = wordnet.from_rows(rows, ["wnid", "direct_hypernyms"])
    labels = Counter(row["yang2020_label"] for row in rows)
    assert (labels["unsafe"], labels["safe"], len(rows)) == (1593, 1239, 10_297)
    marked = [row["wnid"] for row in rows if row["yang2020_label"]]
    assert sum("n00007846" in graph.above(one) for one in marked) == 2832
    unsafe = [row["wnid"] for row in rows if row["yang2020_label"] == "unsafe"]
    annotated = flagged(unsafe, dict.fromkeys(marked, 200))
    assert (len(annotated.classes), annotated.images, annotated.elsewhere) == (1593, 1593 * 200, 0)
    persons = {"n09835506": 50, "n10148035": 50, "n10565667": 50}
    assert flagged(unsafe, persons).images == 0
    assert flagged(marked, persons).images == 150
