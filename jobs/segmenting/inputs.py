"""What a segmentation reads: opened, held against each other, and told from nonsense before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.segmenting import evidence
from jobs.segmenting.evidence import Evidence
from jobs.spec import SpecError
from jobs.volumes.opening import Opened, opened
from vision.connectomics.blocks import Box
from vision.corpora.volumes import Triple, Volume, check_same_place

PLACES = ("boundaries", "affinities", "fragments", "volume", "mask", "truth")


class Names(Protocol):
    """The fields that name volumes."""

    volume: str | None
    boundaries: str | None
    affinities: str | None
    offsets: str | None
    fragments: str | None
    mask: str | None
    truth: str | None
    scale: int


@dataclass(frozen=True)
class Inputs:
    """The volumes that were named, by field; all are of the same voxels."""

    found: Mapping[str, Opened]
    channels: tuple[int, ...]

    @classmethod
    def of(cls, job: Any) -> Inputs:
        """Open what a job names.

        Raises:
            SpecError: if one is missing, damaged, no such volume, or not of the voxels of the others.
        """
        if (job.boundaries is None) == (job.affinities is None):
            got = "both" if job.boundaries else "neither"
            raise SpecError(f"segment needs one of --boundaries and --affinities, got {got}")
        if job.offsets and job.affinities is None:
            raise SpecError("offsets: they belong to --affinities")
        found = {}
        for field in PLACES:
            text = getattr(job, field)
            if text is not None:
                labels = field in ("fragments", "truth")
                found[field] = opened(text, field, job.scale, labels=labels)
        channels = _checked(found, job.offsets)
        first, *others = found.items()
        for field, other in others:
            try:
                check_same_place(
                    first[1].volume, other.volume, (f"--{first[0]} {first[1].address}", f"--{field} {other.address}")
                )
            except ValueError as error:
                raise SpecError(f"{field}: {error}") from None
        return cls(found, channels)

    @property
    def shape(self) -> Triple:
        return next(iter(self.found.values())).volume.shape

    @property
    def volume(self) -> Volume:
        """The first that knows its voxel size, or the first."""
        volumes = [one.volume for one in self.found.values()]
        return next((volume for volume in volumes if volume.voxel_nm), volumes[0])

    @property
    def largest(self) -> Volume:
        """What is read first."""
        return next(iter(self.found.values())).volume

    def evidence(self, box: Box) -> Evidence:
        """Where boundaries are, and where to look."""
        at = {field: one.address for field, one in self.found.items()}
        return Evidence(
            at.get("boundaries"), at.get("affinities"), self.channels, at.get("volume"), at.get("mask"), box
        )

    def facts(self, *fields: str) -> dict[str, Any]:
        """What decides the voxels of fields, for fingerprints."""
        return {field: self.found[field].facts() for field in fields if field in self.found}


def _checked(found: Mapping[str, Opened], offsets: str | None) -> tuple[int, ...]:
    """The channels of nearest affinities; refuses inputs of other kinds."""
    for field, one in found.items():
        channels = one.volume.channels
        if field == "affinities":
            evidence.check(one, field)
            return evidence.nearest_channels(offsets, channels) if channels else _no_channels(one)
        if channels:
            raise SpecError(f"{field}: {one.address} has {channels} channels; (z, y, x) is expected")
        if field == "boundaries":
            evidence.check(one, field)
    return ()


def _no_channels(one: Opened) -> tuple[int, ...]:
    raise SpecError(f"affinities: {one.address} is (z, y, x); affinities have a channel for each offset in front")
