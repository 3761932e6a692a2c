"""From labels to cells: a U-Net trained on sections, applied to others, scored as ISBI 2012 scores; drawn and real.

The real ones: 16 of the given sections to train on and 4 to be scored, the threshold chosen on the 16.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.infer import Infer
from jobs.train import Train
from jobs.volumes.opening import opened
from tests.em import shared_em
from tests.sections import Array, drawn
from vision.connectomics.blocks import Box
from vision.connectomics.isbi import Isbi, Section, cells, isbi, mean, sections


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(image: Array, inside: Array, kept: int, **changed: Any) -> Array:
    """The probability of being inside (Z, Y, X), by a net that learned from the first sections only."""
    np.savez("s.npz", image=image, inside=inside)
    fields: dict[str, Any] = {
        "task": "connectomics", "volume": "s.npz#image", "truth": "s.npz#inside", "roi": f"0:{kept},:,:",
        "net": "nets.unet:unet2d", "optimizer": "adamw", "weight_decay": 1e-3, "clip": 1.0, "batch_size": 8,
        "micro_batch": 8, "augment": ("flip", "transpose", "contrast"), "output": "model", "workers": 0,
    }  # fmt: skip
    Train(**{**fields, **changed}).run()
    side = image.shape[1]
    patch = min(side, 256)
    report = Infer(
        volume="s.npz#image", model="model", output="out", block=(4, side, side), workers=0,
        patch=(1, patch, patch), margin=(0, 16, 16), overlap=(0, 16, 16),
    ).run()  # fmt: skip
    found = opened(report.output or "", "boundaries").read(Box((0, 0, 0), image.shape))
    return 1 - found.astype(np.float32) / 255


def scored(probability: Array, inside: Array, kept: int) -> tuple[Isbi, list[Section]]:
    """The scores of what was learned from, at its best threshold, and those of the other sections at that threshold."""
    truth = np.stack([cells(section) for section in inside])
    own = isbi(probability[:kept], truth[:kept])
    return own, sections(probability[kept:], truth[kept:], own.threshold)


def smoothed(image: Array) -> Array:
    """Grey levels as a probability: the floor, 0.833 on the last four sections of ISBI 2012 by Vrand.

    It is that high, and not the 0.78 of grey / 255 after 1.5 pixels, because 2 pixels smooth more (0.803) and because
    tenths of the range between two percentiles are finer thresholds (0.833); how it is thinned changes 0.004.
    """
    from scipy.ndimage import gaussian_filter

    blurred = np.stack([gaussian_filter(section.astype(np.float32), 2) for section in image])
    low, high = np.percentile(blurred, 1), np.percentile(blurred, 99)
    return np.clip((blurred - low) / (high - low), 0, 1)


def test_a_net_finds_cells_where_grey_levels_do_not() -> None:
    image, inside = drawn(6, 128)
    found = trained(
        image, inside, 4, arguments='{"width": 6, "depth": 2}', crop=(1, 64, 64), crops=96, epochs=6,
        learning_rate=1e-2, ema=0.9,
    )  # fmt: skip
    own, others = scored(found, inside, 4)
    floor = scored(smoothed(image), inside, 4)[1]
    ours, grey = (mean(np.array([one.vrand for one in part])).value for part in (others, floor))
    assert ours > 0.85 and own.vrand.value > 0.85
    assert ours > grey + 0.1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_isbi_2012_in_under_a_quarter_of_an_hour_on_two_cores() -> None:
    data = shared_em("isbi2012_train")
    image, inside = data["image"], data["inside"]
    began = time.process_time()
    found = trained(
        image, inside, 16, arguments='{"width": 12, "depth": 3}', crop=(1, 160, 160), crops=320, epochs=16,
        learning_rate=4e-3, ema=0.98,
    )  # fmt: skip
    cpu_s = time.process_time() - began
    own, others = scored(found, inside, 16)
    vrand, vinfo = (mean(np.array(column)) for column in zip(*others, strict=True))
    best = isbi(found[16:], np.stack([cells(section) for section in inside[16:]]))
    floor = scored(smoothed(image), inside, 16)[1]
    print(f"{cpu_s:.0f} CPU-s; threshold {own.threshold:g} of 16 sections, Vrand {own.vrand.value:.3f} on them")
    for name, one in (("Vrand", vrand), ("Vinfo", vinfo)):
        print(f"4 other sections: {name} {one.value:.3f} (95 %: {one.low:.3f} to {one.high:.3f})")
    print(f"at the best threshold of the 4 ({best.threshold:g}): {best.vrand.value:.3f}, {best.vinfo.value:.3f}")
    print(f"smoothed grey level: Vrand {np.mean([one.vrand for one in floor]):.3f}")
    assert cpu_s < 2 * 15 * 60
    assert vrand.value >= 0.85
