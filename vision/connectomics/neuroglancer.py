"""What neuroglancer shows, as the JSON it calls its state: image, segments, and places to look at; and a link to it.

Its axes are x, y, z; positions count voxels of the segmentation, and whole numbers are the corners of voxels. Two
formats say differently where a volume begins: precomputed names the corner of its first voxel, OME-NGFF the centre,
which neuroglancer turns into a corner half a voxel before. The image decides which of the two holds, and labels of the
other kind are moved by half a voxel, so that the layers lie on each other.

Ids are written as text: a browser's numbers end at 2^53.

Reference: Maitin-Shephard et al., neuroglancer (2016), the JSON schemas `ViewerState`, `Layer` and `CoordinateSpace`
of its documentation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from vision.corpora.volumes import Lengths, Triple

IMAGE, SEGMENTS, PLACES = "image", "segments", "proofreading"
"""Names of the layers."""

_METRE = 1e-9  # of a nanometre
_HALF = 0.5
_PIXELS = 500
"""Of a panel, about: a small volume fills it, of a large one a voxel is a pixel."""


class Source(NamedTuple):
    """A volume as neuroglancer reads it.

    `url` names format and place, such as `precomputed://https://host/labels`. `centred`: where the format says that
    the volume begins is the centre of the first voxel (OME-NGFF), and not its corner (precomputed).
    """

    url: str
    centred: bool


class Place(NamedTuple):
    """Something to look at: a voxel (z, y, x) of the volume, what it is, and the segments it is about."""

    voxel: Triple
    text: str
    segments: tuple[int, ...]


@dataclass(frozen=True)
class Scene:
    """What lies where.

    Attributes:
        shape: voxels of the labels, (z, y, x).
        voxel_nm: their size; None where it is not known: everything is then counted in voxels.
        offset_nm: where the first one lies.
        labels: the segmentation; image: what it was made from, if neuroglancer can read it.
    """

    shape: Triple
    voxel_nm: Lengths | None
    offset_nm: Lengths
    labels: Source
    image: Source | None = None

    def state(self, places: Sequence[Place] = ()) -> dict[str, Any]:
        """The state: layers, dimensions, and the position of the first place, or of the middle of the volume."""
        layers = [{"type": "image", "name": IMAGE, "source": self.image.url}] if self.image else []
        layers.append({"type": "segmentation", "name": SEGMENTS, "source": self._labels()})  # type: ignore[dict-item]
        if places:
            layers.append(self._annotations(places))
        middle, size = [n // 2 for n in self.shape], self._size
        extent = max(n * s for n, s in zip(self.shape, size, strict=True)) / min(size)
        return {
            "dimensions": self._dimensions("xyz"),
            "position": self._position(places[0].voxel if places else (middle[0], middle[1], middle[2])),
            "crossSectionScale": min(1.0, round(extent / _PIXELS, 3)),
            "projectionScale": extent,
            "layers": layers,
            "selectedLayer": {"layer": PLACES if places else SEGMENTS, "visible": True},
            "layout": "4panel",
        }

    @property
    def _size(self) -> Lengths:
        return self.voxel_nm or (1.0, 1.0, 1.0)

    @property
    def _frame_centred(self) -> bool:
        """Whether centres are where volumes begin, by the layer that decides."""
        return (self.image or self.labels).centred

    def _dimensions(self, axes: str) -> dict[str, list[Any]]:
        """Metres of a voxel by axis; without a unit where the size is not known."""
        size = dict(zip("zyx", self._size, strict=True))
        # Through text, so that 5 nm is 5e-09 and not 5.000000000000001e-09.
        return {axis: [float(f"{size[axis] * _METRE:.12g}"), "m"] if self.voxel_nm else [1, ""] for axis in axes}

    def _position(self, voxel: Triple) -> list[float]:
        """The middle of a voxel, x, y, z, in voxels of the frame."""
        first = [o / s for o, s in zip(self.offset_nm, self._size, strict=True)]
        middle = 0 if self._frame_centred else _HALF
        return [round(v + f + middle, 6) for v, f in zip(reversed(voxel), reversed(first), strict=True)]

    def _labels(self) -> str | dict[str, Any]:
        """The segmentation's source, moved where the frame is of the other kind."""
        if self.labels.centred == self._frame_centred:
            return self.labels.url
        axes, by = "zyx" if self.labels.centred else "xyz", _HALF if self.labels.centred else -_HALF
        matrix = [[float(row == column) for column in range(3)] + [by] for row in range(3)]
        return {"url": self.labels.url, "transform": {"outputDimensions": self._dimensions(axes), "matrix": matrix}}

    def _annotations(self, places: Sequence[Place]) -> dict[str, Any]:
        """Points that are kept in the state itself, linked to the segments they are about."""
        points = [
            {
                "type": "point",
                "id": str(number),
                "point": self._position(place.voxel),
                "description": place.text,
                "segments": [[str(id_) for id_ in dict.fromkeys(place.segments)]],
            }
            for number, place in enumerate(places, 1)
        ]
        return {
            "type": "annotation",
            "name": PLACES,
            "source": {"url": "local://annotations", "transform": {"outputDimensions": self._dimensions("xyz")}},
            "tab": "annotations",
            "annotationRelationships": [SEGMENTS],
            "linkedSegmentationLayer": {SEGMENTS: SEGMENTS},
            "annotations": points,
        }


def link(state: dict[str, Any], page: str) -> str:
    """The address of a neuroglancer `page` with a state in its fragment."""
    text = json.dumps(state, separators=(",", ":"), ensure_ascii=False)
    return opening(quote(text, safe=",:;@/$+!*()=~"), page)


def opening(what: str, page: str) -> str:
    """The address of a neuroglancer `page` that opens a state: itself, quoted, or where its file is served."""
    return f"{page.rstrip('#!')}#!{what}"
