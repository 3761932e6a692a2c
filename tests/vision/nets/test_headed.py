"""A body up to a layer with a head behind it sees what `predict --embedding` keeps of that layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vision import names
from vision.kernels.eager import Torch
from vision.model import Model, save
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(32, 32), crop=None, mean=(0.5, 0.5, 0.5), std=(0.2, 0.3, 0.4))


@pytest.mark.parametrize(("layer", "features"), [("11", 64), ("13", 64)])
def test_the_head_sees_the_embedding(tmp_path: Path, layer: str, features: int) -> None:
    torch.manual_seed(0)
    body = names.net("nets.resnet:resnet20", {"classes": 5})
    model = save(Model("nets.resnet:resnet20", LOOK, "", {"classes": 5}), tmp_path / "body", net=body)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    _, embedding = Torch(model, "cpu", 4, embedding=layer)(pixels)
    assert embedding is not None and embedding.shape == (3, features)
    arguments = {
        "net": "nets.resnet:resnet20", "layer": layer, "features": features, "classes": 7, "arguments": {"classes": 5},
    }  # fmt: skip
    net = names.net("nets.headed:headed", arguments)
    state = {f"body.{name}": tensor for name, tensor in body.state_dict().items()}
    net.load_state_dict({name: state.get(name, tensor) for name, tensor in net.state_dict().items()})
    whole = save(Model("nets.headed:headed", LOOK, "", arguments), tmp_path / "headed", net=net)
    logits, _ = Torch(whole, "cpu", 4, fold=False)(pixels)
    wanted = net.head(torch.from_numpy(embedding)).detach().numpy()
    assert np.allclose(logits, wanted, atol=1e-4) and logits.shape == (3, 7)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="the net has no layer 'pool9'"):
        names.net("nets.headed:headed", {"net": "nets.resnet:resnet20", "layer": "pool9", "features": 1, "classes": 2})
