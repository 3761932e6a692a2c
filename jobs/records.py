"""Which records a job reads: a corpus, a split and a subset, the same words in every job.

A subset is SQL over the columns (`where`), a sample by hash of id that stays stable as the corpus grows, a limit, and
columns that came later (`join`). All of it is part of a result's key.
"""

from __future__ import annotations

import logging
from typing import Any

from pydantic import Field

from jobs import storage
from jobs.spec import Job, SpecError
from vision.corpus import Corpus

_log = logging.getLogger(__name__)

CORPUS = "folder or URL of a corpus; NAME@7 for a past version"


SUBSET = ("where", "limit", "sample", "stratify", "seed", "join_sha256", "on")
"""What `key` may hold: the names under which a result remembers its subset."""


class Reads(Job):
    """The fields of every job that reads records."""

    corpus: str | None = Field(None, description=CORPUS)
    split: str | None = Field(None, description="split to read; not needed where there is only one")
    where: str | None = Field(None, description="SQL over the columns, such as \"label < 10 AND gender = 'f'\"")
    limit: int | None = Field(None, ge=1, description="read only the first N records")
    sample: int | None = Field(None, ge=1, description="read N records, drawn by hash of id (stable as it grows)")
    seed: int = Field(0, description="seed of --sample")
    stratify: str | None = Field(None, description="column whose values --sample keeps in proportion")
    join: str | None = Field(None, description="CSV, TSV or Parquet of labels and groups that came later")
    on: str = Field("id", description="column that --join matches by")


class Waits(Job):
    """The field of every job that Ray may work on."""

    retry_s: float = Field(
        30.0, ge=0, description="seconds that Ray's head may be away before the job fails, to go on later"
    )


class Spread(Waits):
    """The fields of every job that several processes do together."""

    workers: int | None = Field(
        None, ge=0, description="processes of one core each; 0: this process, without Ray; default: by the work"
    )


def open_corpus(url: str) -> tuple[str, Corpus]:
    """A corpus as (URL without version, manifest at that version). A past one that lost records since is warned of.

    Raises:
        SpecError: if there is none there, or no such version.
    """
    place, _, version = url.rpartition("@") if url.rsplit("@", 1)[-1].isdigit() and "@" in url else (url, "", "")
    place = storage.absolute(place)
    try:
        corpus = Corpus.from_json(storage.read(storage.join(place, "corpus.json")))
    except FileNotFoundError:
        raise SpecError(f"{place}: no corpus there (no corpus.json); make one with `safelight run ingest`") from None
    except ValueError as error:
        raise SpecError(f"{place}/corpus.json cannot be read: {error}") from None
    if not version:
        return place, corpus
    if not 1 <= int(version) <= corpus.version:
        raise SpecError(f"{place} has versions 1 to {corpus.version}, not {version}")
    past = corpus.at(int(version))
    if past.gaps:
        _log.warning(
            "%s@%s: %d of its shards held records that were forgotten since; they are withdrawn, and the rest is read",
            place, version, past.gaps,
        )  # fmt: skip
    return place, past


def key(subset: Reads) -> dict[str, Any]:
    """What of a subset decides a result: its fields that are set, and the digest of the joined file."""
    import hashlib

    names = ("where", "limit", "sample", "stratify")
    chosen: dict[str, Any] = {name: getattr(subset, name) for name in names if getattr(subset, name) is not None}
    if subset.sample is not None:
        chosen["seed"] = subset.seed
    if subset.join is not None:
        digest = hashlib.sha256(storage.read(subset.join)).hexdigest()
        chosen |= {"join_sha256": digest, "on": subset.on}
    return chosen
