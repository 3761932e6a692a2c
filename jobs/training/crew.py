"""Workers that compute one step together, and what they tell the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Note:
    """Something for the driver.

    Attributes:
        kind: `metrics` (values at a step), `progress` (rows of the whole training, at so many a second), `broken`
            (ids with what is wrong), `log` (a sentence) or `failed` (why the training cannot go on).
    """

    kind: str
    step: int = 0
    text: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    details: tuple[str, ...] = ()


class Crew(Protocol):
    """A worker's view of all workers."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def device(self) -> str: ...

    def add_up(self, vector: torch.Tensor) -> None:
        """Replace a vector by its sum over all workers."""
        ...

    def gather(self, value: Any) -> list[Any]:
        """What every worker has, by rank."""
        ...

    def say(self, note: Note) -> None:
        """Tell the driver."""
        ...


@dataclass(frozen=True)
class Alone:
    """The only worker, in the driver's own process."""

    tell: Callable[[Note], None]
    device: str = "cpu"
    rank: int = 0
    size: int = 1

    def add_up(self, vector: torch.Tensor) -> None:
        """Nobody else has anything to add."""

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def say(self, note: Note) -> None:
        self.tell(note)
