"""The table of cells: there and back, its digest, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.geo import clustered_places
from vision.geolocation import s2, stored
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.geolocation.s2_geometry import centre_degrees
from vision.geolocation.stored import Cells
from vision.sphere import positions


@pytest.fixture(scope="module")
def cells() -> Cells:
    leaves = Leaves.of(s2.ids(*clustered_places(5000)))
    found = partition(leaves, Rule(t_max=300, t_min=20))
    return Cells(found.cells, found.counts, means(sums(leaves, found.cells), found.counts), about={"t_max": 300})


def through_parquet(table: pa.Table) -> pa.Table:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return pq.read_table(io.BytesIO(buffer.getvalue()))


def test_there_and_back(cells: Cells) -> None:
    back = stored.from_table(through_parquet(cells.table()))
    for name in ("ids", "counts", "means"):
        assert getattr(back, name).tobytes() == getattr(cells, name).tobytes()
    assert back.ids.dtype == np.uint64
    assert back.about["t_max"] == 300
    assert back.digest == cells.digest
    numbered = Cells(cells.ids, cells.counts, cells.means, np.arange(len(cells), dtype=np.int32)[::-1])
    assert np.array_equal(stored.from_table(through_parquet(numbered.table())).labels, numbered.labels)
    assert numbered.digest != cells.digest


def test_what_stands_in_the_columns(cells: Cells) -> None:
    table = cells.table()
    assert table.schema.field("id").type == pa.uint64()
    assert table["token"].to_pylist() == s2.tokens(cells.ids).tolist()
    assert table["label"].to_pylist() == list(range(len(cells)))
    assert table["level"].to_pylist() == s2.level(cells.ids).tolist()
    places = [np.array(table[name]) for name in ("latitude", "longitude", "mean_latitude", "mean_longitude")]
    assert np.array_equal(places[:2], centre_degrees(cells.ids))
    assert np.array_equal(places[2:], positions(cells.means))
    assert s2.contains(cells.ids, s2.ids(*places[:2])).all()


def test_no_cells_are_a_table_too() -> None:
    empty = Cells(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3)))
    assert len(stored.from_table(through_parquet(empty.table()))) == 0
    assert empty.locate(s2.ids(np.ones(2), np.ones(2))).tolist() == [-1, -1]


def test_what_is_refused(cells: Cells) -> None:
    table = cells.table()
    with pytest.raises(ValueError, match="no file of cells"):
        stored.from_table(table.replace_schema_metadata({}))
    with pytest.raises(ValueError, match="has a column mean_z"):
        stored.from_table(table.drop_columns(["mean_z"]))
    with pytest.raises(ValueError, match="sha256 differs"):
        stored.from_table(table.set_column(4, "count", pa.array(cells.counts + 1)))
    with pytest.raises(ValueError, match="ascending order"):
        stored.from_table(table.take(pa.array(np.arange(len(cells))[::-1])))
    with pytest.raises(ValueError, match="ascending order"):
        stored.from_table(table.set_column(0, "id", pa.array(cells.ids.view(np.int64))))
    inside = np.sort(np.concatenate([cells.ids, s2.first(cells.ids[:1])]))
    double = Cells(inside, np.append(cells.counts, 1), np.concatenate([cells.means, cells.means[:1]]))
    with pytest.raises(ValueError, match="overlap"):
        stored.from_table(double.table())
    newer = table.replace_schema_metadata({b"safelight": b'{"format": 99}'})
    with pytest.raises(ValueError, match="format 99 cannot be read"):
        stored.from_table(newer)
