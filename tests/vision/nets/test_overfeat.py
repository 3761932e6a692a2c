"""One pass over a large picture is the net at every window."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vision import names
from vision.architecture import report
from vision.nets.overfeat import averaged, dense


def without_padding() -> nn.Sequential:
    """Window 20, jump 4; no layer pads."""
    layers = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    full = [nn.Flatten(), nn.Linear(8 * 3 * 3, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)]
    return nn.Sequential(nn.Sequential(*layers), nn.Sequential(*full)).eval()


def test_every_score_is_that_of_the_window_cut_out() -> None:
    torch.manual_seed(0)
    net = without_padding()
    picture = torch.randn(1, 3, 36, 44)
    with torch.no_grad():
        scores = dense(net)(picture)
        assert scores.shape == (1, 5, 5, 7)
        for row in range(5):
            for column in range(7):
                window = picture[:, :, 4 * row : 4 * row + 20, 4 * column : 4 * column + 20]
                torch.testing.assert_close(scores[:, :, row, column], net(window), rtol=1e-5, atol=1e-5)
    assert report(lambda: dense(net), [(3, 36, 44)]).layers[-1].jump == (4, 4)
    assert report(lambda: dense(net), [(3, 36, 44)]).layers[-1].field == (20, 20)


@pytest.mark.parametrize(
    ("name", "side", "scores", "jump"),
    [("overfeat:overfeat_fast", 231, 1, 32), ("overfeat:overfeat_fast", 231 + 64, 3, 32), ("vgg:vgg_d", 288, 3, 32)],
)
def test_the_lectures_nets_give_maps(name: str, side: int, scores: int, jump: int) -> None:
    arguments = {"net": f"nets.{name}", "arguments": {"classes": 9}}
    found = report(lambda: names.net("nets.overfeat:dense_net", arguments), [(3, side, side)])
    whole = report(lambda: names.net(f"nets.{name}", {"classes": 9}), [(3, 231, 231)])
    assert found.outputs == ((9, scores, scores),)
    assert found.layers[-1].jump == (jump, jump)
    assert found.parameters == whole.parameters


def test_at_the_size_it_was_made_for_a_padded_net_gives_the_same_scores() -> None:
    torch.manual_seed(0)
    net = names.net("nets.alexnet:alexnet", {"classes": 4}).eval()
    with torch.no_grad():
        picture = torch.randn(1, 3, 224, 224)
        torch.testing.assert_close(dense(net)(picture).flatten(1), net(picture), rtol=1e-4, atol=1e-5)


def test_nets_without_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="averages over the whole picture"):
        dense(names.net("nets.mobilenet:mobilenet_v1", {"width": 0.25}))
    with pytest.raises(ValueError, match="ResNet is not a row of layers"):
        dense(names.net("nets.resnet:resnet18", {}))
    with pytest.raises(ValueError, match="a full layer on 10 values"):
        dense(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(10, 2)))


def test_the_mean_of_a_map_is_one_answer_whatever_the_size() -> None:
    torch.manual_seed(0)
    net = without_padding()
    picture = torch.randn(2, 3, 36, 44)
    with torch.no_grad():
        torch.testing.assert_close(averaged(net)(picture), dense(net)(picture).mean((2, 3)))
        assert averaged(net)(picture[:, :, :20, :20]).shape == (2, 5)
    residual = names.net("nets.resnet:resnet18", {"classes": 4})
    assert averaged(residual) is residual
    with pytest.raises(ValueError, match="is not a row of layers"):
        averaged(nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Sequential(residual), nn.Flatten()))
