"""Parameters and multiply-adds of the lectures' nets, against their printed counts and two independent counters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from vision import names
from vision.architecture import Architecture, report

PARAMETERS = [
    ("nets.lenet:lenet5", {}, (1, 28, 28), 61_706),
    ("nets.alexnet:alexnet", {}, (3, 224, 224), 61_100_840),
    ("nets.alexnet:alexnet_2012", {}, (3, 224, 224), 60_965_224),
    ("nets.zeiler:zeiler_fergus", {}, (3, 224, 224), 62_357_608),
    ("nets.overfeat:overfeat_fast", {}, (3, 231, 231), 145_920_872),
    ("nets.vgg:vgg_a", {}, (3, 224, 224), 132_863_336),
    ("nets.vgg:vgg_a_lrn", {}, (3, 224, 224), 132_863_336),
    ("nets.vgg:vgg_b", {}, (3, 224, 224), 133_047_848),
    ("nets.vgg:vgg_c", {}, (3, 224, 224), 133_638_952),
    ("nets.vgg:vgg_d", {}, (3, 224, 224), 138_357_544),
    ("nets.vgg:vgg_e", {}, (3, 224, 224), 143_667_240),
    ("nets.googlenet:googlenet", {}, (3, 224, 224), 13_004_888),
    ("nets.googlenet:googlenet", {"auxiliary": False}, (3, 224, 224), 6_624_904),
    ("nets.resnet:resnet18", {}, (3, 224, 224), 11_689_512),
    ("nets.resnet:resnet34", {}, (3, 224, 224), 21_797_672),
    ("nets.resnet:resnet50", {}, (3, 224, 224), 25_557_032),
    ("nets.resnet:resnet101", {}, (3, 224, 224), 44_549_160),
    ("nets.resnet:resnet152", {}, (3, 224, 224), 60_192_808),
    ("nets.resnet:plain18", {}, (3, 224, 224), 11_689_512 - 173_824),
    ("nets.resnet:plain34", {}, (3, 224, 224), 21_797_672 - 173_824),
    *[
        (f"nets.resnet:{kind}{depth}", {}, (3, 32, 32), count)
        for kind in ("resnet", "plain")
        for depth, count in ((20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962))
    ],
    ("nets.mobilenet:mobilenet_v1", {}, (3, 224, 224), 4_231_976),
    ("nets.mobilenet:mobilenet_v2", {}, (3, 224, 224), 3_504_872),
    ("nets.mobilenet:mobilenet_v3_small", {}, (3, 224, 224), 2_542_856),
    ("nets.mobilenet:mobilenet_v3_large", {}, (3, 224, 224), 5_483_032),
]


def of(name: str, shape: tuple[int, ...], **arguments: Any) -> Architecture:
    return report(lambda: names.net(name, arguments), [shape])


@pytest.mark.parametrize(("name", "arguments", "shape", "count"), PARAMETERS)
def test_parameters_and_multiply_adds(name: str, arguments: dict[str, Any], shape: tuple[int, ...], count: int) -> None:
    found = of(name, shape, **arguments)
    assert found.parameters == count
    with torch.device("meta"):
        net = names.net(name, arguments).eval()
        assert sum(p.numel() for p in net.parameters()) == count
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.zeros(1, *shape))
    assert 2 * found.macs == counter.get_total_flops()
    assert found.outputs == ((10 if max(shape) < 64 else 1000,),)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("nets.alexnet:alexnet", torchvision.models.AlexNet_Weights.IMAGENET1K_V1),
        ("nets.vgg:vgg_a", torchvision.models.VGG11_Weights.IMAGENET1K_V1),
        ("nets.vgg:vgg_e", torchvision.models.VGG19_Weights.IMAGENET1K_V1),
        ("nets.googlenet:googlenet", torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1),
        ("nets.resnet:resnet50", torchvision.models.ResNet50_Weights.IMAGENET1K_V1),
        ("nets.mobilenet:mobilenet_v2", torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1),
        ("torchvision.models:vit_b_16", torchvision.models.ViT_B_16_Weights.IMAGENET1K_V1),
        ("torchvision.models:swin_t", torchvision.models.Swin_T_Weights.IMAGENET1K_V1),
        ("torchvision.models:convnext_tiny", torchvision.models.ConvNeXt_Tiny_Weights.IMAGENET1K_V1),
    ],
)
def test_multiply_adds_as_torchvision_publishes_them(name: str, weights: Any) -> None:
    """Its `_ops` are thousand millions, told with three places; it leaves out attention's products in swin."""
    found = of(name, (3, 224, 224))
    assert found.macs / 1e9 == pytest.approx(weights.meta["_ops"], rel=0.02)


def test_alexnet_s_first_full_layer() -> None:
    """E3: it sees 6 x 6 x 256 = 9,216 responses, and holds 37,748,736 weights; 2,359,296 is 256 x 9,216."""
    sixth = of("nets.alexnet:alexnet", (3, 224, 224))["classifier.1"]
    assert 6 * 6 * 256 == 9_216
    assert sixth.macs == 9_216 * 4096 == 37_748_736
    assert sixth.parameters == 37_748_736 + 4096


def test_the_net_of_2012_has_650_080_units_in_its_convolutions() -> None:
    found = of("nets.alexnet:alexnet_2012", (3, 224, 224))
    sizes = [layer.shape for layer in found.layers if layer.kind == "Conv2d"]
    assert sizes == [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]
    assert sum(c * h * w for c, h, w in sizes) == 650_080
    assert sum(layer.kind in ("Conv2d", "Linear") for layer in found.layers) == 8


def test_weights_and_multiply_adds_of_a_1x1_convolution() -> None:
    """E4: 65,536 is the number of weights; 11,075,584 that of multiply-adds, not of parameters."""
    found = report(lambda: torch.nn.Conv2d(64, 1024, 1, bias=False), [(64, 13, 13)])
    assert (found.parameters, found.macs) == (65_536, 11_075_584)
    assert found.layers[0].name == "net"


def test_a_separable_convolution_costs_its_share() -> None:
    """1 / N + 1 / D^2 of the multiply-adds, for N filters of side D."""
    from vision.nets.mobilenet import separable

    full = report(lambda: torch.nn.Conv2d(128, 256, 3, padding=1, bias=False), [(128, 28, 28)])
    parted = report(lambda: separable(128, 256), [(128, 28, 28)])
    assert parted.macs / full.macs == pytest.approx(1 / 256 + 1 / 9, rel=1e-12)


def test_reduction_makes_inception_cheaper_and_narrower() -> None:
    """The module 3a of GoogLeNet's table 1, with the same filters, with and without reduction."""
    from vision.nets.layers import inception_naive, inception_reduced

    naive = report(lambda: inception_naive(192, 64, 128, 32), [(192, 28, 28)])
    reduced = report(lambda: inception_reduced(192, 64, 96, 128, 16, 32, 32), [(192, 28, 28)])
    assert naive.outputs == ((64 + 128 + 32 + 192, 28, 28),)
    assert reduced.outputs == ((256, 28, 28),)
    # Table 1 tells 159K parameters and 128M operations for 3a; its own filters give 163,696 with biases.
    assert reduced.parameters == 163_696
    assert reduced.macs == 28 * 28 * (192 * 64 + 192 * 96 + 9 * 96 * 128 + 192 * 16 + 25 * 16 * 32 + 192 * 32)
    assert naive.macs == 28 * 28 * 192 * (64 + 9 * 128 + 25 * 32)
    assert reduced.macs < naive.macs / 2
    assert {layer.field for layer in reduced.layers if layer.name == "concatenate" or layer.kind == "cat"} == {(5, 5)}


def test_vgg_c_has_1x1_convolutions_where_d_has_3x3() -> None:
    c, d = of("nets.vgg:vgg_c", (3, 224, 224)), of("nets.vgg:vgg_d", (3, 224, 224))
    assert d.parameters - c.parameters == 8 * (256**2 + 2 * 512**2)
    assert [len([x for x in n.layers if x.kind in ("Conv2d", "Linear")]) for n in (c, d)] == [16, 16]


def test_timm_s_mobilenet_v1_has_the_same_count() -> None:
    timm = pytest.importorskip("timm")
    other = timm.create_model("mobilenetv1_100", pretrained=False)
    assert sum(p.numel() for p in other.parameters()) == of("nets.mobilenet:mobilenet_v1", (3, 224, 224)).parameters
