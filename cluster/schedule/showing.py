"""Entries and nights as text and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cluster.results.listing import aligned
from cluster.schedule.due import coming
from cluster.schedule.entries import Entry
from cluster.schedule.ledger import Record
from cluster.schedule.night import Night
from cluster.schedule.notify import place


def listed(entries: Sequence[Entry], records: dict[str, Record]) -> list[dict[str, Any]]:
    """Each entry with its last night."""
    return [_listed(entry, records.get(entry.name, Record())) for entry in entries]


def _listed(entry: Entry, record: Record) -> dict[str, Any]:
    return {
        "name": entry.name,
        "at": entry.at,
        "zone": entry.zone,
        "after": entry.after,
        "job": entry.job,
        "against": entry.against,
        "gates": len(entry.gates),
        "notify": place(entry.notify) or None,
        "last": None if record.day is None else record.day.isoformat(),
        "status": record.status or None,
        "verdict": record.verdict,
        "note": record.note or None,
        "runs": list(record.runs),
    }


def list_text(rows: Sequence[dict[str, Any]]) -> str:
    head = ["name", "when", "job", "against", "last", "came to", "note"]
    return aligned([head, *(_line(row) for row in rows)])


def _line(row: dict[str, Any]) -> list[str]:
    when = f"{row['at']} {row['zone']}" if row["at"] else f"after {row['after']}"
    came = row["verdict"] if row["status"] == "done" and row["verdict"] else row["status"] or "-"
    return [row["name"], when, row["job"], row["against"] or "-", row["last"] or "-", came, row["note"] or ""]


def upcoming(entries: Sequence[Entry], now: datetime, days: int) -> list[dict[str, str]]:
    """The nights of the next days, soonest first; chained ones stand behind the one they wait for."""
    found = []
    for entry in entries:
        if entry.at is None:
            continue
        for at in islice(coming(entry, now), days + 1):
            if at > now + timedelta(days=days):
                break
            found.append((at, entry))
    rows = []
    for at, entry in sorted(found, key=lambda one: one[0]):
        day = at.astimezone(entry.tz).date()
        for one in [entry, *_behind(entry, entries)]:
            text = at.astimezone(entry.tz).isoformat() if one is entry else f"after {one.after}"
            rows.append({"night": one.key(day), "at": text, "job": one.job})
    return rows


def _behind(first: Entry, entries: Sequence[Entry]) -> list[Entry]:
    names, found = {first.name}, []
    for entry in entries:
        if entry.after in names:
            names.add(entry.name)
            found.append(entry)
    return found


def night_text(night: Night) -> str:
    """A night in a line, and a line for each model."""
    came = night.verdict if night.status == "done" and night.verdict else night.status
    lines = [f"{night.key}: {came}" + (f" ({night.note})" if night.note else "")]
    for one in night.candidates:
        if one.judgement is not None:
            lines += [f"  {one.done.model or one.done.job}: {one.verdict}"]
            lines += [
                f"    {finding.verdict}: {finding.sentence()}{_more(finding.needed)}"
                for finding in one.judgement.findings
            ]
    return "\n".join(lines)


def _more(needed: int | None) -> str:
    return f"; {needed:,} more images would decide" if needed else ""
