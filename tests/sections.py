"""Drawn sections of tissue: cells parted by dark membranes, and dark blobs inside that grey level cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def drawn(sections: int, side: int, seed: int = 0) -> tuple[Array, Array]:
    """Sections and what is inside of cells.

    Returns:
        (Z, side, side) uint8 grey levels, and uint8 that is 1 inside of a cell and 0 on a membrane.
    """
    pairs = [_section(side, np.random.default_rng([seed, number])) for number in range(sections)]
    return np.stack([image for image, _ in pairs]), np.stack([inside for _, inside in pairs])


def _section(side: int, draws: np.random.Generator) -> tuple[Array, Array]:
    from scipy.ndimage import gaussian_filter

    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    bent = places + np.stack([_smooth(side, draws) for _ in range(2)], axis=-1).reshape(-1, 1, 2)
    cells = draws.uniform(-10, side + 10, (side * side // 180, 2))
    near = np.partition(np.linalg.norm(bent - cells, axis=2), 1, axis=1)
    inside = (near[:, 1] - near[:, 0] > 1.8).reshape(side, side)
    blobs = draws.uniform(0, side, (side * side // 250, 2))
    dark = (np.linalg.norm(places - blobs, axis=2).min(axis=1) < 2.6).reshape(side, side)
    grey = np.where(inside & ~dark, 165.0, 75.0)
    grey = gaussian_filter(grey, 0.7) + draws.normal(0, 18, (side, side)) + 15 * _smooth(side, draws) / 3
    return np.clip(grey, 1, 255).astype(np.uint8), inside.astype(np.uint8)


def _smooth(side: int, draws: np.random.Generator) -> Array:
    """(side, side) with a deviation of about 3."""
    from scipy.ndimage import gaussian_filter

    found = gaussian_filter(draws.normal(size=(side, side)), 8)
    return np.asarray(3 * found / found.std())
