"""What every job obeys: a value that survives YAML and flags, refuses what it does not know, and says what it is."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.commands import Jobs, _without_none, job_class, job_names
from jobs.spec import Job, SpecError

WORDS = st.text("abcdefghij/._-:@=5", min_size=1, max_size=12).filter(lambda text: text.strip(", ") == text)
JOBS = pytest.mark.parametrize("name", job_names())


def values(info: pydantic.fields.FieldInfo) -> st.SearchStrategy[Any]:
    """Values that a field takes."""
    kind = _without_none(info.annotation)
    low = max((getattr(m, "ge", None) or 0 for m in info.metadata), default=0)
    high = min((m.le for m in info.metadata if getattr(m, "le", None) is not None), default=1000)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(low), int(high))
    if kind is float:
        return st.floats(low, high, allow_nan=False)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        parts = {int: st.integers(1, 1000), float: st.floats(2**-10, 1)}.get(get_args(kind)[0], WORDS)
        least = max((getattr(m, "min_length", None) or 0 for m in info.metadata), default=0)
        return st.lists(parts, min_size=least, max_size=3).map(tuple)
    return WORDS


def jobs(name: str) -> st.SearchStrategy[Job]:
    """Any job of a name, with some of its fields given; what is no valid job is left out."""
    cls = job_class(name)
    fields = {
        word: values(info) if info.is_required() else st.one_of(st.none(), values(info))
        for word, info in cls.words().items()
    }

    def build(given: dict[str, Any]) -> Job | None:
        try:
            return cls(**{word: value for word, value in given.items() if value is not None})
        except pydantic.ValidationError:
            return None

    return st.fixed_dictionaries(fields).map(build).filter(lambda job: job is not None)  # type: ignore[return-value]


@JOBS
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_job_survives_yaml(name: str, data: st.DataObject) -> None:
    job = data.draw(jobs(name))
    assert job_class(name).parse(yaml.safe_load(job.to_yaml()) or {}) == job


@JOBS
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_flags_say_the_same_as_the_value(name: str, data: st.DataObject) -> None:
    job = data.draw(jobs(name))
    words: list[str] = []
    for word, value in job.model_dump(exclude_defaults=True, by_alias=True).items():
        flag = "--" + word.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple):
            words += [f"{flag}={part}" for part in value]
        else:
            words.append(f"{flag}={value}")
    seen: list[Job] = []
    group = Jobs("run", act=lambda found, _options: seen.append(found) or 0)  # type: ignore[func-returns-value]
    group.main([name, *words], standalone_mode=False)
    assert seen == [job]


@JOBS
def test_a_job_is_frozen_and_flat_and_every_field_is_described(name: str) -> None:
    cls = job_class(name)
    assert cls.model_config["frozen"] and cls.model_config["extra"] == "forbid"
    for word, info in cls.words().items():
        kind = _without_none(info.annotation)
        flat = kind in (str, int, float, bool) or get_origin(kind) in (tuple, Literal)
        assert flat, f"{name}.{word} is not flat: {kind}"
        assert info.description, f"{name}.{word} has no description"
    assert cls.__doc__


@JOBS
def test_an_unknown_field_is_refused_with_the_nearest(name: str) -> None:
    word = max(job_class(name).words(), key=len)
    with pytest.raises(SpecError, match=rf"{name} has no field '{word}x'; did you mean {word}\?"):
        job_class(name).parse({f"{word}x": 1})
