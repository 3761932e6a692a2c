"""Descriptors as a net: the layer gives what the descriptors are of the pixels that the net was shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vision.geolocation.described import descriptors
from vision.geolocation.descriptors import Describer
from vision.kernels.eager import Torch
from vision.model import Model, load, save
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(40, 40), crop=None)


def test_the_embedding_is_the_descriptor(tmp_path: Path) -> None:
    arguments = {"names": "colour, tiny"}
    save(Model("geolocation.described:descriptors", LOOK, "", arguments), tmp_path, net=descriptors(**arguments))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3)).astype(np.uint8)
    _, found = Torch(load(tmp_path), "cpu", 4, embedding="descriptor")(pixels)
    describe = Describer({"colour": 1.0, "tiny": 1.0})
    assert found is not None
    assert np.array_equal(found, np.stack([describe(one) for one in pixels]))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no descriptor 'hog'"):
        descriptors("hog")
    with pytest.raises(ValueError, match="textons needs a dictionary"):
        descriptors("textons")
