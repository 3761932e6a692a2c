"""What an answer for every pixel costs: windows cut out one by one, one pass of the same net, and U-Nets.

    python -m tests.benchmarks.dense_nets [--side 256] [--rounds 3]

The window's classifier (31 x 31 pixels, 16 maps) is asked about a sample of windows in batches of 256, and about a
whole section in one pass that gives the same answers; the U-Nets about the same section, and in a step of training. One
thread; CPU seconds; the median of rounds in which all take turns. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.benchmarks.bulk_inference import machine
from vision.nets.fcn import every_pixel, window
from vision.nets.unet import unet2d, unet3d

WINDOWS = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    runs = contenders(asked.side)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(asked.rounds + 1):  # the first one warms up
        for name, (work, _) in runs.items():
            began = time.process_time()
            work()
            seconds[name].append(time.process_time() - began)
    rows = {
        name: {
            "pixels_per_cpu_s": round(pixels / median(seconds[name][1:])),
            "macs_per_pixel": round(macs(work) / pixels),
        }
        for name, (work, pixels) in runs.items()
    }
    print(json.dumps({"machine": machine(), "side": asked.side, **rows}, indent=1))


def contenders(side: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """Work by name, and the pixels that it answers for."""
    net = window().eval()
    dense, picture = every_pixel(net), torch.randn(1, 1, side + 30, side + 30)
    places = torch.randint(0, side, (WINDOWS, 2)).tolist()
    flat, solid = unet2d(width=12).eval(), unet3d().eval()
    section, volume = torch.randn(1, 1, side, side), torch.randn(1, 1, 16, side // 2, side // 2)

    def patches() -> None:
        with torch.inference_mode():
            for start in range(0, WINDOWS, 256):
                net(torch.cat([picture[:, :, y : y + 31, x : x + 31] for y, x in places[start : start + 256]]))

    def forward(built: torch.nn.Module, inputs: torch.Tensor) -> Callable[[], Any]:
        def work() -> None:
            with torch.inference_mode():
                built(inputs)

        return work

    def learn() -> None:
        flat(section).square().mean().backward()

    return {
        "windows one by one": (patches, WINDOWS),
        "the same in one pass": (forward(dense, picture), side**2),
        "U-Net 2-D, width 12": (forward(flat, section), side**2),
        "U-Net 2-D, width 12, a step": (learn, side**2),
        "U-Net 3-D, width 16": (forward(solid, volume), volume.numel()),
    }


def macs(work: Callable[[], Any]) -> float:
    """Multiply-adds."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 2


if __name__ == "__main__":
    main()
