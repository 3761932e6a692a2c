"""Maps in the page and as files: what is drawn where, and what is too small to be drawn alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from jobs import maps, page
from jobs.evaluate import Evaluate
from jobs.partition import Partition
from jobs.spec import Report, SpecError
from tests.placed import cells_of, everywhere, places_of, write_cells
from vision.geolocation.answers import NEEDS
from vision.geolocation.drawn import Lines, counted, probable
from vision.geolocation.globe import Globe

ROLES = ("id=id", "latitude=a", "longitude=b", "predicted_latitude=c", "predicted_longitude=d")


def answers(count: int = 300) -> str:
    """A table of photos, every third of them placed on the other side of the globe."""
    lines = ["id,a,b,c,d"]
    for number, (latitude, longitude) in enumerate(everywhere(count, 2)):
        said = (-latitude, longitude) if number % 3 == 0 else (latitude, longitude)
        lines.append(f"{number}.jpg,{latitude:.5f},{longitude:.5f},{said[0]:.5f},{said[1]:.5f}")
    Path("answers.csv").write_text("\n".join(lines) + "\n")
    return "answers.csv"


def test_every_cell_is_drawn_once_where_cells_can_be_seen() -> None:
    cells = cells_of(everywhere(2000, 1), 60)
    svg, note = maps.picture(counted(cells))
    assert svg.count('<path class="dot"') == len(cells) and "drawn together" not in note
    strengths = [float(x) for x in re.findall(r'<path class="dot"[^>]*? fill-opacity="([\d.]+)"', svg)]
    assert strengths == sorted(strengths) and strengths[-1] == 1.0
    points = np.array([[float(x) for x in pair.split()] for pair in re.findall(r"[ML]([\d.]+ [\d.]+)", svg)])
    assert points[:, 0].min() >= 34 and points[:, 0].max() <= 34 + 360 * 2.55 + 0.1


def test_cells_too_small_to_be_seen_are_drawn_together() -> None:
    cells = cells_of(places_of(3000, spread=0.01), 4)
    svg, note = maps.picture(counted(cells))
    assert len(cells) > 500 and 6 <= svg.count('<path class="dot"') < 30 and "drawn together" in note
    says = [int(text.replace(",", "")) for text in re.findall(r"<title>\w+: ([\d,]+)</title>", svg)]
    assert sum(says) == cells.counts.sum()


def test_lines_go_from_truth_to_answer_the_bad_ones_below() -> None:
    places = np.array([[10.0, 170.0, 10.0, -170.0], [0.0, 0.0, 0.0, 1.0]])
    batch = {"id": np.array(["a", "b"], object), **dict(zip(NEEDS, places.T, strict=True))}
    svg, _ = maps.picture(Lines().update(batch).tables()["map_lines"])
    drawn = re.findall(r'<path class="line" style="([^"]*)"', svg)
    assert len(drawn) == 3 and ["stroke:#d55e00" in style for style in drawn] == [True, True, False]
    assert svg.count("<circle") == 4


def test_a_photo_s_map_names_its_places() -> None:
    globe = Globe.of([("fine", cells_of(everywhere(500, 1), 60))])
    flat = np.log(np.full(len(globe.tokens), 1 / len(globe.tokens)))
    svg, _ = maps.picture(probable(globe, flat, {"taken here": (1.0, 2.0), "answered": (3.0, 4.0)}))
    assert "taken here" in svg and "answered" in svg and svg.count("#d55e00") == 4


def test_an_evaluation_has_maps_and_writes_them(tmp_path: Path) -> None:
    cells = write_cells(tmp_path / "fine.parquet", cells_of(everywhere(300, 2), 20))
    job = Evaluate(table=answers(), columns=ROLES, task="geolocation", cells=(cells,), geojson=str(tmp_path / "out"))
    report = job.run()
    assert {"map_fine", "map_lines"} <= set(report.tables)
    assert sum(report.tables["map_fine"]["placed"].to_pylist()) == pytest.approx(300 * 2 / 3, abs=15)
    for name in ("map_fine", "map_lines"):
        found = json.loads((tmp_path / "out" / f"{name}.geojson").read_text())
        assert len(found["features"]) == report.tables[name].num_rows
    html = page.render(Report(tables=report.tables), "t", {})
    assert "Map lines" in html and html.count('aria-label="From where a photo was taken') == 1


def test_a_partition_s_page_has_its_cells() -> None:
    report = Partition(table=answers(), columns=ROLES[1:3], t_max=20, t_min=1, output="cells.parquet").run()
    assert sum(report.tables["map_cells"]["count"].to_pylist()) == 300
    assert "Photos in each cell." in page.render(report, "t", {})


def test_other_tasks_have_no_map() -> None:
    Path("a.csv").write_text("y,p\n1,1\n")
    with pytest.raises(SpecError, match="geojson: answers for the task classification are not drawn on a map"):
        Evaluate(table="a.csv", columns=("truth=y", "prediction=p"), geojson="out").run()
