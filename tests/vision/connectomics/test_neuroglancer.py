"""Neuroglancer's state: the fields that its schemas document, and positions that lie where its own rules put voxels."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest

from vision.connectomics.neuroglancer import PLACES, SEGMENTS, Place, Scene, Source, link
from vision.corpora import ngff

SHAPE, SIZE, OFFSET = (40, 50, 60), (30.0, 5.0, 4.0), (60.0, 10.0, 40.0)
PRECOMPUTED, ZARR = Source("precomputed://https://h/p", False), Source("zarr://https://h/z", True)
LOOK = [Place((7, 20, 31), "1: join? 90 %", (2**60 + 1, 5)), Place((8, 2, 3), "2: cut?", (9, 9))]

SPACE = {
    "type": "object",
    "additionalProperties": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "minItems": 2},
}
TRANSFORM = {
    "type": "object",
    "required": ["outputDimensions"],
    "additionalProperties": False,
    "properties": {
        "outputDimensions": SPACE,
        "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 4}},
    },
}
POINT = {
    "type": "object",
    "required": ["type", "id", "point"],
    "properties": {
        "type": {"const": "point"},
        "id": {"type": "string"},
        "point": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        "description": {"type": "string"},
        "segments": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
    },
}
LAYER = {
    "type": "object",
    "required": ["type", "name", "source"],
    "properties": {
        "type": {"enum": ["image", "segmentation", "annotation"]},
        "name": {"type": "string"},
        "source": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"url": {"type": "string"}, "transform": TRANSFORM},
                },
            ]
        },
        "annotations": {"type": "array", "items": POINT},
        "annotationRelationships": {"type": "array", "items": {"type": "string"}},
        "linkedSegmentationLayer": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
STATE = {
    "type": "object",
    "required": ["dimensions", "position", "layers"],
    "additionalProperties": False,
    "properties": {
        "dimensions": SPACE,
        "position": {"type": "array", "items": {"type": "number"}},
        "crossSectionScale": {"type": "number", "exclusiveMinimum": 0},
        "projectionScale": {"type": "number", "exclusiveMinimum": 0},
        "layers": {"type": "array", "items": LAYER},
        "selectedLayer": {"type": "object"},
        "layout": {"enum": ["4panel", "xy", "xz", "yz", "3d", "xy-3d", "xz-3d", "yz-3d"]},
    },
}
"""The properties of ViewerState, CoordinateSpace, Layer and annotations that the documentation names."""


def layer(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in state["layers"] if one["name"] == name)


def corner(source: Source) -> list[float]:
    """Where neuroglancer puts the corner of a volume's first voxel, x, y, z in voxels, by what its files say."""
    if not source.centred:
        return [round(o / s) for o, s in zip(OFFSET[::-1], SIZE[::-1], strict=True)]  # voxel_offset
    moves = ngff.written("labels", SIZE, OFFSET)["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    scale, translation = moves[0]["scale"], moves[1]["translation"]
    return [(t - s / 2) / s for t, s in zip(translation[::-1], scale[::-1], strict=True)]


def moved(source: Any, axes: str) -> dict[str, float]:
    """How far a layer's transform moves it along each axis, in voxels."""
    if isinstance(source, str):
        return dict.fromkeys(axes, 0.0)
    rows, names = source["transform"]["matrix"], list(source["transform"]["outputDimensions"])
    assert [row[:3] for row in rows] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    return {name: row[3] for name, row in zip(names, rows, strict=True)}


@pytest.mark.parametrize("labels", [PRECOMPUTED, ZARR])
@pytest.mark.parametrize("image", [None, PRECOMPUTED, ZARR])
def test_voxels_lie_where_neuroglancer_puts_them(labels: Source, image: Source | None) -> None:
    state = Scene(SHAPE, SIZE, OFFSET, labels, image).state(LOOK)
    jsonschema.validate(state, STATE)
    assert state["dimensions"] == {"x": [4e-9, "m"], "y": [5e-9, "m"], "z": [3e-8, "m"]}
    shift = moved(layer(state, SEGMENTS)["source"], "xyz")
    first = [at + shift[axis] for at, axis in zip(corner(labels), "xyz", strict=True)]
    if image:
        assert first == corner(image), "the layers lie on each other"
    points = layer(state, PLACES)["annotations"]
    for place, point in zip(LOOK, points, strict=True):
        assert point["point"] == pytest.approx([f + v + 0.5 for f, v in zip(first, place.voxel[::-1], strict=True)])
    assert state["position"] == points[0]["point"]
    assert points[0]["segments"] == [[str(2**60 + 1), "5"]] and points[1]["segments"] == [["9"]]


def test_layers_are_named_and_linked() -> None:
    state = Scene(SHAPE, SIZE, OFFSET, PRECOMPUTED, ZARR).state(LOOK)
    assert [(one["type"], one["name"]) for one in state["layers"]] == [
        ("image", "image"), ("segmentation", "segments"), ("annotation", "proofreading"),
    ]  # fmt: skip
    places = layer(state, PLACES)
    assert places["source"]["url"] == "local://annotations"
    assert places["linkedSegmentationLayer"] == dict.fromkeys(places["annotationRelationships"], SEGMENTS)
    plain = Scene(SHAPE, SIZE, OFFSET, PRECOMPUTED).state()
    assert [one["type"] for one in plain["layers"]] == ["segmentation"] and plain["selectedLayer"]["layer"] == SEGMENTS
    assert plain["position"] == [30 + 10 + 0.5, 25 + 2 + 0.5, 20 + 2 + 0.5], "the middle"


def test_voxels_without_a_size_are_counted() -> None:
    state = Scene(SHAPE, None, (0, 0, 0), ZARR).state()
    jsonschema.validate(state, STATE)
    assert state["dimensions"] == {"x": [1, ""], "y": [1, ""], "z": [1, ""]} and state["projectionScale"] == 60


def test_a_link_holds_the_state() -> None:
    state = Scene(SHAPE, SIZE, OFFSET, PRECOMPUTED, ZARR).state(LOOK)
    for page in ("https://ng.example/v", "https://ng.example/v/", "https://ng.example/v/index.html#!"):
        found = link(state, page)
        assert found.startswith(f"{page.removesuffix('#!')}#!%7B") and " " not in found and '"' not in found
        assert json.loads(unquote(urlsplit(found).fragment).removeprefix("!")) == state
