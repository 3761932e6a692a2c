"""Answers made durable: one Parquet file for each input shard, whole, with the fingerprint of all that decided it.

The fingerprint travels in the file's own footer, so a file and its claim cannot come apart: after a crash the folder
itself says what is done. `predictions.json` says what the whole is, is written when the work begins (`complete:
false`) and again at its end, and holds nothing that changes from run to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import SpecError

FORMAT = 1
MANIFEST = "predictions.json"
_FOOTER = "safelight"
_READERS = 16
"""Footers read at once: on S3 each is a request of some 30 ms."""


Classes = Sequence[str] | None
"""Names of the labels that answers hold, where the model has them."""


@dataclass(frozen=True)
class Receipt:
    """What a committed shard says of itself."""

    file: str
    fingerprint: str
    input_sha256: str
    rows: int = 0
    errors: int = 0


def digest(facts: Mapping[str, Any]) -> str:
    """sha256 of plain values, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def fingerprint(identity: Mapping[str, Any], input_sha256: str, rows: int | None = None) -> str:
    """The mark of a shard's answers: all that decides them.

    Args:
        identity: what decides the answers of every shard. Where the corpus lies and which version it is are left
            out: they do not change a shard's answers, its bytes do.
        rows: how many of its rows a limit leaves; None for all.
    """
    deciding = {name: value for name, value in identity.items() if name not in ("corpus", "corpus_version", "split")}
    return digest({**deciding, "input": input_sha256, "rows": rows})


class ShardWriter:
    """The answers to a shard, written table by table: a file that appears whole when it is committed."""

    def __init__(self, url: str) -> None:
        self._upload: AbstractContextManager[IO[bytes]] | None = storage.upload(url)
        self._stream = self._upload.__enter__()
        self._writer: pq.ParquetWriter | None = None
        self._rows = self._errors = 0

    def add(self, table: pa.Table) -> None:
        """Append answers, all of one schema with an `error` column."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, table.schema, compression="zstd")
        self._writer.write_table(table)
        self._rows += len(table)
        self._errors += len(table) - table["error"].null_count

    def commit(self, receipt: Receipt) -> Receipt:
        """Finish the file, with a receipt in its footer; at least one table was added."""
        assert self._writer is not None
        receipt = replace(receipt, rows=self._rows, errors=self._errors)
        self._writer.add_key_value_metadata({_FOOTER: json.dumps(asdict(receipt), sort_keys=True)})
        self._writer.close()
        upload, self._upload = self._upload, None
        assert upload is not None
        upload.__exit__(None, None, None)
        return receipt

    def discard(self) -> None:
        """Leave nothing behind, unless it is committed."""
        if self._upload is not None:
            if self._writer is not None:
                # Or it would write its end when it is collected, to a file that is closed by then.
                with suppress(OSError, pa.ArrowException):
                    self._writer.close()
                self._writer.is_open = False
            upload, self._upload = self._upload, None
            with suppress(_Discarded):
                upload.__exit__(_Discarded, _Discarded(), None)


class _Discarded(Exception):
    """Tells an upload that it shall not happen."""


def committed(output: str) -> dict[str, Receipt]:
    """The receipts of all whole shards in a folder, by file. Files that are not ours have none."""
    files = storage.files(output, ".parquet")
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda file: _receipt(storage.join(output, file)), files)
        return {file: receipt for file, receipt in zip(files, found, strict=True) if receipt is not None}


def sweep(output: str) -> None:
    """Remove what a killed job left: temporary files, and answers of row groups that no shard was made of."""
    for file in storage.files(output, hidden=True):
        if ".parquet." in file:
            storage.remove(storage.join(output, file))


def _receipt(url: str) -> Receipt | None:
    filesystem, path = storage.locate(url)
    try:
        with filesystem.open_input_file(path) as stream:
            metadata = pq.read_metadata(stream).metadata or {}
        return Receipt(**json.loads(metadata[_FOOTER.encode()]))
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None


def read_manifest(output: str) -> dict[str, Any]:
    """`predictions.json` as plain values.

    Raises:
        SpecError: if there is none, or it is damaged or of an unknown format.
    """
    try:
        facts: dict[str, Any] = json.loads(storage.read(storage.join(output, MANIFEST)))
    except FileNotFoundError:
        raise SpecError(f"{output}: no predictions there (no {MANIFEST})") from None
    except ValueError:
        raise SpecError(f"{output}/{MANIFEST} is damaged") from None
    if facts.get("format") != FORMAT:
        raise SpecError(f"{output}/{MANIFEST} is of format {facts.get('format')!r}, which this version cannot read")
    return facts


def begin(output: str, identity: Mapping[str, Any], classes: Classes) -> None:
    """Say what the folder will hold, or check that it holds the same already.

    Raises:
        SpecError: naming the first field that differs.
    """
    url = storage.join(output, MANIFEST)
    if storage.exists(url):
        held = read_manifest(output)["identity"]
        for name in sorted({*held, *identity} - {"corpus_version"}):
            if held.get(name) != identity.get(name):
                raise SpecError(
                    f"{output} holds other predictions: {name} is {held.get(name)!r} there and {identity.get(name)!r} "
                    "now; choose another --output"
                )
    elif storage.files(output):
        raise SpecError(f"{output} is not empty and holds no predictions: choose another --output")
    _save(output, identity, classes, {}, complete=False)


def finish(output: str, identity: Mapping[str, Any], classes: Classes, receipts: Mapping[str, Receipt]) -> None:
    """Say that the folder is whole, and what each shard is."""
    _save(output, identity, classes, receipts, complete=True)


def _save(
    output: str, identity: Mapping[str, Any], classes: Classes, receipts: Mapping[str, Receipt], *, complete: bool
) -> None:
    shards = {
        file: {"input_sha256": r.input_sha256, "rows": r.rows, "errors": r.errors}
        for file, r in sorted(receipts.items())
    }
    facts = {
        "format": FORMAT,
        "complete": complete,
        "rows": sum(r.rows for r in receipts.values()),
        "errors": sum(r.errors for r in receipts.values()),
        "identity": identity,
        "classes": classes,
        "shards": shards,
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True)
    storage.write(storage.join(output, MANIFEST), text.encode() + b"\n")
