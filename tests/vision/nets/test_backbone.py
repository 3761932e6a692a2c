"""A classifier's body under a detector and under a recurrent net; nets of several inputs and heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from vision import names
from vision.architecture import report
from vision.nets.backbone import until

RESNET = {"net": "nets.resnet:resnet18", "layer": "layer4", "arguments": {"classes": 5}}
SMALL = {"net": "nets.mobilenet:mobilenet_v3_small", "layer": "features", "arguments": {"classes": 5}}


def body(facts: dict[str, object]) -> nn.Module:
    torch.manual_seed(0)
    found: nn.Module = names.net("nets.backbone:features", facts)
    return found


@pytest.mark.parametrize(("facts", "channels", "jump"), [(RESNET, 512, 32), (SMALL, 576, 32)])
def test_a_classifier_gives_its_maps_by_name(facts: dict[str, object], channels: int, jump: int) -> None:
    maps = body(facts).eval()(torch.zeros(2, 3, 96, 64))
    assert maps.shape == (2, channels, 96 // jump, 64 // jump)
    assert body(facts).out_channels == channels


def test_the_maps_are_those_that_the_classifier_itself_sees() -> None:
    torch.manual_seed(0)
    net = names.net("nets.resnet:resnet18", {"classes": 5}).eval()
    seen: list[torch.Tensor] = []
    net.layer4.register_forward_hook(lambda _net, _given, output: seen.append(output))
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        net(pictures)
        assert torch.equal(until(net, "layer4")(pictures), seen[0])


def test_a_classifier_learns_inside_a_detector() -> None:
    """Faster R-CNN on a body that nets builds: losses of both stages reach the first filters, and boxes come out."""
    pooling = MultiScaleRoIAlign(["0"], 7, 2)
    anchors = AnchorGenerator(((32, 64),), ((0.5, 1.0, 2.0),))
    detector = FasterRCNN(body(SMALL), 3, min_size=96, max_size=96, rpn_anchor_generator=anchors, box_roi_pool=pooling)
    boxes = {"boxes": torch.tensor([[10.0, 10.0, 60.0, 70.0]]), "labels": torch.tensor([1])}
    losses = detector.train()([torch.rand(3, 96, 96)], [boxes])
    assert set(losses) == {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
    sum(losses.values()).backward()
    first = next(detector.backbone.parameters())
    assert first.grad is not None and float(first.grad.abs().sum()) > 0
    found = detector.eval()([torch.rand(3, 96, 96)])[0]
    assert found["boxes"].shape[1] == 4 and len(found["scores"]) == len(found["boxes"])


class Captioner(nn.Module):
    """The picture's vector, then words: the first state of a recurrent net is what the body saw."""

    def __init__(self, body: nn.Module, words: int) -> None:
        super().__init__()
        width = int(body.out_channels)  # type: ignore[arg-type]
        # The scale of an untrained body's maps means nothing.
        self.body, self.begin = body, nn.Sequential(nn.LayerNorm(width, eps=1e-12), nn.Linear(width, 16))
        self.embed, self.step, self.say = (
            nn.Embedding(words, 16),
            nn.GRU(16, 16, batch_first=True),
            nn.Linear(16, words),
        )

    def forward(self, pictures: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        first = self.begin(self.body(pictures).mean((2, 3)))[None]  # (1, B, 16)
        scores: torch.Tensor = self.say(self.step(self.embed(words), first)[0])
        return scores


def test_a_classifier_begins_a_caption() -> None:
    """Two pictures, two sentences: a frozen body and a recurrent net learn to tell them apart by what was seen."""
    captioner = Captioner(body(SMALL).eval().requires_grad_(False), words=6)
    pictures = torch.stack([torch.rand(3, 64, 64), torch.ones(3, 64, 64)])
    said = torch.tensor([[0, 1, 2, 3], [0, 4, 5, 1]])
    learner = torch.optim.Adam([p for p in captioner.parameters() if p.requires_grad], lr=0.03)
    for _ in range(60):
        scores = captioner(pictures, said[:, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), said[:, 1:].flatten())
        learner.zero_grad()
        loss.backward()
        learner.step()
    assert torch.equal(captioner(pictures, said[:, :-1]).argmax(2), said[:, 1:])


def test_what_is_no_body_is_refused() -> None:
    net = names.net("nets.resnet:resnet18", {"classes": 5})
    with pytest.raises(ValueError, match="the net has no layer 'layer9'"):
        until(net, "layer9")
    with pytest.raises(ValueError, match=r"layer fc gives \(5,\) for a picture"):
        until(net, "fc")


class TwoTasks(nn.Module):
    """The lectures' patch network, its 3,072 values beside 2,220 of another kind: 5,292 under two heads."""

    def __init__(self) -> None:
        super().__init__()
        first = [nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
        second = [nn.MaxPool2d(2), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(1600, 3072)]
        self.trunk = nn.Sequential(*first, *second)
        self.kind, self.place = nn.Linear(5292, 4), nn.Linear(5292, 2)

    def forward(self, patch: torch.Tensor, other: torch.Tensor) -> dict[str, torch.Tensor]:
        joint = torch.cat([self.trunk(patch), other], 1)
        return {"kind": self.kind(joint), "place": self.place(joint)}


def test_two_kinds_of_input_meet_in_the_graph() -> None:
    found = report(TwoTasks, [(1, 25, 25), (2220,)])
    assert found["cat"].shape == (5292,)
    assert found["cat"].inputs == ("trunk.9", "input 2")
    assert found["kind"].inputs == found["place"].inputs == ("cat",)
    assert found.outputs == ((4,), (2,))


def test_each_head_has_a_loss_and_the_trunk_learns_from_all() -> None:
    """The gradient of what heads share is the sum of the gradients of their losses; a head has its own loss's alone."""
    torch.manual_seed(0)
    net = TwoTasks()
    patch, other = torch.randn(3, 1, 25, 25), torch.randn(3, 2220)
    kinds, places = torch.tensor([0, 3, 1]), torch.randn(3, 2)
    shared = [net.trunk[0].weight, net.trunk[9].weight]

    def losses() -> dict[str, torch.Tensor]:
        out = net(patch, other)
        return {
            "kind": nn.functional.cross_entropy(out["kind"], kinds),
            "place": nn.functional.mse_loss(out["place"], places),
        }

    parts = [torch.autograd.grad(losses()[head], shared) for head in ("kind", "place")]
    sum(losses().values()).backward()
    for weight, *alone in zip(shared, *parts, strict=True):
        torch.testing.assert_close(weight.grad, alone[0] + alone[1])
    (own,) = torch.autograd.grad(losses()["kind"], [net.kind.weight])
    torch.testing.assert_close(net.kind.weight.grad, own)
