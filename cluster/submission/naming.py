"""The name of a submission: the job, the digest of all that decides it, the key, and which attempt it is.

`evaluate-3f2a9c1b7d04-nightly-2026-11-21.2` is the second attempt. An attempt that runs or succeeded stands for the
job; one that failed or was stopped is followed by another, which goes on from what is committed.
"""

from __future__ import annotations

import hashlib
import json
import re

from cluster import provenance
from jobs.spec import Job, SpecError, nearest
from vision import names

_DIGITS = 12


def base(job: Job, key: str) -> str:
    """The name of a job's submission, without its attempt.

    >>> from jobs.predict import Predict
    >>> job = Predict(corpus="/c", model=("nets.lenet:lenet5",), output="/p")
    >>> base(job, "") == base(Predict(**job.model_dump()), ""), base(job, "") == base(job, "monday")
    (True, False)
    """
    name, fields = provenance.job_name(job), job.model_dump(mode="json")
    if fields.get("code"):
        # The same folder with other code in it is another job, and one in another place is the same.
        fields["code"] = names.source_digest(fields["code"])
    facts = json.dumps({"job": name, "fields": fields, "key": key}, sort_keys=True)
    word = re.sub(r"[^\w-]+", "-", key, flags=re.ASCII).strip("-")[:60]
    return "-".join([name, hashlib.sha256(facts.encode()).hexdigest()[:_DIGITS], *([word] if word else [])])


def attempt(base_name: str, number: int) -> str:
    """The name of an attempt, counted from 1."""
    return base_name if number == 1 else f"{base_name}.{number}"


def split(name: str) -> tuple[str, int]:
    """A submission's name without its attempt, and the attempt.

    >>> split("evaluate-3f2a9c1b7d04.2"), split("evaluate-3f2a9c1b7d04")
    (('evaluate-3f2a9c1b7d04', 2), ('evaluate-3f2a9c1b7d04', 1))
    """
    match = re.fullmatch(r"(.+)\.(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 1)


def find(abbreviated: str, known: list[str]) -> str:
    """The one name that is or begins with `abbreviated`; of several attempts at one job, the last.

    Raises:
        SpecError: if there is none, with the nearest, or several.
    """
    if abbreviated in known:
        return abbreviated
    found = [name for name in known if name.startswith(abbreviated)]
    if not found:
        raise SpecError(f"there is no submitted job {abbreviated!r}{nearest(abbreviated, known)}")
    if len({split(name)[0] for name in found}) > 1:
        raise SpecError(f"{abbreviated!r} is the beginning of several: {', '.join(sorted(found)[:5])}")
    return max(found, key=lambda name: split(name)[1])
