"""Fragments of a block: a watershed from the middles of what the boundary map leaves open.

Mask what is no boundary, measure the distance to it, take the peaks of the distance as seeds, flood downhill, keep the
write box. The read box must reach as far as basins do (halo 16 to 32 voxels), and still a fragment near a face may
differ from the one that a bigger block would find: only labelling, edges, agglomeration and scores are promised to be
those of the whole. Cropping can cut a fragment in two, so what is kept is split into its connected components; after
that no fragment crosses a face, and the edges over faces join them.

Reference: Funke et al., "Large scale image segmentation with structured loss based deep learning for connectome
reconstruction", PAMI 2019; the seeds are those of the LSD code (maxima of the distance in a window of 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Slices
from vision.connectomics.installed import library
from vision.connectomics.labelling import Backend, components
from vision.connectomics.windows import highest

_LEVELS = 65_536
"""Heights that bioimage-cpp tells apart. Within one it floods in no order, so one seed may take a whole plateau of
certain boundary; slopes of four levels a voxel, away from what is open, part it in the middle (on real tissue VI falls
from 0.37 to 0.25 bits). scikit-image floods plateaus first in, first out, which does the same."""


@dataclass(frozen=True)
class Fragmenter:
    """How a boundary map becomes fragments.

    Args:
        threshold: a voxel is open where its boundary is below, 0..1.
        window: side, in voxels, of the box in which a seed is the farthest from a boundary.
        per_section: distances and floods within a section (z) only, for sections of 30 nm and more.
        fill: boundary voxels go to the fragment that reaches them first; otherwise they stay 0.
        most_boundary: fragments whose mean boundary is above are left out, 0..1; 1 keeps all.
        backend: the library that measures and floods; bioimage-cpp is five times as fast. They share out plateaus
            differently: one for a volume.

    Raises:
        ValueError: if a value is out of its range.
    """

    threshold: float = 0.5
    window: int = 10
    per_section: bool = False
    fill: bool = True
    most_boundary: float = 1.0
    backend: Backend = "skimage"

    def __post_init__(self) -> None:
        for name in ("threshold", "most_boundary"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {getattr(self, name)}")
        if self.window < 1:
            raise ValueError(f"window must be at least 1 voxel, got {self.window}")
        if self.backend not in ("skimage", "bioimage-cpp"):
            raise ValueError(f"backend must be skimage or bioimage-cpp, got {self.backend!r}")

    def of_block(self, boundary: Array, core: Slices | None = None, mask: Array | None = None) -> Array:
        """Fragments of a block's write box.

        Args:
            boundary: (Z, Y, X) uint8 of the read box, 255 = a certain boundary.
            core: where the write box lies in it (`Block.core`); all of it without.
            mask: (Z, Y, X) booleans, False where nothing is to be segmented.

        Returns:
            uint32 of the write box, 6-connected fragments 1, 2, ... by first voxel, 0 = none.
        """
        if boundary.ndim != 3 or boundary.dtype != np.uint8:
            raise ValueError(f"a boundary map must be uint8 (z, y, x), got {boundary.dtype} {boundary.shape}")
        inside = None if mask is None else mask.astype(bool)
        flooded = self._by_section(boundary, inside) if self.per_section else self._flood(boundary, inside)
        core = core or np.s_[:, :, :]
        return self._kept(components(flooded[core], self.backend), boundary[core])

    def _by_section(self, boundary: Array, inside: Array | None) -> Array:
        """Watersheds of all sections, each with names of its own; (Z, Y, X) uint32."""
        flooded, used = np.zeros(boundary.shape, np.uint32), 0
        for z in range(len(boundary)):
            found = self._flood(boundary[z : z + 1], None if inside is None else inside[z : z + 1])
            flooded[z : z + 1] = np.where(found > 0, found + np.uint32(used), 0)
            used += int(found.max(initial=0))
        return flooded

    def _flood(self, boundary: Array, inside: Array | None) -> Array:
        """Watershed of one piece; (Z, Y, X) uint32."""
        is_open = boundary < self.threshold * 255
        if inside is not None:
            is_open &= inside
        if not is_open.any():
            return np.zeros(boundary.shape, np.uint32)
        distance = self._distance(is_open)
        seeds = self._seeds(distance, is_open)
        height, where = self._height(distance, boundary, is_open), inside if self.fill else is_open
        if self.backend == "skimage":
            flooded = library("skimage.segmentation").watershed(height, seeds.astype(np.int32), mask=where)
        else:
            flooded = library("bioimage_cpp").segmentation.watershed(height, seeds, mask=where)
        found = np.asarray(flooded, np.uint32)
        return found if self.fill else self._with_rest(found, is_open)

    def _with_rest(self, flooded: Array, is_open: Array) -> Array:
        """With the components that have no seed, for a wider one lies in their window; filled up, others take them."""
        left = is_open & (flooded == 0)
        if not left.any():
            return flooded
        return np.asarray(np.where(left, components(left, self.backend) + flooded.max(), flooded))

    def _height(self, distance: Array, boundary: Array, is_open: Array) -> Array:
        """What is flooded, float32, in the place of the distance: low in the middle of what is open."""
        height: Array = np.subtract(distance.max(), distance, out=distance)
        # Closed voxels all have distance 0; among them the flood follows the boundary map.
        level = np.arange(256, dtype=np.float32) / 255
        for z in range(len(height)):  # a section at a time, in the cache
            height[z] += np.where(is_open[z], np.float32(0), level[boundary[z]])
        if self.backend == "bioimage-cpp" and self.fill and not is_open.all():
            slope = self._distance(~is_open)
            slope *= np.float32(float(height.max()) / _LEVELS * 4)
            height += slope
        return height

    def _distance(self, is_open: Array) -> Array:
        """Voxels from the nearest closed one, float32; the piece's ends are no boundary."""
        if is_open.all():  # no boundary anywhere: one plateau
            return np.ones(is_open.shape, np.float32)
        flat = is_open[0] if self.per_section else is_open
        if self.backend == "bioimage-cpp":
            distance = library("bioimage_cpp").distance.distance_transform(flat)
        else:
            from scipy.ndimage import distance_transform_edt

            distance = distance_transform_edt(flat)
        return np.asarray(distance, np.float32).reshape(is_open.shape)

    def _seeds(self, distance: Array, is_open: Array) -> Array:
        """Components, numbered from 1, of the voxels that are farthest in their window; uint32."""
        size = (1 if self.per_section else self.window, self.window, self.window)
        peaks = distance == highest(distance, size)
        peaks &= is_open
        return components(peaks, self.backend)

    def _kept(self, fragments: Array, boundary: Array) -> Array:
        """Without the fragments that are mostly boundary, numbered without holes."""
        if self.most_boundary >= 1:
            return fragments
        flat = fragments.reshape(-1)
        voxels = np.bincount(flat)
        sums = np.bincount(flat, boundary.reshape(-1))  # exact: integers below 2**53
        keep = sums <= self.most_boundary * 255 * voxels
        keep[0] = False
        return np.where(keep, np.cumsum(keep), 0).astype(np.uint32)[fragments]
