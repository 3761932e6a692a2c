"""Pyramids of a volume as OME-NGFF describes them: which array is which scale, its voxel size and its offset.

Read are versions 0.4 (zarr v2) and 0.5 (zarr v3); written is 0.5. Axes in front of (z, y, x) must be of length one, but
for one of channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vision.corpora.volumes import NM_OF, Lengths

VERSION = "0.5"


@dataclass(frozen=True)
class Scale:
    """One array of a pyramid: its path in the group, and where its voxels lie, nanometres (z, y, x)."""

    path: str
    voxel_nm: Lengths | None
    offset_nm: Lengths


def scales(attributes: Mapping[str, Any]) -> tuple[Scale, ...]:
    """The arrays of a group's first pyramid, full resolution first; none if the group describes no pyramid.

    Raises:
        ValueError: if the description makes no sense.
    """
    holder = attributes.get("ome", attributes)
    pyramids = holder.get("multiscales") if isinstance(holder, Mapping) else None
    if not pyramids:
        return ()
    try:
        first = pyramids[0]
        axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in first.get("axes", [])]
        factors = _factors(axes)
        whole = first.get("coordinateTransformations", [])
        return tuple(_scale(data, whole, factors) for data in first["datasets"])
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"its multiscales make no sense: {type(error).__name__} {error}") from None


def written(
    name: str, voxel_nm: Lengths | None, offset_nm: Lengths, paths: Sequence[str] = ("0",), channels: int = 0
) -> dict[str, Any]:
    """Attributes of a group that holds a pyramid of (z, y, x) arrays, or (c, z, y, x), each half the one before.

    Where the voxel size is not known, scales are counted in voxels, without a unit.
    """
    size = voxel_nm or (1.0, 1.0, 1.0)
    unit = {"unit": "nanometer"} if voxel_nm else {}
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}] if channels else []
    axes += [{"name": axis, "type": "space", **unit} for axis in "zyx"]
    datasets = []
    for level, path in enumerate(paths):
        here = [length * 2**level for length in size]
        first = [o + (h - s) / 2 for o, h, s in zip(offset_nm, here, size, strict=True)]
        front = ([1.0], [0.0]) if channels else ([], [])
        moves = [
            {"type": "scale", "scale": [*front[0], *here]},
            {"type": "translation", "translation": [*front[1], *first]},
        ]
        datasets.append({"path": path, "coordinateTransformations": moves})
    return {"ome": {"version": VERSION, "multiscales": [{"name": name, "axes": axes, "datasets": datasets}]}}


def _factors(axes: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Nanometres of the unit of z, y and x; None where there is no unit."""
    space = list(axes)[-3:]
    if len(space) < 3 or [str(axis["name"]).lower() for axis in space] != ["z", "y", "x"]:
        names = ", ".join(str(axis["name"]) for axis in axes)
        raise ValueError(f"its axes are ({names}); the last three must be z, y, x")
    units = [NM_OF.get(str(axis.get("unit", "")).lower()) for axis in space]
    return [unit for unit in units if unit is not None] if None not in units else None


def _scale(data: Mapping[str, Any], whole: Sequence[Mapping[str, Any]], factors: list[float] | None) -> Scale:
    """A dataset, moved and stretched by its own transformations and then by those of the pyramid."""
    size, offset = [1.0] * 3, [0.0] * 3
    for move in [*data.get("coordinateTransformations", []), *whole]:
        if move["type"] == "scale":
            by = [float(v) for v in move["scale"]][-3:]
            size, offset = ([a * b for a, b in zip(v, by, strict=True)] for v in (size, offset))
        elif move["type"] == "translation":
            offset = [a + float(b) for a, b in zip(offset, list(move["translation"])[-3:], strict=True)]
    if factors is None:
        # Voxels without a unit: what is stretched is not known in nanometres.
        return Scale(str(data["path"]), None, (0.0, 0.0, 0.0))
    sz, sy, sx = (a * f for a, f in zip(size, factors, strict=True))
    oz, oy, ox = (a * f for a, f in zip(offset, factors, strict=True))
    return Scale(str(data["path"]), (sz, sy, sx), (oz, oy, ox))
