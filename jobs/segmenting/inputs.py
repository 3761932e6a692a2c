"""What a segmentation reads: opened, held against each other, and told from nonsense before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.segmenting import evidence
from jobs.segmenting.evidence import Evidence
from jobs.spec import SpecError
from jobs.volumes.opening import Opened, opened
from vision.connectomics.affinities import Nearest
from vision.connectomics.blocks import Box
from vision.corpora.volumes import Triple, Volume, check_same_place

PLACES = ("boundaries", "affinities", "components", "fragments", "volume", "mask", "truth")
EVIDENCE = PLACES[:3]


@dataclass(frozen=True)
class Inputs:
    """The volumes that were named, by field; all are of the same voxels."""

    found: Mapping[str, Opened]
    nearest: Nearest | None
    in_section: bool

    @classmethod
    def of(cls, job: Any) -> Inputs:
        """Open what a job names.

        Raises:
            SpecError: if one is missing, damaged, no such volume, or not of the voxels of the others.
        """
        given = [name for name in EVIDENCE if getattr(job, name) is not None]
        if len(given) != 1:
            raise SpecError(f"segment takes one of --{', --'.join(EVIDENCE)}, got {' and '.join(given) or 'none'}")
        if job.components and job.fragments:
            raise SpecError("fragments: components are their own fragments")
        if job.offsets and job.affinities is None:
            raise SpecError("offsets: they belong to --affinities")
        found = {}
        for field in PLACES:
            text = getattr(job, field)
            if text is not None:
                labels = field in ("components", "fragments", "truth")
                found[field] = opened(text, field, job.scale, labels=labels)
        nearest = _checked(found, job.offsets)
        first, *others = found.items()
        for field, other in others:
            try:
                check_same_place(
                    first[1].volume, other.volume, (f"--{first[0]} {first[1].address}", f"--{field} {other.address}")
                )
            except ValueError as error:
                raise SpecError(f"{field}: {error}") from None
        return cls(found, nearest, job.per_section)

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
        places = at.get("boundaries"), at.get("affinities")
        return Evidence(*places, self.nearest, self.in_section, at.get("volume"), at.get("mask"), box)

    def memory(self, voxels: int) -> int:
        """Bytes that reading a box of so many voxels takes: one channel as it is stored, and what readers keep."""
        volumes = [one.volume for one in self.found.values()]
        each = max(v.together * np.dtype(v.dtype).itemsize for v in volumes)
        return each * voxels + sum(v.kept for v in volumes)

    def facts(self, *fields: str) -> dict[str, Any]:
        """What decides the voxels of fields, for fingerprints."""
        return {field: self.found[field].facts() for field in fields if field in self.found}


def _told(one: Opened, asked: str | None) -> str | None:
    """The offsets asked for, or those that the file says its channels have.

    Raises:
        SpecError: if they are not the same.
    """
    own = (one.volume.attributes or {}).get("own") or {}
    if not own.get("offsets"):
        return asked
    held = ";".join(",".join(map(str, offset)) for offset in own["offsets"])
    if asked and asked.replace(" ", "").strip(";") != held:
        raise SpecError(f"offsets: {one.address} says that its channels have {held}, and {asked} are asked for")
    return held


def _checked(found: Mapping[str, Opened], offsets: str | None) -> Nearest | None:
    """The nearest channels of affinities; refuses inputs of other kinds."""
    nearest = None
    for field, one in found.items():
        channels = one.volume.channels
        if field == "affinities":
            if not channels:
                raise SpecError(f"affinities: {one.address} is (z, y, x); affinities have a channel an offset in front")
            nearest = evidence.nearest_of(_told(one, offsets), channels)
        elif channels:
            raise SpecError(f"{field}: {one.address} has {channels} channels; (z, y, x) is expected")
        if field in ("affinities", "boundaries"):
            evidence.check(one, field)
    return nearest
