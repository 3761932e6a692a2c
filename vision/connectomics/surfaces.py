"""Surfaces of segments as triangles, block by block, so that what blocks make lies together without a crack.

Marching cubes looks at eight voxels at a time. Each of those cubes belongs to the block of its first voxel, so a block
reads one voxel more of its upper neighbours, and all blocks together make exactly the triangles that the whole volume
would: corners of triangles lie in the middle between two voxels, at numbers that both blocks compute alike. Where the
volume ends, a layer of nothing closes the surface. Doubled coordinates are integers, so equal corners are found by
equality, and never by a distance.

About 6 to 8 triangles for each voxel of a smooth surface come in a block, two for each corner.

References: Lorensen & Cline, "Marching cubes", SIGGRAPH 1987; Lewiner, Lopes, Vieira & Tavares, "Efficient
implementation of marching cubes' cases with topological guarantees", Journal of Graphics Tools 2003.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Zyx
from vision.connectomics.installed import library
from vision.corpora.volumes import Lengths

Ends = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
"""For z, y and x whether nothing lies below the first voxel, and whether nothing lies beyond the last."""


class Mesh(NamedTuple):
    """A surface.

    `corners` are (V, 3) int64, z, y, x: twice the place in voxels, of which whole numbers are the middles of voxels.
    `triangles` are (T, 3) int64 rows of corners, counter-clockwise seen from outside (in x, y, z).
    """

    corners: Array
    triangles: Array

    def to_bytes(self, voxel_nm: Lengths, offset_nm: Lengths) -> bytes:
        """A fragment file of neuroglancer's legacy single-resolution format, in nm.

        How many corners (uint32), their x, y, z (float32), and three rows of corners for each triangle (uint32), all
        little-endian.
        """
        places = nanometres(self.corners / 2, voxel_nm, offset_nm)[:, ::-1]
        head = np.array([len(places)], "<u4").tobytes()
        return head + places.astype("<f4").tobytes() + self.triangles.astype("<u4").tobytes()


def nanometres(voxels: Array, voxel_nm: Lengths, offset_nm: Lengths) -> Array:
    """Places (N, 3) in voxels, whole numbers being middles of voxels, in nm: the first voxel begins at the offset."""
    return np.asarray((voxels + 0.5) * np.array(voxel_nm) + np.array(offset_nm))


def surfaces(labels: Array, origin: Zyx, ends: Ends) -> Iterator[tuple[int, Mesh]]:
    """The surface of each segment of a block, by rising id; those without one (all of a block) are left out.

    Args:
        labels: (Z, Y, X) unsigned, 0 = none: what a block writes, and one voxel more of each upper neighbour.
        origin: the first voxel's place in the volume.
        ends: where the volume ends at the block's sides.
    """
    from scipy.ndimage import find_objects

    padded = np.pad(labels, [(int(low), int(high)) for low, high in ends])
    first = np.array(origin) - [int(low) for low, _ in ends]
    ids, dense = np.unique(padded, return_inverse=True)
    dense = dense.reshape(padded.shape).astype(np.int32) + np.int32(ids[0] != 0)
    for id_, box in zip(ids[ids != 0].tolist(), find_objects(dense), strict=True):
        around = tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(box, padded.shape, strict=True))
        found = _surface(padded[around] == id_)
        if found is not None:
            yield id_, Mesh(found.corners + 2 * (first + [s.start for s in around]), found.triangles)


def joined(parts: Sequence[Mesh]) -> Mesh:
    """Surfaces together, equal corners made one; corners in the order of z, y, x, triangles in that of the parts."""
    starts = np.cumsum([0, *(len(part.corners) for part in parts)])
    rows = np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=False)])
    corners, place = np.unique(np.concatenate([part.corners for part in parts]), axis=0, return_inverse=True)
    return Mesh(corners, place.reshape(-1)[rows].reshape(-1, 3))


def _surface(inside: Array) -> Mesh | None:
    """The surface of a mask; None where all of it is inside."""
    if inside.all():
        return None
    found = library("bioimage_cpp").mesh.marching_cubes(inside.astype(np.float32), 0.5, allow_degenerate=False)
    return Mesh(np.rint(found[0] * 2).astype(np.int64), np.asarray(found[1], np.int64))
