"""A function of one's own applied to every block of a volume, with the same resume and faults as all stages.

The function gets the voxels of the read box, and the block if it takes a second argument; it returns the voxels of the
read box, which are cropped, or of the write box. It runs once a block and must be pure: a block that is lost is done
again. On a cluster the folder of `--code` must be at the same place on every node.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from jobs import arguments, storage
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from jobs.stages import cost, course
from jobs.stages.asking import Blocks, triple
from jobs.stages.stage import Made, Stage
from jobs.volumes.opening import Opened, at, opened
from jobs.volumes.writing import Target
from vision import names
from vision.accumulator import Array
from vision.connectomics.blocks import Block, Box
from vision.corpora.volumes import Address


class Blockwise(Blocks):
    """Apply a function to every block of a volume."""

    volume: str = Field(description="volume to read: FILE.npz#key, zarr, N5, HDF5, TIFF or a folder of sections")
    function: str = Field(description="module:name of f(voxels) or f(voxels, block), which returns voxels")
    output: str = Field(description="folder or URL of the zarr volume that comes out")
    code: str | None = Field(None, description="folder of Python modules that the function may be in")
    arguments: str | None = Field(None, description="JSON object: more arguments of the function, by name")
    halo: tuple[int, ...] = Field(
        (0,), min_length=1, description="voxels round a block that are read too: Z,Y,X, or one for all"
    )
    dtype: str | None = Field(None, description="of the voxels that come out, such as uint8; default: the volume's")
    skip_blank: bool = Field(True, description="blocks whose voxels are all 0 are not worked on and stay 0")

    def run(self, context: Context | None = None) -> Report:
        """Apply.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if the function fails on a block, or a block cannot be read.
        """
        context, output = context or Plain(), storage.absolute(self.output)
        stage, source = self._stage(output)
        with storage.claim(output):
            done = course.carry_out(output, stage, self, context)
        context.log(f"{done.made:,} of {done.blocks:,} blocks were done now")
        tags = {"volume": str(source.address), "fingerprint": stage.fingerprint}
        notes = (f"{done.counts.get('blank', 0):,} of {done.blocks:,} blocks are blank and were skipped",)
        return Report(output=storage.join(output, "volume"), tags=tags, notes=notes if self.skip_blank else ())

    def estimate(self, context: Context) -> Mapping[str, str]:
        output = storage.absolute(self.output)
        stage, source = self._stage(output)
        return {"output": output, **cost.of_stages([(stage, cost.probe(stage))], source.volume, self.workers)}

    def _stage(self, output: str) -> tuple[Stage, Opened]:
        source = opened(self.volume, "volume", self.scale)
        region = self.region(source.volume.shape, triple(self.halo, "halo"))
        applied = Applied(source.address, self.function, self.code, self.arguments, region.box, self.skip_blank)
        call = applied.function()
        try:
            dtype = np.dtype(self.dtype or source.volume.dtype).name
        except TypeError:
            raise SpecError(f"dtype: {self.dtype!r} is no type of numbers") from None
        facts = {
            "input": source.facts(), "function": self.function, "arguments": self.arguments, "dtype": dtype,
            "source": _source(call, self.code), "skip_blank": self.skip_blank,
        }  # fmt: skip
        target = Target(
            storage.join(output, "volume"), region.grid, dtype, source.volume.voxel_nm, source.volume.offset_nm
        )
        read, write = np.prod([s + 2 * h for s, h in zip(region.grid.size, region.grid.halo, strict=True)]), 1
        write = region.grid.voxels_per_block
        size = max(source.volume.channels, 1) * np.dtype(source.volume.dtype).itemsize
        memory = int(2 * read * size + 3 * write * np.dtype(dtype).itemsize)
        return Stage("blockwise", facts, applied.make, region, target, memory=memory), source


@dataclass(frozen=True)
class Applied:
    """A function on its way to workers, by name."""

    volume: Address
    name: str
    code: str | None
    arguments: str | None
    box: Box
    skip_blank: bool

    def function(self) -> Callable[..., Any]:
        """The function, called with a block's voxels and the block.

        Raises:
            SpecError: if there is none of that name, or it does not take such arguments.
        """
        try:
            if self.code:
                names.trust(self.code)
            found = names.find(self.name)
        except ValueError as error:
            raise SpecError(f"function: {error}") from None
        more = arguments.parse(self.arguments) if self.arguments else {}
        try:
            signature = inspect.signature(found)
        except (TypeError, ValueError):
            raise SpecError(f"function: {self.name} is no function that can be called with voxels") from None
        for positional in ((None, None), (None,)):
            try:
                signature.bind(*positional, **more)
            except TypeError:
                continue
            return lambda voxels, block: found(*(voxels, block)[: len(positional)], **more)
        raise SpecError(
            f"function: {self.name}{signature} cannot be called with voxels and {sorted(more) or 'nothing'}"
        )

    def make(self) -> Applier:
        """What works, where it lives."""
        return Applier(self, at(self.volume, "volume"), self.function())


class Applier:
    """Applies the function to blocks."""

    def __init__(self, applied: Applied, volume: Opened, function: Callable[..., Any]) -> None:
        self._applied, self._volume, self._function = applied, volume, function

    def block(self, block: Block) -> Made:
        voxels = self._volume.read(block.read)
        inside = block.write.meet(self._applied.box)
        if self._applied.skip_blank and not voxels[(..., *inside.within(block.read.begin))].any():
            return Made(counts={"blank": 1})
        found = np.asarray(self._function(voxels, block))
        if found.shape == block.read.shape:
            found = found[block.core]
        if found.shape != block.write.shape:
            raise JobFailed(
                f"the function must return the read box {block.read.shape} or the write box {block.write.shape}, got "
                f"{found.shape}"
            )
        return Made(only(found, block.write, inside))


def only(values: Array, write: Box, inside: Box) -> Array:
    """Values of a write box, 0 where a voxel is not in the box `inside`."""
    if inside == write:
        return values
    kept = np.zeros_like(values)
    place = inside.within(write.begin)
    kept[place] = values[place]
    return kept


def _source(function: Callable[..., Any], code: str | None) -> str:
    """What changes when the function's code does."""
    from importlib.metadata import version

    return names.source_digest(code) if code else f"safelight {version('safelight')}"
