"""A job is a frozen value: its fields are its YAML, its flags and the parameters MLflow records.

`run` turns a job into a `Report`, within a `Context` that knows where models live and where numbers go. Fields stay
flat, and unknown ones are refused with the nearest name.
"""

from __future__ import annotations

import abc
import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import pydantic
import yaml

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.forgetting.ids import Ids
    from vision.accumulator import Estimate
    from vision.model import Model

_log = logging.getLogger(__name__)


class SpecError(ValueError):
    """Wrong words: a field that does not exist or a value that does not fit. One line; the command exits with 2."""


class JobFailed(RuntimeError):
    """The work could not be done. One line, and details to list below it; the command exits with 1."""

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


@dataclass(frozen=True)
class Progress:
    """How far a job is, as of its last committed shard.

    Attributes:
        unit: what it commits, where that is not shards.
        things: what it counts, where that is not images.
    """

    shards: int
    of_shards: int
    images: int
    of_images: int
    errors: int
    images_per_s: float
    workers: int = 1
    unit: str = "shard"
    things: str = "images"


@dataclass(frozen=True)
class Example:
    """An image worth looking at, with why: `jpeg` is a thumbnail of at most 160 pixels a side."""

    id: str
    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class Report:
    """What a job returns. `metrics` and `groups` hold nothing that changes from run to run.

    Attributes:
        metrics: estimates by stable name.
        groups: ({column: value}, estimates) for each group asked for.
        output: where the work lies.
        errors: rows that could not be answered.
        tables: small Arrow tables by name, kept as Parquet artifacts.
        tags: digests and other facts to find the run by.
        examples: images for the report page.
        files: texts by file name, kept as artifacts beside the report; they hold nothing that changes from run to run.
        notes: sentences the reader must know.
    """

    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    groups: tuple[tuple[Mapping[str, str], Mapping[str, Estimate]], ...] = ()
    output: str | None = None
    errors: int = 0
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Touched:
    """A place that records were taken out of: where, what of them was there, and how many."""

    place: str
    what: str
    rows: int


class Context(Protocol):
    """What a job may ask of the world round it. `cluster.tracking` answers with MLflow, tests with `Plain`."""

    def model(self, reference: str) -> Model:
        """The model that a reference names: a folder, a dotted name, `models:/...` or `runs:/...`."""
        ...

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Record a number that develops while the job runs."""
        ...

    def register(self, folder: str, name: str) -> str:
        """Put a model folder into the registry under `NAME[@ALIAS]`; returns its reference."""
        ...

    def derived(self, corpus: str) -> Sequence[str]:
        """Predictions folders that earlier runs recorded for a corpus; some may be gone."""
        ...

    def forget(self, corpus: str, outputs: Sequence[str], ids: Ids) -> Sequence[Touched]:
        """Take ids out of all that is recorded about a corpus and its predictions; what was touched."""
        ...

    def log(self, message: str) -> None:
        """Say something to whoever watches."""
        ...

    def progress(self, progress: Progress) -> None:
        """Say how far the job is."""
        ...


class Plain:
    """A context without servers: folders and dotted names only, words to the log."""

    def model(self, reference: str) -> Model:
        from vision.model import load

        return load(reference)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        _log.debug("%s[%d] = %s", name, step, value)

    def register(self, folder: str, name: str) -> str:
        raise JobFailed(f"cannot register {name}: there is no registry outside `safelight run`")

    def derived(self, corpus: str) -> Sequence[str]:
        return ()

    def forget(self, corpus: str, outputs: Sequence[str], ids: Ids) -> Sequence[Touched]:
        return ()

    def log(self, message: str) -> None:
        _log.info("%s", message)

    def progress(self, progress: Progress) -> None:
        _log.info(
            "%s %d/%d, %d %s, %.1f %s/s",
            progress.unit, progress.shards, progress.of_shards, progress.images, progress.things,
            progress.images_per_s, progress.things,
        )  # fmt: skip


class Job(pydantic.BaseModel, abc.ABC):
    """A frozen record of flat fields; subclasses add fields with a `description` and a `run`."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), populate_by_name=True)

    tracked: ClassVar[bool] = True
    """Whether `safelight run` opens an MLflow run for it."""

    figures: ClassVar[bool] = False
    """Whether nights may judge its metrics as they are, where there are no answers to compare image by image."""

    specs: ClassVar[str | None] = None
    """The folder of the package with specs of this job, which may be called by their names."""

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _split_lists(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """A list may be given as `a,b`: the same in YAML, flags and Python."""
        wanted = cls.model_fields[info.field_name or ""].annotation
        if getattr(wanted, "__origin__", None) is not tuple:
            return value
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return (value,) if isinstance(value, int | float) else value

    @abc.abstractmethod
    def run(self, context: Context | None = None) -> Report:
        """Do the work; `context` is `Plain` without one."""

    def parts(self) -> tuple[Self, ...]:
        """The runs that this job is: itself, or one for each model where it takes several in one pass."""
        return (self,)

    @classmethod
    def run_all(cls, parts: Sequence[Self], contexts: Sequence[Context]) -> list[Report | Exception]:
        """Run the parts of one job, each in its own context; a part that fails leaves its error in its place."""
        return [part.run(context) for part, context in zip(parts, contexts, strict=True)]

    def estimate(self, context: Context) -> Mapping[str, str]:
        """What the job would cost, for `--dry-run`: facts by name. None by default."""
        return {}

    def to_yaml(self) -> str:
        """The job as YAML: only what differs from the defaults."""
        values = self.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        return str(yaml.safe_dump(values, sort_keys=False))

    @classmethod
    def words(cls) -> dict[str, pydantic.fields.FieldInfo]:
        """The fields by the names that flags and YAML have for them."""
        return {info.alias or name: info for name, info in cls.model_fields.items()}

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Any:
        """A job from plain values.

        Raises:
            SpecError: naming the field, what was expected and the nearest name.
        """
        try:
            return cls(**fields)
        except pydantic.ValidationError as error:
            raise SpecError(_one_line(cls, error)) from None


def nearest(name: str, known: list[str]) -> str:
    """`; did you mean X?` for the known name that looks most like `name`, or nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _one_line(cls: type[Job], error: pydantic.ValidationError) -> str:
    # A misspelt field is also a missing one: the spelling is what helps.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    where = str(first["loc"][0]) if first["loc"] else cls.__name__.lower()
    if first["type"] == "extra_forbidden":
        return f"{cls.__name__.lower()} has no field {where!r}{nearest(where, list(cls.words()))}"
    missing = [str(e["loc"][0]) for e in error.errors() if e["type"] == "missing"]
    if missing:
        needed = [name for name in cls.words() if name in missing]
        told = f": {cls.words()[needed[0]].description}" if len(needed) == 1 else ""
        return f"{cls.__name__.lower()} needs {' and '.join(needed)}{told}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}, got {first['input']!r}" if first["loc"] else message
