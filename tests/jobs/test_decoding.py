"""Who decodes beside a GPU is asked for, was begun with, or found by a trial; the GPU's way runs here on a CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import decoding, flow
from jobs.decoding import Decoder, Prepared, Trial
from jobs.engine.plan import leases
from jobs.engine.replica import Replica
from jobs.predict import Predict
from jobs.reading import Reading
from jobs.spec import SpecError
from tests.making import CorpusMaker, rows_of
from vision import model


@pytest.fixture
def reading(make_corpus: CorpusMaker) -> Reading:
    return flow.read(Predict(corpus=make_corpus(rows_of(30), shard_rows=15), model=("m",), output="x"))


def prepared(reading: Reading, folder: str, decoder: Decoder, **fields: Any) -> Prepared:
    """On a CPU; the engine's own choice of a decoder is left out."""
    job = Predict(corpus=reading.url, model=(folder,), output="out", kernel="torch", **fields)
    return flow._prepared(reading, model.load(folder), job, lambda _message: None, decoder)


def answered(reading: Reading, folder: str, decoder: Decoder) -> pa.Table:
    target, identity = prepared(reading, folder, decoder)
    target = replace(target, output=str(Path.cwd() / decoder))
    worker = Replica(reading.url, (target,), reading.selection, decoder=decoder).make()
    todo = flow._planned(reading, target, identity)
    files = [str(Path(target.output, lease.file)) for lease in leases([todo]) if worker(lease)]
    return pa.concat_tables(map(pq.read_table, files))


def test_the_gpus_way_gives_the_same_answers_and_another_identity(reading: Reading, small_model: str) -> None:
    ours, theirs = (answered(reading, small_model, decoder) for decoder in ("cpu", "gpu"))
    assert ours["id"].equals(theirs["id"])
    assert ours["label"].equals(theirs["label"])
    identities = [prepared(reading, small_model, decoder)[1]["decoder"] for decoder in ("cpu", "gpu")]
    assert identities[0] != identities[1]


def test_a_trial_times_both_sides_and_answers_nothing(reading: Reading, small_model: str) -> None:
    target, identity = prepared(reading, small_model, "cpu")
    replica = Replica(reading.url, (target,), reading.selection)
    loaded, computed = Trial(replica).make()(leases([flow._planned(reading, target, identity)])[0])
    assert loaded > 1 and computed > 1
    assert not Path(target.output).exists()


def chosen(
    reading: Reading, folder: str, wanted: str, monkeypatch: pytest.MonkeyPatch, rates: tuple[float, float]
) -> str:
    """What would be chosen with a GPU, had a trial found these rates of loading and answering."""
    monkeypatch.setattr(decoding, "_tried", lambda *_: rates)
    job = Predict(corpus=reading.url, model=(folder,), output="out", kernel="torch", gpus_per_worker=1, decode=wanted)
    sides: tuple[Decoder, ...] = ("gpu", "cpu")
    either = {side: [prepared(reading, folder, side, gpus_per_worker=1)] for side in sides}
    target, identity = either["cpu"][0]
    todo = flow._planned(reading, target, identity)
    return decoding.choose(job, either, todo, Replica(reading.url, (target,), reading.selection), lambda _message: None)


def test_who_decodes(reading: Reading, small_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def choice(wanted: str, *rates: float) -> str:
        return chosen(reading, small_model, wanted, monkeypatch, rates)  # type: ignore[arg-type]

    assert choice("gpu", 9, 1) == "gpu"
    assert choice("auto", 1, 9) == "cpu", "30 pictures are not worth a trial"
    monkeypatch.setattr(decoding, "SMALL", 10)
    assert choice("auto", 1, 9) == "gpu"
    assert choice("auto", 9, 1) == "cpu"
    flow.commit.begin(*_begun(reading, small_model))
    assert choice("auto", 9, 1) == "gpu", "what was begun one way goes on that way"


def _begun(reading: Reading, folder: str) -> tuple[str, dict[str, Any], None]:
    target, identity = prepared(reading, folder, "gpu", gpus_per_worker=1)
    return target.output, identity, None


def test_what_is_refused(reading: Reading, small_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not decoding.open_to_choice("auto", 0)
    assert not decoding.open_to_choice("cpu", 1)
    with pytest.raises(SpecError, match="decode: gpu needs a GPU: --gpus-per-worker 1"):
        Predict(corpus=reading.url, model=(small_model,), decode="gpu", output="out").run()
    monkeypatch.setattr(decoding.gpu_loading, "supports", lambda _look: False)
    with pytest.raises(SpecError, match="decode: a GPU makes one crop"):
        chosen(reading, small_model, "gpu", monkeypatch, (1, 1))
    assert chosen(reading, small_model, "auto", monkeypatch, (1, 9)) == "cpu"
