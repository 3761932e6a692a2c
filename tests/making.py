"""Small images, corpora and models made on the spot."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from jobs import storage
from vision.corpus import Corpus, Shard
from vision.model import Model, save
from vision.preprocessing import Preprocessing

CLASSES = ("disc", "square", "stripes")

Row = tuple[str, bytes, int | None]
CorpusMaker = Callable[..., str]


def picture(label: int, seed: int, side: int = 40) -> bytes:
    """A JPEG of a disc, a square or stripes on noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 80, (side, side, 3))
    y, x = np.mgrid[:side, :side] - rng.integers(side // 3, 2 * side // 3, (2, 1, 1))
    shapes = (x**2 + y**2 < (side // 4) ** 2, (abs(x) < side // 4) & (abs(y) < side // 4), x % 8 < 4)
    pixels[shapes[label]] += rng.integers(100, 176, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def rows_of(count: int, start: int = 0) -> list[Row]:
    """Good records: (id, image, label)."""
    return [(f"{n:05d}.jpg", picture(n % 3, n), n % 3) for n in range(start, start + count)]


def write_corpus(folder: Path, rows: Sequence[Row], shard_rows: int = 10, split: str = "test") -> str:
    """A corpus written by hand, in shards of `shard_rows`; the column `sex` alternates f, m."""
    return corpus_of(folder, {split: cut(table_of(rows), shard_rows)}, 4, classes=CLASSES)


def train_and_val(folder: Path, count: int) -> str:
    """Shapes in two splits: `count` records to learn from in shards of 20, and 30 to validate on."""
    parts = {"train": cut(table_of(rows_of(count)), 20), "val": cut(table_of(rows_of(30, start=500)), 10)}
    return corpus_of(folder, parts, 4, classes=CLASSES)


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Records with a column `sex` that alternates f, m."""
    return pa.table(
        {
            "id": pa.array([id_ for id_, _, _ in rows], pa.string()),
            "image": pa.array([data for _, data, _ in rows], pa.binary()),
            "label": pa.array([label for _, _, label in rows], pa.int32()),
            "sex": pa.array(["fm"[n % 2] for n in range(len(rows))], pa.string()),
        }
    )


def cut(table: pa.Table, rows: int) -> list[pa.Table]:
    """A table in shards of so many rows."""
    return [table.slice(start, rows) for start in range(0, len(table), rows)]


def corpus_of(folder: Path, splits: Mapping[str, Sequence[pa.Table]], group_rows: int, **facts: Any) -> str:
    """A corpus of tables as they are, each a shard of its split; `facts` are further ones of its manifest."""
    shards = [
        write_shard(folder, f"{split}/part-{number:05d}.parquet", table, group_rows)
        for split, parts in splits.items()
        for number, table in enumerate(parts)
    ]
    fields = [field for parts in splits.values() for table in parts[:1] for field in table.schema]
    columns = {field.name: str(field.type) for field in fields if field.name not in ("id", "image")}
    corpus = Corpus(**{"name": folder.name, "version": 1, "columns": columns, "shards": tuple(shards), **facts})
    (folder / "corpus.json").write_text(corpus.to_json())
    return str(folder)


def write_shard(folder: Path, file: str, table: pa.Table, group_rows: int, version: int = 1) -> Shard:
    """A shard, and what a manifest of that version says of it."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / file, row_group_size=group_rows)
    data = (folder / file).read_bytes()
    return Shard(file, len(table), len(data), hashlib.sha256(data).hexdigest(), added=version)


def train_small(folder: Path, epochs: int = 12) -> str:
    """A LeNet-5 with three classes, trained for a moment on discs, squares and stripes."""
    import torch

    from vision.nets.lenet import lenet5
    from vision.training import fit

    torch.set_num_threads(1)
    look = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    rows = rows_of(90, start=10_000)
    inputs = torch.from_numpy(look.normalise(np.stack([look.load(data) for _, data, _ in rows])))
    torch.manual_seed(0)
    net = lenet5(classes=3, channels=3)
    list(fit(net, inputs, torch.tensor([label for _, _, label in rows]), epochs=epochs, seed=0, batch=30))
    save(Model("nets.lenet:lenet5", look, "", {"classes": 3, "channels": 3}, CLASSES), folder, net=net)
    return str(folder)


def tree(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder but hidden ones, with its bytes."""
    root = Path(folder)
    files = (p for p in root.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def copy_up(folder: str | Path, url: str) -> str:
    """The files below a folder at a URL; returns the URL."""
    for name, data in tree(folder).items():
        storage.write(storage.join(url, name), data)
    return url
