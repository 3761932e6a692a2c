"""The fields of every job that learns: what is learned of records, by the room of the task.

A room takes of these fields what its `objective` has arguments for; one that is given and has no use there is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from jobs import storage
from jobs.records import Reads
from jobs.spec import SpecError
from vision import names

if TYPE_CHECKING:
    from jobs.training.rows import Objective
    from vision.corpus import Corpus


class Learning(Reads):
    """What is learned."""

    room_takes: ClassVar[Mapping[str, str]] = {
        "label_smoothing": "smoothing", "cells": "cells", "smoothing_km": "smoothing_km", "position": "position",
    }  # fmt: skip
    """Fields, and what a room's `objective` calls them."""

    task: str = Field("classification", description="the room that says what is learned")
    label_smoothing: float = Field(0.0, ge=0, le=1, description="share of the target spread over all classes")
    cells: tuple[str, ...] = Field((), description="geolocation: files of `run partition`, one or several (A,B,C)")
    smoothing_km: float = Field(
        0.0, ge=0, description="geolocation: targets spread over cells as exp(-km/smoothing_km); 65 for photos, 0: not"
    )
    position: Literal["mean", "centre"] = Field(
        "mean", description="geolocation: where a photo is put: mean of the cell's photos, or its centre"
    )

    def objective(self, corpus: Corpus) -> Objective:
        """What the room says is to be learned of a corpus.

        Raises:
            SpecError: if the task cannot be learned, has no use for a field that is given, or the corpus lacks what
                is to be learned.
        """
        found: Objective = self.learned("corpus", corpus)
        return found

    def learned(self, kind: str, source: Any, **known: Any) -> Any:
        """What the room says is to be learned of what there is: a `corpus`, or a `volume`; see `objective`."""
        try:
            learn = getattr(names.room(self.task), "objective", None)
            if learn is None:
                raise SpecError(f"task: {self.task} cannot be trained")
            parameters = inspect.signature(learn).parameters
            wanted = next(iter(parameters))
            if wanted != kind:
                raise SpecError(f"{kind}: the task {self.task} learns from a {wanted}: give --{wanted}")
            found = learn(source, **self._asked(parameters), **known)
        except ValueError as error:
            raise error if isinstance(error, SpecError) else SpecError(str(error)) from None
        return found

    def deciding(self) -> dict[str, Any]:
        """What of these fields decides the result, besides `label_smoothing`: those that differ from the defaults."""
        facts: dict[str, Any] = {} if self.smoothing_km == 0 else {"smoothing_km": self.smoothing_km}
        if self.position != "mean":
            facts["position"] = self.position
        if self.cells:
            facts["cells_sha256"] = sorted(cells.digest for _, cells in self._partitions())
        return facts

    def _asked(self, known: Any) -> dict[str, Any]:
        asked: dict[str, Any] = {}
        for field, argument in self.room_takes.items():
            value = getattr(self, field)
            if value == type(self).model_fields[field].default:
                continue
            if argument not in known:
                raise SpecError(f"{field}: the task {self.task} has no use for it")
            asked[argument] = self._partitions() if field == "cells" else value
        return asked

    def _partitions(self) -> list[Any]:
        """Name and cells of each partition."""
        from jobs.partitioning import output

        urls = [storage.absolute(url) for url in self.cells]
        return [(PurePosixPath(url).name.removesuffix(".parquet"), output.read(url)) for url in urls]
