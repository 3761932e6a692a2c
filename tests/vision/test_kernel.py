"""Compiled kernels against the nets they were compiled from, alone and among neighbours, with nothing heavy loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vision import kernel, model
from vision.kernels import artifact, probe
from vision.kernels.eager import Torch
from vision.model import Model
from vision.preprocessing import Preprocessing

# Importing it here would report to its makers: `library` in vision.kernels.openvino says how.
pytestmark = pytest.mark.skipif(not kernel.installed("openvino"), reason="openvino is not installed")

ROOT = Path(__file__).parents[2]
BF16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
PRECISIONS = [
    "fp32",
    *(pytest.param(p, marks=pytest.mark.skipif(not BF16, reason="no bfloat16 here")) for p in ("bf16", "bf16-only")),
]
NETS = ("mobilenet_v2", "resnet18", "mobilenet_v3_large")


@pytest.fixture(scope="session")
def small_artifact(small_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    found = model.load(small_model)
    folder = tmp_path_factory.mktemp("kernels") / artifact.name(found, 8)
    artifact.make(found, 8, folder)
    return str(folder)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Model, str]]:
    """Real nets with drawn weights, on small pictures so that the tests stay quick."""
    found = {}
    for name in NETS:
        small = Preprocessing(resize=64, crop=64)
        one = replace(model.load(f"torchvision.models:{name}"), preprocessing=small)
        folder = tmp_path_factory.mktemp(name) / "artifact"
        artifact.make(one, 4, folder)
        found[name] = one, str(folder)
    return found


def pictures(count: int, side: int) -> np.ndarray:  # type: ignore[type-arg]
    return probe.pictures((side, side), count, seed=5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NETS)
def test_a_picture_is_answered_alike_whoever_its_neighbours(
    drawn: dict[str, tuple[Model, str]], name: str, precision: str
) -> None:
    found, folder = drawn[name]
    run = kernel.compiled(found, "cpu", 4, library="openvino", precision=precision, artifact=folder)
    pixels = pictures(4, 64)
    together, _ = run(pixels)
    assert np.array_equal(together, np.concatenate([run(one[None])[0] for one in pixels]))
    assert np.array_equal(together, run(pixels[::-1].copy())[0][::-1])
    assert np.ptp(together, axis=0).max() > 0


@pytest.mark.parametrize(("order", "precision"), [("RGB", "fp32"), ("BGR", "fp32")])
def test_normalisation_and_channel_order_are_inside(
    small_model: str, tmp_path: Path, order: str, precision: str
) -> None:
    found = model.load(small_model)
    look = replace(found.preprocessing, order=order, mean=(0.2, 0.5, 0.6), std=(0.3, 0.4, 0.5))
    found = replace(found, preprocessing=look)
    artifact.make(found, 4, tmp_path / "a")
    pixels = np.random.default_rng(1).integers(0, 256, (3, 28, 28, 3), np.uint8)
    run = kernel.compiled(found, "cpu", 4, library="openvino", precision=precision, artifact=str(tmp_path / "a"))
    theirs = found.build()(torch.from_numpy(look.normalise(pixels))).numpy()
    np.testing.assert_allclose(run(pixels)[0], theirs, atol=1e-4)


@pytest.mark.skipif(not BF16, reason="no bfloat16 here")
def test_close_calls_in_bf16_are_answered_again_in_fp32(small_model: str, small_artifact: str) -> None:
    found = model.load(small_model)
    pixels = pictures(512, 28)
    answers = {}
    for precision in ("fp32", "bf16", "bf16-only"):
        run = kernel.compiled(found, "cpu", 8, library="openvino", precision=precision, artifact=small_artifact)
        answers[precision] = np.concatenate([run(pixels[start : start + 8])[0] for start in range(0, 512, 8)])
    close = probe.gaps(answers["bf16-only"]) < probe.CLOSE
    assert 0 < close.sum() < 512
    assert np.array_equal(answers["bf16"][~close], answers["bf16-only"][~close])
    np.testing.assert_allclose(answers["bf16"][close], answers["fp32"][close], atol=1e-4)
    assert not np.array_equal(answers["bf16-only"], answers["fp32"])


def test_an_artifact_says_what_its_check_found(small_model: str, small_artifact: str) -> None:
    facts = artifact.facts(Path(small_artifact))
    assert facts["model"] == model.load(small_model).digest
    assert facts["checks"]["fp32"]["pictures"] == 64
    assert facts["checks"]["fp32"]["agree"] == 64
    assert facts["checks"]["fp32"]["largest_error"] < 1e-4
    assert artifact.fault(Path(small_artifact), "fp32") is None


def test_a_kernel_that_is_not_the_net_fails_its_check() -> None:
    logits = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    assert probe.Check.of("fp32", logits, logits).fault("fp32") is None
    assert "clear labels" in str(probe.Check(64, 64, 50, 60, 0.0, 0.0).fault("bf16"))
    assert "off" in str(probe.Check.of("fp32", logits + 0.1 * logits**2, logits).fault("fp32"))
    assert "off" in str(probe.Check.of("bf16", np.roll(logits, 1, axis=1), logits).fault("bf16"))
    assert "off" in str(probe.Check.of("fp32", np.full_like(logits, np.nan), logits).fault("fp32"))
    # Logits that are nearly alike give probabilities that are: their spread tells.
    assert "spread" in str(probe.Check.of("fp32", -1e-6 * logits, 1e-6 * logits).fault("fp32"))


def test_a_net_that_cannot_be_compiled_is_written_down(small_model: str, tmp_path: Path) -> None:
    found = replace(model.load(small_model), preprocessing=Preprocessing(resize=(9, 9), crop=None))
    artifact.make(found, 2, tmp_path / "a")
    assert "could not be compiled" in str(artifact.fault(tmp_path / "a", "fp32"))


def test_two_at_once_leave_one_whole_artifact(small_model: str, tmp_path: Path) -> None:
    found = model.load(small_model)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: artifact.make(found, 2, tmp_path / "a"), range(2)))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert artifact.fault(tmp_path / "a", "fp32") is None


@pytest.mark.parametrize(("library", "copies"), [("openvino", 2**28), ("openvino", 0), ("torch", 0)])
def test_threads_that_call_at_once_get_their_own_answers(
    small_model: str, small_artifact: str, library: str, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a net of their own, or from one that all share."""
    monkeypatch.setattr("vision.kernels.openvino.COPIES", copies)
    found, pixels = model.load(small_model), pictures(64, 28)
    layer = None if library == "openvino" else "tanh4"
    run = kernel.compiled(found, "cpu", 8, layer, library=library, artifact=small_artifact, streams=3)
    batches = [pixels[start : start + 8] for start in range(0, 64, 8)]
    alone = [run(batch) for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(run, batches * 5))
    for (logits, embedding), (want, want_embedding) in zip(together, alone * 5, strict=True):
        assert np.array_equal(logits, want)
        assert (embedding is None) == (layer is None)
        assert embedding is None or np.array_equal(embedding, want_embedding)


def test_threads_may_come_first_at_once(small_model: str, small_artifact: str) -> None:
    """In a fresh process, where OpenVINO's first call sets itself up: once a lock that never opened, now and then."""
    program = """
import sys, threading
import numpy as np
from vision import kernel, model

run = kernel.compiled(model.load(sys.argv[1]), "cpu", 8, library="openvino", artifact=sys.argv[2], streams=2)
begin = threading.Barrier(2)
threads = [
    threading.Thread(target=lambda: (begin.wait(), run(np.zeros((8, 28, 28, 3), np.uint8)))) for _ in range(2)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program, small_model, small_artifact], check=True, cwd=ROOT, timeout=60)


def test_pictures_of_the_probe_are_fixed() -> None:
    once, again = probe.pictures((32, 48), 2), probe.pictures((32, 48), 2)
    assert once.shape == (2, 32, 48, 3)
    assert np.array_equal(once, again)
    assert not np.array_equal(once[0], once[1])


PROGRAM = """
import sys, json, resource, threading
from vision import kernel, model
import numpy as np
import jobs.engine.replica
run = kernel.compiled(model.load({model!r}), "cpu", 8, library="openvino", precision="fp32", artifact={artifact!r})
run(np.zeros((3, 28, 28, 3), np.uint8))
heavy = [n for n in ("torch", "torchvision", "mlflow", "ray.data", "openvino_telemetry.main") if n in sys.modules]
usage = resource.getrusage(resource.RUSAGE_SELF)
peak_kb = [int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")][0]
print(json.dumps([heavy, peak_kb / 1024, usage.ru_utime + usage.ru_stime]))
"""


def test_a_worker_loads_nothing_heavy_and_tells_nobody(small_model: str, small_artifact: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(model=small_model, artifact=small_artifact)],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(tmp_path), "CI": ""},
    )  # fmt: skip
    heavy, peak_mb, cpu_s = json.loads(done.stdout)
    assert heavy == []
    assert peak_mb < 300
    assert cpu_s < 6
    # OpenVINO's own telemetry keeps its marks in the home folder.
    assert list(tmp_path.iterdir()) == []


def test_folding_and_names(small_model: str) -> None:
    found = model.load("torchvision.models:resnet18")
    pixels = pictures(2, 224)
    plain, _ = Torch(found, "cpu", 2, fold=False)(pixels)
    np.testing.assert_allclose(Torch(found, "cpu", 2)(pixels)[0], plain, atol=1e-4)
    assert kernel.name(found, "cpu", 8).startswith("torch-")
    assert kernel.name(found, "cpu", 8, "openvino", "bf16").endswith(" bf16 cpu batch-8")
    with pytest.raises(ValueError, match="needs an artifact"):
        kernel.compiled(model.load(small_model), "cpu", 2, library="openvino")


def test_a_net_dropped_in_another_thread_leaves_signals_alone(small_model: str, tmp_path: Path) -> None:
    """An alarm after a compiled net was let go of elsewhere: once a crash of the process."""
    program = """
import gc, pathlib, sys, threading
from vision import kernel, model
from vision.image import time_limit_s
from vision.kernels import artifact

found, folder = model.load(sys.argv[1]), pathlib.Path(sys.argv[2])
artifact.make(found, 4, folder)
held = [kernel.compiled(found, "cpu", 4, library="openvino", artifact=str(folder))]
dropping = threading.Thread(target=lambda: (held.clear(), gc.collect()))
dropping.start()
dropping.join()
try:
    with time_limit_s(0.01):
        while True:
            pass
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, small_model, str(tmp_path / "artifact")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "time" in done.stdout or "long" in done.stdout
