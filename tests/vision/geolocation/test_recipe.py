"""The recipe of the room's README, carried out as it stands, on photos that the test makes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.placed import everywhere, photo
from tests.recipes import guess, run
from vision.model import Model, save
from vision.preprocessing import Preprocessing

README = (Path(__file__).parents[3] / "vision" / "geolocation" / "README.md").read_text()
COMMANDS = [
    shlex.split(line)[2:]
    for block in re.findall(r"```\n(safelight .*?)```", README, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def photos(count: int) -> None:
    """Files with a table that places them, three of four to learn from."""
    lines = ["file,lat,lon,split"]
    for number, place in enumerate(everywhere(count, 5)):
        Path(f"{number}.png").write_bytes(photo(place, number))
        lines.append(f"{number}.png,{place[0]:.6f},{place[1]:.6f},{'test' if number % 4 == 0 else 'train'}")
    Path("photos.csv").write_text("\n".join(lines) + "\n")


def body() -> None:
    import torch

    from vision.nets.chain import chain

    look = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    torch.manual_seed(0)
    save(Model("nets.chain:chain", look, "", {"depth": 1, "classes": 4}), Path("body"), net=chain(1, 4))


def test_there_are_commands() -> None:
    assert [words[0] for words in COMMANDS] == [
        "ingest", "partition", "partition", "predict", "predict", "heads", "predict", "evaluate", "im2gps", "evaluate",
        "explain", "explain",
    ]  # fmt: skip


@pytest.mark.slow
def test_planet_on_a_laptop() -> None:
    pytest.importorskip("faiss")
    photos(3000)
    body()
    reports = [run(words) for words in COMMANDS]
    learnt, scored, neighbours, played, explained, one = (reports[n] for n in (5, 7, 8, 9, 10, 11))
    blind, seen = guess().metrics["within_750_km"], scored.metrics["within_750_km"]
    assert seen.n == blind.n == 750 and seen.value > 3 * blind.value and seen.low > blind.high
    assert learnt.metrics["within_750_km"] == seen
    ceiling = next(table for name, table in scored.tables.items() if name == "ceiling_fine")
    most = {row["metric"]: row["value"] for row in ceiling.to_pylist()}["within_750_km"]
    assert seen.value > most / 3
    assert neighbours.metrics["within_750_km"].low > blind.high
    assert any("duel" in name or "rounds" in name for name in [*played.metrics, *played.tables])
    assert explained.metrics["mapped"].n == 100 and explained.tables["mean_map"].num_rows == 6 * 6
    assert [example.id for example in one.examples] == ["0.png"]
    maps = {path.stem: json.loads(path.read_text())["features"] for path in Path("maps").iterdir()}
    assert set(maps) == {"map_coarse", "map_fine", "map_lines", "map_probability"} and all(maps.values())
