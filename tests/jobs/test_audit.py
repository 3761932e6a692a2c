"""`run audit`: published audits reproduced, the same answer for any sharding, bad input in one line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from cluster.document import document, to_json
from jobs.audit import Audit
from jobs.spec import JobFailed, Plain, Report, SpecError
from tests.answering import answer, rows_with
from tests.audited import imagenet_x, lfw_lists, published, rows, utkface
from tests.making import CLASSES, CorpusMaker
from vision.accumulator import Estimate
from vision.corpus import Corpus, Shard

ROLES = ("truth=truth_", "prediction=said")
FACTORS = (
    "pose", "background", "pattern", "color", "smaller", "shape", "partial_view", "subcategory", "texture", "larger",
    "darker", "object_blocking", "person_blocking", "style", "brighter", "multiple_objects",
)  # fmt: skip


def audit(**fields: Any) -> Report:
    return Audit(**{"workers": 0, **fields}).run()


def put(table: pa.Table, name: str = "rows.csv") -> str:
    """A table as a file."""
    pacsv.write_csv(table, name) if name.endswith(".csv") else pq.write_table(table, name)
    return name


def group(report: Report, **by: str) -> dict[str, Estimate]:
    """The figures of one group."""
    return next(dict(metrics) for cell, metrics in report.groups if dict(cell) == by)


def row(report: Report, table: str, **wanted: str) -> dict[str, Any]:
    return next(r for r in report.tables[table].to_pylist() if all(r[k] == v for k, v in wanted.items()))


def said(report: Report) -> str:
    return "\n".join(report.notes)


def figures(report: Report) -> str:
    """What must not change from run to run."""
    found = document("audit", None, report, {})
    tables = {n: t.to_pylist() for n, t in sorted(report.tables.items()) if n != "provenance"}
    return to_json([found["metrics"], found["groups"], tables, facts(report)["counts sha256"]])


def facts(report: Report) -> dict[str, str]:
    """What the report says of its own rows."""
    return {row["fact"]: row["value"] for row in report.tables["provenance"].to_pylist()}


def test_any_sharding_and_any_kind_of_file_gives_the_same_bytes() -> None:
    table = rows(3000, gap=0.2)
    asked: dict[str, Any] = {"by": ("tone", "gender"), "order": 2, "positive": "female", "cluster_by": "person"}
    asked["columns"] = (*ROLES, "score=score")
    wanted = figures(audit(table=put(table), **asked))
    assert wanted == figures(audit(table=put(table, "rows.parquet"), **asked))
    for shards in (1, 4, 9):
        order = np.random.default_rng(shards).permutation(len(table))
        folder = Path(f"shards-{shards}/deep")
        folder.mkdir(parents=True)
        for number, part in enumerate(np.array_split(order, shards)):
            put(table.take(pa.array(part)), str(folder / f"{number}.parquet"))
        assert figures(audit(table=str(folder.parent), **asked)) == wanted


def test_two_workers_count_what_one_process_counts(ray_session: None) -> None:
    table = rows(2000)
    Path("many").mkdir()
    for number, part in enumerate(np.array_split(np.arange(2000), 40)):
        put(table.take(pa.array(part)), f"many/{number}.parquet")
    asked: dict[str, Any] = {"table": "many", "columns": ROLES, "by": ("tone", "gender"), "order": 2}
    assert figures(audit(**asked)) == figures(audit(**asked, workers=2))


def test_a_damaged_file_and_a_missing_one_are_one_line() -> None:
    Path("many").mkdir()
    put(rows(50), "many/0.parquet")
    data = Path("many/0.parquet").read_bytes()
    Path("many/1.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(SpecError, match=r"many/1\.parquet cannot be read"):
        audit(table="many", by=("tone",))
    Path("many/1.parquet").unlink()
    put(pa.table({"other": [1]}), "many/1.parquet")
    with pytest.raises(SpecError, match=r"many/1\.parquet has no column 'tone'"):
        audit(table="many", by=("tone",))
    Path("none").mkdir()
    with pytest.raises(SpecError, match="none is a folder without Parquet files"):
        audit(table="none", by=("tone",))


def test_what_was_planted_is_found_and_named() -> None:
    report = audit(table=put(rows(6000, gap=0.2)), columns=ROLES, by=("tone", "gender"), order=2, positive="female")
    worst = row(report, "disparities", rate="top1", by="tone x gender")
    assert worst["worst_group"] == worst["lowest"] == "tone=dark, gender=female"
    assert report.metrics["top1.worst"] == report.metrics["top1.worst.tone.gender"]
    assert report.metrics["top1.difference"].value == pytest.approx(0.2, abs=0.04)
    assert row(report, "groups_tested", rate="top1", group="tone=dark, gender=female")["verdict"] == "differs"
    assert "tone=dark, gender=female" in said(report)
    assert "rows have no tone: they are in no group's figures" in said(report)
    assert "as annotated in the source, by whom is not said" in said(report)
    assert {"answered", "top1_all"} <= set(report.metrics)
    assert f"{report.errors:,} of 6,000 rows have no answer" in said(report)
    alone = audit(table="rows.csv", columns=ROLES, by=("tone",), metrics=("top1",))
    assert list(alone.groups[0][1]) == ["share", "top1"]
    assert alone.errors == report.errors > 0
    assert report.metrics["equalized_odds.difference.tone.gender"].value > 0.15


def test_a_table_of_published_counts_is_audited_like_its_rows() -> None:
    table = rows(1500)
    counted = (
        table.select(["tone", "gender", "truth_", "said"])
        .group_by(["tone", "gender", "truth_", "said"])
        .aggregate([([], "count_all")])
    )
    asked: dict[str, Any] = {"by": ("tone", "gender"), "order": 2}
    counts = audit(table=put(counted, "counts.csv"), columns=(*ROLES, "count=count_all"), **asked)
    assert figures(counts) == figures(audit(table=put(table), columns=ROLES, **asked))
    put(pa.table({"x": ["a"], "n": [-1]}), "negative.csv")
    with pytest.raises(SpecError, match="columns: n holds -1, which is no number of rows"):
        audit(table="negative.csv", columns=("count=n",), by=("x",))


def test_persons_and_rows_stand_side_by_side() -> None:
    table = rows(2000)
    report = audit(table=put(table), columns=ROLES, by=("gender",), cluster_by="person")
    women = row(report, "persons", rate="top1", group="gender=female")
    assert women["by_row"] == group(report, gender="female")["top1"].value
    assert women["by_row_low"] < women["by_row"] < women["by_row_high"]
    assert women["persons"] < women["rows"]
    gap = row(report, "disparities_by_person", rate="top1")
    assert gap["by_row"] == row(report, "disparities", rate="top1")["difference"]
    assert gap["low_persons_redrawn"] < gap["by_row"] < gap["high_persons_redrawn"]
    shares = row(report, "shares_by_person", group="gender=female")
    people = {(p, g) for p, g in zip(table["person"].to_pylist(), table["gender"].to_pylist(), strict=True)}
    assert shares["persons"] == sum(g == "female" for _, g in people)
    assert "are in several groups of gender" in said(report)


def test_a_population_to_compare_with() -> None:
    put(pa.table({"tone": ["light", "medium", "dark"], "share": [0.2, 0.4, 0.4]}), "population.csv")
    report = audit(table=put(rows(3000)), by=("tone", "gender"), reference="population.csv")
    light = row(report, "representation", group="tone=light")
    assert light["reference_share"] == pytest.approx(0.2)
    assert light["log_ratio"] == pytest.approx(np.log(light["share"] / 0.2))
    assert report.metrics["reference.total_variation.tone"].value == pytest.approx(light["share"] - 0.2, abs=1e-9)
    assert [r["by"] for r in report.tables["reference"].to_pylist()] == ["tone"]
    put(pa.table({"tone": ["light"], "weight": [1.0]}), "wrong.csv")
    with pytest.raises(SpecError, match=r"needs one column share or count \(it has tone, weight\)"):
        audit(table="rows.csv", by=("tone",), reference="wrong.csv")


def test_a_corpus_with_predictions_is_audited_shard_by_shard(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    labels = np.arange(200) % 3
    predicted = np.where(np.arange(200) % 10 == 0, (labels + 1) % 3, labels)  # all wrong answers are to "f"
    predicted[::40] = -1
    reports = []
    for shard_rows in (7, 50, 200):
        corpus = make_corpus(rows_with(labels), f"corpus-{shard_rows}", shard_rows)
        folder = tmp_path / f"predictions-{shard_rows}"
        answer(folder, corpus, predicted)
        reports.append(audit(predictions=str(folder), by=("sex",)))
    assert len({figures(report) for report in reports}) == 1
    report = reports[0]
    women = group(report, sex="f")
    assert (women["answered"].n, women["answered"].value) == (100, 0.95)
    assert women["top1"].value == pytest.approx(80 / 95)
    assert women["top1_all"].value == pytest.approx(0.8)
    assert group(report, sex="m")["top1"].value == 1.0
    assert report.errors == 5
    assert "calibration" in report.tables
    assert row(report, "groups_tested", rate="top1", group="sex=f")["verdict"] == "differs"
    half = audit(predictions=str(tmp_path / "predictions-7"), by=("sex",), where="label = 0", positive=CLASSES[0])
    assert half.tags["where"] == "label = 0"
    assert half.metrics["tpr"].n == 67
    alone = audit(corpus=make_corpus(rows_with(labels), "alone"), by=("sex",))
    assert group(alone, sex="m")["share"].value == 0.5
    assert "disparities" not in alone.tables


def test_two_annotators_beside_each_other() -> None:
    first = ["light", "dark", "dark", "light", None] * 20
    second = ["light", "dark", "light", "light", "dark"] * 20
    report = audit(table=put(pa.table({"tone": first, "again": second})), by=("tone",), second=("tone=again",))
    assert report.metrics["agreement.tone"].value == 0.75
    assert report.metrics["kappa.tone"].value == pytest.approx(0.5)
    assert report.tables["agreements"].to_pylist()[0]["n"] == 80
    with pytest.raises(SpecError, match="second: COLUMN=OTHER with a column of --by is expected, got 'again'"):
        audit(table="rows.csv", by=("tone",), second=("again",))


def test_rates_of_true_groups_have_bounds_where_groups_were_predicted() -> None:
    right = ["1"] * 80 + ["0"] * 20 + ["1"] * 50 + ["0"] * 50
    put(pa.table({"predicted_tone": ["light"] * 100 + ["dark"] * 100, "y": ["1"] * 200, "said": right}))
    counts = {"predicted_tone": ["light", "light", "dark"], "true": ["light", "dark", "dark"], "count": [9, 1, 10]}
    put(pa.table(counts), "sample.csv")
    asked: dict[str, Any] = {"table": "rows.csv", "columns": ("truth=y", "prediction=said"), "by": ("predicted_tone",)}
    light = row(audit(**asked, checked="sample.csv"), "true_groups", true_group="light", rate="top1")
    assert (light["by_predicted_group"], light["precision_of_group"], light["recall_of_group"]) == (0.8, 0.9, 1.0)
    assert (light["true_low"], light["true_high"]) == (pytest.approx(0.7 / 0.9), pytest.approx(0.8 / 0.9))
    put(pa.table({"predicted_tone": ["light"], "true": ["light"]}), "sample.csv")
    with pytest.raises(SpecError, match=r"sample\.csv has no row with predicted_tone=dark"):
        audit(**asked, checked="sample.csv")
    with pytest.raises(SpecError, match=r"checked: .*rows\.csv needs one column of --by and the column true"):
        audit(**asked, checked="rows.csv")


def test_declared_groups_are_spelt_and_empty_ones_count() -> None:
    Path("groups.yaml").write_text("sex: {female: [f], male: [m], other: []}\nanswer: {female: [woman], male: [man]}\n")
    table = pa.table({"sex": list("ffmmf"), "answer": ["woman", "man", "man", "man", "woman"]})
    asked: dict[str, Any] = {"by": ("sex",), "groups": "groups.yaml", "columns": ("truth=sex", "prediction=answer")}
    report = audit(table=put(table), **asked)
    assert group(report, sex="female")["top1"].value == pytest.approx(2 / 3)
    assert group(report, sex="other")["share"].value == 0
    assert report.metrics["share.entropy"].value == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)) / np.log(3))
    Path("groups.yaml").write_text("sexx: [f]\n")
    with pytest.raises(SpecError, match="groups: no column 'sexx'; did you mean sex"):
        audit(table="rows.csv", **asked)


def test_ages_that_a_spreadsheet_took_for_dates_are_refused_with_a_mapping() -> None:
    Path("groups.yaml").write_text("age: [0-2, 3-9, 10-19]\n")
    put(pa.table({"age": ["0-2", "9-Mar", "19-Oct", "9-Mar"]}))
    with pytest.raises(JobFailed, match=r"column age has the undeclared value '19-Oct'; did you mean 10-19\?") as error:
        audit(table="rows.csv", by=("age",), groups="groups.yaml")
    lines = error.value.details
    assert "undeclared too: '9-Mar'" in lines
    Path("groups.yaml").write_text("\n".join(lines[lines.index("age:") :]))
    assert group(audit(table="rows.csv", by=("age",), groups="groups.yaml"), age="3-9")["share"].value == 0.5


def test_many_values_are_refused_or_kept_to_the_most_frequent() -> None:
    put(pa.table({"album": [f"a{n}" for n in range(40)] + ["a1"] * 5 + ["a2"] * 3}))
    with pytest.raises(SpecError, match=r"column album has 40 values so far.*may have 20"):
        audit(table="rows.csv", by=("album",), max_groups=20)
    Path("many").mkdir()
    for part in range(4):
        put(pa.table({"album": [f"a{10 * part + n}" for n in range(10)]}), f"many/{part}.parquet")
    with pytest.raises(SpecError, match=r"column album has \d\d values so far.*may have 20"):
        audit(table="many", by=("album",), max_groups=20)
    report = audit(table="rows.csv", by=("album",), max_groups=20, top=2)
    shares = {r["group"]: r["count"] for r in report.tables["representation"].to_pylist()}
    assert shares == {"album=(other)": 38, "album=a1": 6, "album=a2": 4}


def test_groups_that_a_model_predicted_are_called_so() -> None:
    put(pa.table({"predicted_race": ["a", "b"] * 50}))
    report = audit(table="rows.csv", by=("predicted_race",))
    assert "groups of predicted_race were predicted by a model" in said(report)
    told = audit(table=put(rows(50)), by=("gender",), annotated_by="three crowd workers")
    assert "groups of gender are annotated by three crowd workers" in said(told)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "by: the columns of the groups are needed"),
        ({"by": ("gender",)}, "audit takes --table, or --corpus"),
        ({"by": ("gendr",), "table": "rows.csv"}, r"rows.csv has no column 'gendr'; did you mean gender\?"),
        ({"by": ("tone",), "table": "none.csv"}, "none.csv: no such table"),
        ({"by": ("tone",), "table": "rows.csv", "corpus": "x"}, "not both"),
        ({"by": ("tone",), "table": "rows.csv", "columns": ("truht=said",)}, "no role 'truht'; did you mean truth"),
        ({"by": ("tone",), "columns": ("truth=said",), "corpus": "x"}, "columns: roles are those of a --table"),
        ({"by": ("tone",), "table": "rows.csv", "metrics": ("top1",)}, "metrics: top1 cannot be made of this"),
        ({"by": ("tone",), "table": "rows.csv", "columns": ROLES, "metrics": ("tpr",)}, "tpr needs --positive"),
        ({"by": ("tone",), "table": "rows.csv", "columns": ROLES, "positive": "x"}, "positive: no class 'x' occurs"),
        ({"by": ("tone",), "table": "rows.csv", "cluster_by": "tone"}, "cluster_by: tone is a group in --by already"),
        ({"by": ("prediction",), "table": "rows.csv"}, "by: prediction is what the audit calls an outcome"),
        ({"by": ("tone",), "table": "rows.csv", "columns": ("score=gender",)}, "gender holds string and not"),
        ({"by": ("tone",), "table": "rows.csv", "where": "tone = 'x'"}, "there is no row to audit"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_line(fields: dict[str, Any], message: str) -> None:
    put(rows(100))
    with pytest.raises(SpecError, match=message):
        audit(**fields)


def test_a_dry_run_counts_rows_without_reading_them() -> None:
    put(rows(100), "rows.parquet")
    found = Audit(table="rows.parquet", by=("tone",), columns=ROLES).estimate(Plain())
    assert found == {"rows": "100 in 1 files", "columns": "tone, truth_, said"}


# Published audits.


def test_utkface_as_its_author_and_fairlearn_have_it() -> None:
    table = utkface().rename_columns(["race", "gender", "age", "y", "yhat"])
    asked: dict[str, Any] = {"columns": ("truth=y", "prediction=yhat"), "positive": "female"}
    report = audit(table=put(table), by=("race",), metrics=("top1", "selected"), **asked)
    wanted = {
        "top1": 0.920406, "top1.difference": 0.067339, "top1.ratio": 0.928256, "equalized_odds.difference": 0.110374,
        "selected.difference": 0.134502, "selected.ratio": 0.782423,
    }  # fmt: skip
    assert {name: round(report.metrics[name].value, 6) for name in wanted} == wanted
    assert "lowest for race=Asian, highest for race=Black" in said(report)


def test_lfw_by_image_and_by_person_with_the_images_that_have_two_labels() -> None:
    path = put(lfw_lists())
    report = audit(table=path, by=("gender",), cluster_by="image")
    assert round(100 * group(report, gender="male")["share"].value, 3) == 77.588
    assert [r["who"] for r in report.tables["conflicts"].to_pylist()] == [
        f"person_{n}_0001.jpg" for n in ("00846", "01322", "03054", "04653", "05506")
    ]
    assert "5 values of image are in several groups of gender: person_00846_0001.jpg" in said(report)
    people = row(audit(table=path, by=("gender",), cluster_by="person"), "shares_by_person", group="gender=male")
    assert (people["persons"], round(100 * people["share_of_persons"], 3)) == (4277, 74.344)


def test_published_shares_stand_beside_those_found() -> None:
    table = pa.table({"gender": ["male"] * 3 + ["female"], "predicted_race": ["white", "black"] * 2})
    report = audit(table=put(table), by=("gender", "predicted_race"), published="LFW")
    men, white = report.tables["published"].to_pylist()
    assert (men["published"], men["found"], men["found_in"], men["recomputable"]) == (0.775, 0.75, "gender", "yes")
    assert (white["published"], white["found"], white["found_in"], white["recomputable"]) == (
        0.835,
        0.5,
        "predicted_race",
        "no",
    )
    faces = audit(table="rows.csv", by=("gender",), published="ijb-a").tables["published"].to_pylist()
    assert [(one["published"], one["found"]) for one in faces] == [(0.796, None)]
    with pytest.raises(SpecError, match="published: nothing is known of 'celeba', only of lfw, ijb-a, adience"):
        audit(table="rows.csv", by=("gender",), published="celeba")


def test_whom_deepface_takes_for_the_other_gender() -> None:
    table = pacsv.read_csv(published("lfw/lfw_deepface_facer.csv"))
    table = table.rename_columns(["predicted_race" if n == "df_race" else n for n in table.column_names])
    Path("groups.yaml").write_text("df_gender: {male: [Man], female: [Woman]}\n")
    report = audit(
        table=put(table), columns=("truth=manual_gender", "prediction=df_gender"), groups="groups.yaml",
        by=("manual_gender", "predicted_race"), order=2, where="manual_gender IN ('male', 'female')",
    )  # fmt: skip
    errors = {r["group"]: (r["n"] - r["hits"], r["n"]) for r in report.tables["groups_tested"].to_pylist()}
    assert errors["manual_gender=female"] == (864, 2906)
    assert errors["manual_gender=male"] == (104, 10037)
    women = {
        name: errors[f"manual_gender=female, predicted_race={name}"]
        for name in ("black", "middle eastern", "asian", "white")
    }
    assert women == {"black": (137, 218), "middle eastern": (27, 54), "asian": (142, 368), "white": (460, 1939)}
    assert "groups of predicted_race were predicted by a model" in said(report)


@pytest.mark.parametrize("model", ["ResNet50", "ViT"])
def test_imagenet_x_has_every_published_accuracy(model: str) -> None:
    path = put(imagenet_x(model), "x.parquet")
    asked: dict[str, Any] = {"table": path, "columns": ("truth=label", "prediction=predicted_class"), "by": FACTORS}
    report = audit(**asked, where="is_prototype = 0")
    table = pacsv.read_csv(published("imagenet_x/published_accuracies_multi.csv")).to_pylist()
    wanted = next(row for row in table if row["model"] == model)
    assert report.metrics["top1"].n == 46_110
    assert report.metrics["top1"].value == pytest.approx(wanted["average"], abs=1e-15)
    for factor in FACTORS:
        assert group(report, **{factor: "1"})["top1"].value == pytest.approx(wanted[factor], abs=1e-15)
    whole = audit(**asked | {"by": ("pose",)})
    assert whole.metrics["top1"].n == 48_868
    assert "where" in report.tags and "where" not in whole.tags


def test_gender_shades_from_given_rates() -> None:
    path = str(published("gender_shades/error_by_skin_type.csv"))
    for classifier, points in (("MSFT", 25.0), ("Face++", 38.3), ("IBM", 41.7)):
        report = audit(
            table=path, columns=("rate=error_percent",), by=("fitzpatrick",), where=f"classifier = '{classifier}'"
        )
        assert report.metrics["rate.difference"].value == pytest.approx(points)
        assert "intervals and tests are not recomputable" in said(report)
    with pytest.raises(SpecError, match="two rows give a rate of fitzpatrick=I"):
        audit(table=path, columns=("rate=error_percent",), by=("fitzpatrick",))


def test_given_rates_have_a_gap_and_no_interval() -> None:
    put(pa.table({"tone": ["light", "dark"], "error": [0.0, 12.5]}))
    report = audit(table="rows.csv", columns=("rate=error",), by=("tone",))
    assert report.metrics["rate.difference"].value == 12.5
    assert np.isnan(report.metrics["rate.difference"].low)
    assert "highest for tone=dark (12.5); over a rate of 0 there is no ratio" in said(report)
    put(pa.table({"tone": ["light"], "error": ["low"]}))
    with pytest.raises(SpecError, match="error holds 'low', which is no rate"):
        audit(table="rows.csv", columns=("rate=error",), by=("tone",))


def test_fairface_copies_with_dates_for_ages_are_refused() -> None:
    Path("groups.yaml").write_text(
        "age: [0-2, 3-9, 10-19, 20-29, 30-39, 40-49, 50-59, 60-69, more than 70]\n"
    )  # fmt: skip
    path = str(published("fairface/fairface_label_val.csv"))
    with pytest.raises(JobFailed, match="undeclared value '19-Oct'; did you mean 10-19") as error:
        audit(table=path, by=("age",), groups="groups.yaml")
    lines = error.value.details
    assert "  3-9: [9-Mar]" in lines and "  10-19: [19-Oct]" in lines
    Path("groups.yaml").write_text("\n".join(lines[lines.index("age:") :]))
    report = audit(table=path, by=("race", "gender", "age"), groups="groups.yaml")
    assert report.metrics["share.entropy.race"].value == pytest.approx(0.993832, abs=1e-6)
    assert row(report, "associations", columns="race x gender")["chi_square"] == pytest.approx(124.323, abs=1e-3)


def test_a_corpus_declares_its_groups(tmp_path: Path) -> None:
    """Groups that ingest declared need no file: empty ones count."""
    folder = tmp_path / "declared"
    (folder / "all").mkdir(parents=True)
    pq.write_table(pa.table({"id": ["1", "2"], "tone": ["a", "b"]}), folder / "all/part-00000.parquet")
    data = (folder / "all/part-00000.parquet").read_bytes()
    shard = Shard("all/part-00000.parquet", 2, len(data), hashlib.sha256(data).hexdigest())
    corpus = Corpus("declared", 1, {"tone": "string"}, groups={"tone": ("a", "b", "c", "d")}, shards=(shard,))
    (folder / "corpus.json").write_text(corpus.to_json())
    report = audit(corpus=str(folder), by=("tone",))
    assert report.metrics["share.entropy"].value == pytest.approx(0.5)
