"""Entries read from YAML: what they say, and what is refused with which words."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from cluster.schedule.entries import Entry
from cluster.schedule.reading import parse, read
from jobs.evaluate import Evaluate
from jobs.spec import SpecError
from tests.cluster.test_cli import safelight

JOB = {"corpus": "data/faces", "model": "models/new"}


def entry(**words: object) -> dict[str, object]:
    return {"name": "faces", "at": "30 2 * * *", "evaluate": JOB, **words}


def test_defaults_lie_under_every_entry_that_they_fit(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(
        "defaults:\n"
        "  zone: Europe/Berlin\n"
        "  against: models:/faces@champion\n"
        "  gates: [{metric: top1, margin: 0.01, by: [sex], min_group: 50}]\n"
        "  evaluate: {workers: 1, kernel: torch}\n"
        "entries:\n"
        "  - {name: audit, after: faces, evaluate: {predictions: data/p}, on: here}\n"
        "  - name: faces\n"
        '    at: "30 2 * * *"\n'
        "    finish_by: 16:30\n"
        "    models: [models/a, models/b]\n"
        "    evaluate: {corpus: data/faces, kernel: openvino, on: id}\n"
        "  - {name: fresh, at: 0 1 * * 1-5, zone: UTC, job: ingest,"
        " fields: {source: raw, layout: imagefolder, corpus: data/faces}}\n"
    )
    faces, fresh, audit = sorted(read(path), key=lambda one: ("faces", "fresh", "audit").index(one.name))
    assert faces.zone == "Europe/Berlin"
    assert faces.finish_by == time(16, 30)
    assert (faces.gates[0].margin, faces.gates[0].by, faces.gates[0].min_group) == (0.01, ("sex",), 50)
    task = faces.task
    assert isinstance(task, Evaluate)
    assert (task.workers, task.kernel, task.on, task.model) == (1, "openvino", "id", ("models/a", "models/b"))
    assert fresh.gates == ()
    assert fresh.against is None
    assert fresh.zone == "UTC"
    assert audit.zone == "Europe/Berlin", "a chained entry lives by the clock of the one it waits for"
    assert audit.on == "here"


def test_defaults_of_gates_lie_under_audits_that_can_have_them() -> None:
    gates, audit = [{"metric": "top1.difference", "by": ["sex"]}], {"table": "faces.csv", "by": ["sex"]}
    judged = {"against": "latest", "gates": gates, "promote": "champion"}
    plain: dict[str, object] = {"name": "who", "at": "30 2 * * *", "audit": audit}
    (found,) = parse({"defaults": judged, "entries": [plain]})
    assert (found.against, found.gates[0].by, found.promote) == ("latest", ("sex",), None)
    (own,) = parse({"defaults": judged, "entries": [{**plain, "gates": [{"metric": "top1.ratio"}]}]})
    assert (own.against, own.gates[0].metric) == ("latest", "top1.ratio")
    for changed in ({"against": "models:/faces@champion"}, {"gates": [{"kind": "drift"}]}):
        who, faces = parse({"defaults": {**judged, **changed}, "entries": [plain, entry()]})
        assert (who.against, who.gates) == (None, ()), "what an audit cannot have is no default of it"
        assert faces.gates and faces.promote == "champion"
    (both,) = parse({"defaults": {**judged, "against": "models:/m@c"}, "entries": [{**plain, "against": "latest"}]})
    assert (both.against, both.gates[0].metric) == ("latest", "top1.difference")


def test_a_plain_list_will_do_and_chains_come_in_order() -> None:
    found = parse([entry(name="c", at=None, after="b"), entry(name="b", at=None, after="a"), entry(name="a")])
    assert [one.name for one in found] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ({"gate": []}, "entry faces: no word 'gate'; did you mean gates?"),
        ({"evalaute": {}}, "no word 'evalaute'; did you mean evaluate?"),
        ({"predict": {}}, "takes one job, such as `evaluate: {corpus: ..., model: ...}`, got evaluate and predict"),
        ({"evaluate": {"corpsu": "x"}}, "evaluate has no field 'corpsu'; did you mean corpus?"),
        ({"at": "30 2 * *"}, "at takes cron's five fields"),
        ({"at": "61 2 * * *"}, "at is no cron time: bad minute"),
        ({"at": "*/30 2 * * *"}, "at fires more than once a date"),
        ({"at": None}, "needs one of at and after"),
        ({"zone": "Europe/Berln"}, "no zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ({"after": "faces"}, "needs one of at and after"),
        ({"against": "x", "gates": [{"metrik": "top1"}]}, "gates.0: no word 'metrik'; did you mean metric?"),
        ({"against": "x", "gates": [{"margin": -1}]}, "gates.0.margin"),
        ({"against": "x"}, "gates and against go together"),
        ({"gates": [{}]}, "gates and against go together"),
        ({"promote": "champion"}, "promote needs gates"),
        ({"models": ["a"]}, "models stands in for the job's field model"),
        ({"overlap": "kill"}, "overlap"),
        ({"finish_by": "25:00"}, "finish_by is HH:MM"),
        ({"name": "a@b"}, "name takes letters"),
        ({"notify": "rm -rf"}, "notify is a webhook's http(s) URL, or a command as a list"),
    ],
)
def test_wrong_words_are_one_line_with_the_nearest_name(words: dict[str, object], line: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse([entry(**words)])
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("entry ")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ([entry(), entry()], "two entries are called faces"),
        ([entry(), entry(name="b", at=None, after="fases")], "after: no entry 'fases'; did you mean faces?"),
        (
            [entry(name="a", at=None, after="b"), entry(name="b", at=None, after="a")],
            "entry a: after leads round in a circle (a, b)",
        ),
        ({"entires": [entry()]}, "a map with `entries`"),
        ({"entries": [entry()], "default": {}}, "no word 'default'; did you mean defaults?"),
        ({"entries": [entry()], "defaults": {"zon": "UTC"}}, "defaults: no word 'zon'; did you mean zone?"),
        ({"entries": [entry()], "defaults": {"name": "x"}}, "defaults: no word 'name'"),
        ([], "expected a list of entries"),
        (["faces"], "entry 1: expected a map of words, got 'faces'"),
        (
            [
                {
                    "name": "i",
                    "at": "0 1 * * *",
                    "ingest": {"source": "a", "layout": "coco", "corpus": "b"},
                    "models": ["x"],
                }
            ],
            "does not go",
        ),
    ],
)
def test_files_that_make_no_sense_are_refused(value: object, line: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse(value)
    assert line in str(refused.value)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text("- {name: a, at: 0 1 * * *, at: 0 2 * * *, evaluate: {table: x}}\n")
    with pytest.raises(SpecError, match=r"nightly.yaml is not YAML: 'at' is given twice"):
        read(path)


def test_the_command_names_file_and_entry_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "nightly.yaml").write_text("- {name: faces, at: 30 2 * * *, evaluate: {corpsu: x}}\n")
    done = safelight("schedule", "list")
    assert done.returncode == 2
    expected = "safelight: nightly.yaml: entry faces: evaluate has no field 'corpsu'; did you mean corpus?\n"
    assert done.stderr == expected
    assert safelight("schedule", "list", "--file", "gone.yaml").stderr == (
        "safelight: gone.yaml: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("at", "until"),
    [
        # The night of 28 March is an hour shorter, that of 24 October an hour longer.
        (datetime(2026, 3, 28, 22, 0, tzinfo=UTC), datetime(2026, 3, 29, 4, 0, tzinfo=UTC)),
        (datetime(2026, 10, 24, 21, 0, tzinfo=UTC), datetime(2026, 10, 25, 5, 0, tzinfo=UTC)),
    ],
)
def test_a_deadline_is_the_next_such_hour_on_the_wall(at: datetime, until: datetime) -> None:
    (found,) = parse([entry(at="0 23 * * *", zone="Europe/Berlin", finish_by="06:00")])
    assert isinstance(found, Entry)
    assert found.deadline(at) == until
