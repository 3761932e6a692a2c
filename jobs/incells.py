"""Search inside the cells that a net names: what of its predictions is needed, beside the photos to be placed.

The cells are known by their tokens, so the net's model is not asked for. References pass by shard after shard; for each
photo and each of its best cells one distance, place and key are held, 32 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.answers import Answers, recorded
from jobs.reading import prediction_shard
from jobs.spec import SpecError
from vision.accumulator import Array

_NEEDED = ("latitude", "longitude", "top_cells", "top_scores")
References = Iterable[tuple[Array, Array, Array]]
"""By shard: keys (N,), places (N, 2) degrees and features (N, D)."""


@dataclass(frozen=True, eq=False)
class Named:
    """What a net says of some photos.

    Attributes:
        cells: (C,) uint64, all that it names, disjoint and ascending.
        wanted: (Q, k) int64 places in `cells` of each photo's best cells, best first; -1 for none.
        log_probabilities: (Q, k) of these.
        places: (Q, 2) degrees of its own answers, nan for none.
    """

    cells: Array
    wanted: Array
    log_probabilities: Array
    places: Array

    def search(
        self, queries: Array, references: References, temperature: float, limit_km: float
    ) -> tuple[Array, Array, int]:
        """Photos found in those cells.

        Returns:
            (Q, 2) degrees where each photo was taken; (Q,) how far in features the nearest reference in its cells is,
            nan where there is none; how many references there were.
        """
        from vision.geolocation import s2
        from vision.geolocation.cells import locate
        from vision.geolocation.reranking import Best

        best, count = Best.none(*self.wanted.shape), 0
        for keys, places, vectors in references:
            leaves = s2.ids(np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1]))
            best = best.add(queries, self.wanted, vectors, locate(self.cells, leaves), places, keys)
            count += len(keys)
        nearest = best.distances.min(axis=1)
        answers = best.answers(self.log_probabilities, self.places, temperature, limit_km)
        return answers, np.where(np.isfinite(nearest), nearest, np.nan), count


def named(source: Answers, tables: Sequence[tuple[str, pa.Table]]) -> Named:
    """What a net's predictions say of the answered photos of some shards.

    Args:
        tables: (file, id and `answered` of its photos).

    Raises:
        SpecError: if the predictions hold no best cells, or cells of several partitions.
    """
    from vision.geolocation import s2
    from vision.geolocation.cells import check_disjoint

    rows = pa.concat_tables([_said(source, file, table) for file, table in tables])
    tokens, scores = (_square(rows[name].to_pylist(), fill) for name, fill in (("top_cells", ""), ("top_scores", 0.0)))
    try:
        ids = s2.from_tokens([token for token in tokens.ravel() if token])
        cells = np.unique(ids)
        check_disjoint(cells)
    except ValueError as error:
        raise SpecError(f"answers: {source.output}: {error}") from None
    wanted = np.full(tokens.shape, -1, np.int64)
    wanted[tokens != ""] = np.searchsorted(cells, ids)
    with np.errstate(divide="ignore"):
        logs = np.log(scores.astype(np.float64))
    places = np.stack([rows[name].to_numpy() for name in _NEEDED[:2]], axis=1).astype(np.float64)
    return Named(cells, wanted, logs, places)


def of(folder: str, subset: Mapping[str, Any], test: Answers) -> Answers:
    """The net's predictions in a folder.

    Raises:
        SpecError: if they are of other photos.
    """
    source = recorded(subset, folder)
    for name in ("corpus", "split"):
        if source.tags[name] != test.tags[name]:
            raise SpecError(f"answers: of {name} {source.tags[name]}, and the photos are of {test.tags[name]}")
    return source


def _said(source: Answers, file: str, photos: pa.Table) -> pa.Table:
    """The net's answers to a shard's photos that have an embedding, in their order; null where it has none."""
    answers = prediction_shard(source.output, file)
    missing = [name for name in _NEEDED if name not in answers.column_names]
    if missing:
        raise SpecError(f"answers: {source.output} has no column {missing[0]}: a net of cells gives them")
    ids = photos["id"].filter(photos["answered"])
    return answers.select(_NEEDED).take(pc.index_in(ids, value_set=answers["id"].combine_chunks()))


def _square(lists: list[list[Any] | None], fill: Any) -> Array:
    """(Q, k) of lists of up to k values."""
    width = max((len(one) for one in lists if one), default=1)
    return np.array([[*(one or ()), *[fill] * (width - len(one or ()))] for one in lists])
