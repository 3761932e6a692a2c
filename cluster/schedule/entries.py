"""What happens every night, as frozen values: a time, a job, whom to beat, whom to tell.

An entry runs at most once a date, so that `entry@date` names a night. Times are cron's five fields in the entry's
zone; a chained entry (`after`) has no time of its own and runs when the other's night of that date is done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cluster.commands import job_class
from jobs.asking import Predicting
from jobs.gates import Gate
from jobs.spec import Job, nearest

ANSWERING = ("against", "gates", "promote", "models")
"""Words that only a job with answers can have."""

FIGURING = ("against", "gates")
"""Those of them that a job can have whose metrics are judged as they are."""

LATEST = "latest"
"""The champion that is the newest night that passed."""

RUN = re.compile(r"[0-9a-f]{6,32}")
"""A champion that is a run, by its id."""


def goes_with(word: str, job: type[Job]) -> bool:
    """Whether a job can have a word."""
    return word not in ANSWERING or issubclass(job, Predicting) or (job.figures and word in FIGURING)


class Entry(BaseModel):
    """One line of the night's plan; `job` and `fields` say what runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="names its nights, `name@date`")
    at: str | None = Field(None, description="cron: minute hour day month weekday, once a date at most")
    zone: str = Field("UTC", description="IANA zone of `at`, `finish_by` and the night's date")
    after: str | None = Field(None, description="run when this entry's night of the same date is done")
    job: str = Field(description="the job, by its name")
    fields: Mapping[str, Any] = Field(default_factory=dict, description="the job's fields")
    models: tuple[str, ...] = Field((), description="several candidates, answered in one pass")
    against: str | None = Field(None, description="the champion: a model, a run's id, or `latest` (passing night)")
    gates: tuple[Gate, ...] = Field((), description="rules that a candidate must meet")
    notify: str | tuple[str, ...] | None = Field(None, description="a webhook's URL, or a command as a list")
    overlap: Literal["skip", "queue", "replace"] = Field("skip", description="when the last night still runs")
    finish_by: time | None = Field(None, description="HH:MM after which the night is stopped, to go on later")
    promote: str | None = Field(None, description="ALIAS or NAME@ALIAS that a passing candidate gets")
    on: Literal["here", "cluster"] | None = Field(None, description="default: the cluster where RAY_ADDRESS is set")
    late_s: float = Field(3600, ge=0, lt=86_400, description="seconds after `at` until which a night is merely late")
    catch_up: Literal["last", "none"] = Field("last", description="of the nights that were missed")
    queue: str | None = Field(None, description="Kueue's queue in exported manifests")
    priority: str | None = Field(None, description="Kueue's priority class in exported manifests")

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,62}", name):
            raise ValueError("name takes letters, digits, `_`, `.` and `-`, 63 at most")
        return name

    @field_validator("at")
    @classmethod
    def _once_a_date(cls, at: str | None) -> str | None:
        if at is None:
            return at
        if len(at.split()) != 5:
            raise ValueError("at takes cron's five fields, such as `30 2 * * *`")
        try:
            cron = CronSim(at, datetime(2026, 1, 1, tzinfo=UTC))
        except CronSimError as error:
            raise ValueError(f"at is no cron time: {str(error)[0].lower()}{str(error)[1:]}") from None
        if len(cron.minutes) * len(cron.hours) > 1:
            raise ValueError("at fires more than once a date; make an entry for each time")
        return at

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"there is no zone {zone!r}{nearest(zone, sorted(available_timezones()))}")
        return zone

    @field_validator("models", mode="before")
    @classmethod
    def _listed(cls, models: Any) -> Any:
        return tuple(part.strip() for part in models.split(",")) if isinstance(models, str) else models

    @field_validator("finish_by", mode="before")
    @classmethod
    def _hours_and_minutes(cls, value: Any) -> Any:
        if isinstance(value, str) and not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
            raise ValueError("finish_by is HH:MM")
        return value.rjust(5, "0") if isinstance(value, str) else value

    @field_validator("notify")
    @classmethod
    def _web_or_command(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.startswith(("http://", "https://", "${")):
            raise ValueError("notify is a webhook's http(s) URL, or a command as a list of words")
        return value or None

    @model_validator(mode="after")
    def _whole(self) -> Entry:
        if (self.at is None) == (self.after is None):
            raise ValueError("needs one of at and after")
        cls = job_class(self.job)
        given = [word for word in ANSWERING if getattr(self, word) and not goes_with(word, cls)]
        if given:
            raise ValueError(f"{given[0]} does not go with the job {self.job}, which answers nothing")
        if cls.figures and any(gate.kind != "paired" for gate in self.gates):
            raise ValueError(f"kind does not go with the gates of the job {self.job}: its figures are two samples")
        if bool(self.gates) != (self.against is not None):
            raise ValueError("gates and against go together: the rules, and whom to compare with")
        if self.promote and not self.gates:
            raise ValueError("promote needs gates to pass")
        if self.models and "model" in self.fields:
            raise ValueError("models stands in for the job's field model: give one of the two")
        return self

    @cached_property
    def task(self) -> Job:
        """The job as a value.

        Raises:
            SpecError: if its fields are wrong.
        """
        models = {"model": self.models} if self.models else {}
        job: Job = job_class(self.job).parse({**self.fields, **models})
        return job

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def key(self, day: date) -> str:
        """The name of a night."""
        return f"{self.name}@{day.isoformat()}"

    def deadline(self, at: datetime) -> datetime | None:
        """When the night that was due at `at` must be over, or None."""
        if self.finish_by is None:
            return None
        local = at.astimezone(self.tz)
        until = datetime.combine(local.date(), self.finish_by, self.tz)
        later = datetime.combine(local.date() + timedelta(days=1), self.finish_by, self.tz)
        # Compared as moments: within one zone Python would compare wall clocks.
        return (until if until.astimezone(UTC) > at.astimezone(UTC) else later).astimezone(UTC)
