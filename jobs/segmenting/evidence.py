"""What says where boundaries are: a boundary map or affinities, read by the box as bytes; and where to look at all.

Bytes hold 255 for a certain boundary. Floats are read as probabilities 0..1 and rounded; of affinities (channels first,
1 = one neuron) the watershed sees 1 minus the mean over nearest neighbours, and each edge its own faces. Channels are
read and rounded one after another, and those of far neighbours never: a worker holds one channel of floats, not all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.spec import JobFailed, SpecError
from jobs.volumes.opening import Opened, at
from vision.accumulator import Array
from vision.connectomics.affinities import Nearest, mean_boundary
from vision.connectomics.blocks import Block, Box
from vision.connectomics.targets import NEAREST, parse_offsets
from vision.corpora.volumes import Address


@dataclass(frozen=True)
class Evidence:
    """Where boundaries are, by address; `open` it where it is read.

    Attributes:
        boundaries, affinities: one of them.
        nearest: which channels of the affinities are between nearest neighbours.
        in_section: make boundaries of affinities within sections only.
        image: voxels that are all 0 in a block make it blank; None: not asked.
        mask: where it is 0, nothing is segmented; None: everywhere.
        box: nothing outside is segmented.
    """

    boundaries: Address | None
    affinities: Address | None
    nearest: Nearest | None
    in_section: bool
    image: Address | None
    mask: Address | None
    box: Box

    def open(self) -> Reader:
        return Reader(self)


class Reader:
    """Reads evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._boundaries = _open(evidence.boundaries, "boundaries")
        self._affinities = _open(evidence.affinities, "affinities")
        self._image, self._mask = _open(evidence.image, "volume"), _open(evidence.mask, "mask")

    def boundary(self, box: Box) -> Array:
        """(Z, Y, X) uint8, 255 for a certain boundary.

        Raises:
            JobFailed: if a value is no probability.
        """
        if self._boundaries is not None:
            return as_bytes(self._boundaries.read(box), self._boundaries.address)
        assert self._evidence.nearest is not None
        used = self._evidence.nearest.channels[1 if self._evidence.in_section else 0 :]
        return mean_boundary(self._channels(box, used), len(used))

    def affinities(self, box: Box) -> Array:
        """(3, Z, Y, X) uint8 between nearest neighbours along z, y and x, 255 for certainly one neuron."""
        assert self._evidence.nearest is not None
        found = np.empty((3, *box.shape), np.uint8)
        for into, channel in zip(found, self._channels(box, self._evidence.nearest.channels), strict=True):
            into[:] = channel
        return found

    def _channels(self, box: Box, wanted: Sequence[int]) -> Iterator[Array]:
        """(Z, Y, X) uint8 each."""
        assert self._affinities is not None
        return (as_bytes(values, self._affinities.address) for values in self._affinities.channels(box, wanted))

    def inside(self, box: Box) -> Array | None:
        """(Z, Y, X) booleans: where to segment; None for everywhere in the box."""
        met = box.meet(self._evidence.box)
        if self._mask is None:
            if met == box:
                return None
            wanted = np.ones(met.shape, bool)
        else:
            wanted = np.asarray(self._mask.read(met) != 0) if met.voxels else np.zeros(met.shape, bool)
        found = np.zeros(box.shape, bool)
        if met.voxels:
            found[met.within(box.begin)] = wanted
        return found

    def is_blank(self, block: Block) -> bool:
        """Whether the image shows nothing in what a block writes."""
        return self._image is not None and not self._image.read(block.write).any()


def as_bytes(values: Array, where: object) -> Array:
    """Probabilities as bytes; bytes as they are.

    Raises:
        JobFailed: if floats are outside 0..1.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    least, most = float(values.min()), float(values.max())
    if not (least >= 0 and most <= 1):
        raise JobFailed(f"{where} holds {least:g} to {most:g}; probabilities are 0..1, or bytes 0..255")
    found = np.empty(values.shape, np.uint8)
    for part, into in zip(values, found, strict=True):  # a section at a time: floats are large
        into[:] = np.rint(part * np.float32(255))
    return found


def check(opened: Opened, field: str) -> None:
    """Refuse what cannot be probabilities, by its type.

    Raises:
        SpecError: naming the field.
    """
    if opened.volume.dtype not in ("uint8", "bool", "float16", "float32", "float64"):
        raise SpecError(
            f"{field}: {opened.address} holds {opened.volume.dtype}; probabilities are floats 0..1 or uint8"
        )


def nearest_of(text: str | None, channels: int) -> Nearest:
    """The channels between nearest neighbours, from offsets as `-1,0,0;0,-1,0;...`, one a channel.

    Raises:
        SpecError: if offsets are not three whole numbers each, not one a channel, or an axis has no nearest one.
    """
    try:
        offsets = parse_offsets(text) if text else NEAREST
        if len(offsets) != channels:
            raise SpecError(f"offsets: {len(offsets)} are given, and the affinities have {channels} channels")
        return Nearest.of(offsets)
    except ValueError as error:
        raise error if isinstance(error, SpecError) else SpecError(f"offsets: {error}") from None


def _open(address: Address | None, field: str) -> Opened | None:
    return None if address is None else at(address, field)
