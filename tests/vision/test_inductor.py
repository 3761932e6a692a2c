"""torch.compile as a kernel: the code that a GPU takes, on a CPU."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from vision import kernel, model
from vision.kernels.eager import Torch

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


@pytest.mark.slow
@needs_compiler
def test_it_answers_as_torch_does_whoever_the_neighbours(small_model: str, cache: None) -> None:
    found = model.load(small_model)
    pixels = np.random.default_rng(0).integers(0, 256, (5, *found.preprocessing.size, 3), np.uint8)
    inductor = kernel.compiled(found, "cpu", 4, library="inductor")
    wanted, _ = Torch(found, "cpu", 4)(pixels[:4])
    together, _ = inductor(pixels[:4])
    np.testing.assert_allclose(together, wanted, atol=1e-4)
    alone, _ = inductor(pixels[2:3])
    assert alone.tobytes() == together[2:3].tobytes()


def test_it_has_a_name_of_its_own(small_model: str) -> None:
    found = model.load(small_model)
    plain = kernel.name(found, "cuda", 256, "torch", "bf16-only")
    assert kernel.name(found, "cuda", 256, "inductor", "bf16-only") == f"inductor {plain}"


def test_what_cannot_be_compiled_is_one_line(small_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def refuses(_net: object, **_how: object) -> object:
        def called(*_: object) -> None:
            raise RuntimeError("no compiler\nand a long story")

        return called

    monkeypatch.setattr(torch, "compile", refuses)
    with pytest.raises(ValueError, match=r"^torch.compile cannot compile .*: no compiler$"):
        kernel.compiled(model.load(small_model), "cpu", 4, library="inductor")
