"""Blocks found, deleted and shuffled."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vision import names
from vision.lesions import Block, blocks, lesioned

SIZE = (32, 32)


def built(name: str, **arguments: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    net: torch.nn.Module = names.net(name, arguments)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("nets.resnet:resnet20", 7),  # nine units, of which two change the width
        ("nets.resnet:plain20", 7),
        ("nets.resnet:resnet56", 25),
        ("nets.resnet:plain56", 25),
        ("nets.resnet:resnet18", 5),
        ("nets.resnet:plain18", 5),
        ("torchvision.models:resnet50", 12),
        ("torchvision.models:mobilenet_v2", 10),
        ("nets.vgg:vgg_a", 4),
        ("nets.vgg:vgg_d", 9),
    ],
)
def test_as_many_blocks_as_a_net_can_lose(name: str, count: int) -> None:
    found = blocks(built(name), SIZE)
    assert len(found) == count
    assert len({block.name for block in found}) == count


def test_a_deleted_residual_unit_is_the_identity() -> None:
    net = built("nets.resnet:resnet20")
    found = blocks(net, SIZE)
    # A body whose last norm gives nothing adds nothing: the same net as the one without it.
    silent = lesioned(net, found, "delete", 0, 0)
    hurt = lesioned(net, found, "delete", 1, 3)
    (gone,) = [b.name for b in found if type(hurt.get_submodule(b.name)).__name__ == "Identity"]
    body: Any = silent.get_submodule(gone).get_submodule("body")
    torch.nn.init.zeros_(body[-1].weight)
    torch.nn.init.zeros_(body[-1].bias)
    inputs = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(hurt(inputs), silent(inputs), atol=1e-6)
        assert not torch.allclose(hurt(inputs), net(inputs), atol=1e-3), "the net itself is as it was"


def test_larger_lesions_hold_smaller_ones_and_seeds_draw_others() -> None:
    net = built("nets.resnet:plain56")
    found = blocks(net, SIZE)

    def gone(count: int, seed: int) -> set[str]:
        hurt = lesioned(net, found, "delete", count, seed)
        return {b.name for b in found if type(hurt.get_submodule(b.name)).__name__ == "Identity"}

    assert gone(2, 0) < gone(5, 0) and len(gone(5, 0)) == 5
    assert len({frozenset(gone(3, seed)) for seed in range(5)}) > 1
    assert gone(25, 0) == {b.name for b in found}


def test_shuffled_blocks_change_places_within_their_width() -> None:
    net = built("nets.resnet:resnet20")
    found = blocks(net, SIZE)
    hurt = lesioned(net, found, "shuffle", 1, 0)
    first = {b.name: float(net.get_submodule(b.name).get_submodule("body")[0].weight.detach().sum()) for b in found}
    after = {b.name: float(hurt.get_submodule(b.name).get_submodule("body")[0].weight.detach().sum()) for b in found}
    moved = [name for name in first if first[name] != after[name]]
    assert len(moved) == 2 and sorted(first.values()) == sorted(after.values())
    shapes = {b.name: b.shape for b in found}
    assert shapes[moved[0]] == shapes[moved[1]]
    assert hurt(torch.randn(1, 3, 32, 32)).shape == (1, 10)


def test_what_cannot_be_done_is_one_line() -> None:
    net = built("nets.resnet:resnet20")
    found = blocks(net, SIZE)
    for manner, count, some, complaint in (
        ("delete", 8, found, "8 blocks are more than the 7 that the net can lose"),
        ("burn", 1, found, "lesion 'burn' is not one of delete, shuffle"),
        ("delete", 1, [], "no block whose output has the shape of its input"),
        ("shuffle", 1, [Block("a", (1, 2, 2)), Block("b", (3, 2, 2))], "no two blocks of one shape"),
    ):
        with pytest.raises(ValueError, match=complaint):
            lesioned(net, some, manner, count, 0)
