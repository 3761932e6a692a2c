"""What an audit rests on: whose word a group is, how many rows were counted, which were left out, and the digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs import storage
from jobs.auditing.findings import Found
from jobs.choosing import sha256
from jobs.records import SUBSET
from vision.fairness.sentences import source_of
from vision.fairness.tally import Tally

if TYPE_CHECKING:
    from jobs.audit import Audit

FILES = ("groups", "reference", "checked")
"""Fields that name a file of the user's, whose digest is told."""


def facts(job: Audit, tally: Tally, found: Found, tags: Mapping[str, str]) -> dict[str, str]:
    """What is to be known of the rows, in words; nothing in it changes from run to run."""
    assert tally.cube is not None
    told = {name.replace("_", " "): value for name, value in tags.items() if name not in SUBSET}
    told["rows counted"] = f"{tally.cube.total():,}"
    told["rows left out by"] = ", ".join(f"{name} {tags[name]}" for name in SUBSET if name in tags) or "nothing"
    if tally.outcomes:
        told["rows without an answer"] = f"{found.unanswered:,}"
    for one in found.compositions:
        if len(one.columns) == 1:
            column = one.columns[0]
            told[f"groups of {column}"] = f"{len(one.cells):,}, {source_of(column, job.annotated_by)}"
            told[f"rows without {column}"] = f"{one.unknown:,}"
    if tally.persons is not None:
        told[f"values of {job.cluster_by}"] = f"{len(tally.persons.levels[0]):,}"
    told["questions asked of groups"] = f"{len(found.groups):,}"
    for name in FILES:
        if (url := getattr(job, name)) is not None:
            told[f"{name} sha256"] = sha256(storage.absolute(url))
    told["counts sha256"] = hashlib.sha256(tally.cube.to_bytes()).hexdigest()
    return told


def table(told: Mapping[str, str]) -> pa.Table:
    """The facts as a table of the report."""
    return pa.table({"fact": list(told), "value": list(told.values())})
