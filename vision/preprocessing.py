"""What happens to a picture before a net sees it, as data: resize, crop, mean, standard deviation, colour order.

It is part of `model.json`, so two models with the same net and other preprocessing are two models. Its pixels are
those that torchvision's `v2.Resize(size, filter, antialias=True)` and `v2.CenterCrop` give on a PIL image, bit for bit.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from vision.image import MAX_PIXELS, CorruptImage, array, picture
from vision.resampling import FILTERS, Part, resample

Array = npt.NDArray[Any]
Triple = tuple[float, float, float]

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """From a picture of any size to pixels of one size. The defaults are those of torchvision's ImageNet models.

    Attributes:
        resize: shorter side in pixels (the longer one follows, rounded down as torchvision does), or (height, width)
            whatever the proportions, or None to leave the size.
        filter: a key of `vision.resampling.FILTERS`; antialiased but for the nearest ones.
        crop: side of the square cut from the centre; a smaller picture is padded with black. None cuts nothing.
        mean, std: of the net's channels, in the units of pixels scaled to 0..1, in the order that `order` gives.
        order: "RGB" or "BGR", the order in which the net takes its channels. Pixels are always RGB.

    Raises:
        ValueError: if a value makes no sense, or pictures of different sizes would come out.
    """

    resize: int | tuple[int, int] | None = 256
    filter: str = "bilinear"
    crop: int | None = 224
    mean: Triple = _IMAGENET_MEAN
    std: Triple = _IMAGENET_STD
    order: str = "RGB"

    def __post_init__(self) -> None:
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize or 1,) * 2
        if self.resize == 0 or len(sides) != 2 or not all(map(_is_side, sides)):
            raise ValueError(f"resize must be a side in pixels, [height, width] or null, got {self.resize!r}")
        if self.crop is not None and not _is_side(self.crop):
            raise ValueError(f"crop must be a side in pixels or null, got {self.crop!r}")
        if self.filter not in FILTERS:
            raise ValueError(f"filter {self.filter!r} is not one of {', '.join(FILTERS)}")
        if self.order not in ("RGB", "BGR"):
            raise ValueError(f"order must be RGB or BGR, got {self.order!r}")
        for name in ("mean", "std"):
            _check_triple(name, getattr(self, name))
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {list(self.std)}")
        if self.crop is None and not isinstance(self.resize, tuple):
            raise ValueError(
                f"resize {self.resize!r} without a crop gives pictures of different sizes, which make no batch:"
                " give a crop, or resize as [height, width]"
            )

    @classmethod
    def named(cls, name: str) -> Preprocessing:
        """A preset of `PRESETS` by name.

        Raises:
            ValueError: naming the presets, and the nearest one.
        """
        if name not in PRESETS:
            known = ", ".join(PRESETS)
            raise ValueError(f"there is no preprocessing {name!r}, only {known}{_nearest(name, list(PRESETS))}")
        return PRESETS[name]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; what is left out keeps its default, but sizes are given together or not at all.

        Raises:
            ValueError: if a key is unknown (with the nearest one) or a value makes no sense.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"preprocessing must be a mapping of fields, got {values!r}")
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"preprocessing has no field {key!r}{_nearest(str(key), known)}")
        if "crop" in values and "resize" not in values:
            raise ValueError("preprocessing has a crop but no resize: null leaves the size as it is")
        if "resize" in values and "crop" not in values:
            # 224 beside another resize would pad or cut without anyone having asked for it.
            values = {**values, "crop": None}
        plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: tuples as lists, every field there."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    def digest(self) -> str:
        """sha256 of the canonical JSON, 64 hexadecimal digits: equal pixels and statistics, equal digest."""
        values = self.to_dict() | {"mean": [float(v) for v in self.mean], "std": [float(v) for v in self.std]}
        return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every picture that comes out."""
        if self.crop is not None:
            return self.crop, self.crop
        assert isinstance(self.resize, tuple)
        return self.resize

    def load(self, data: bytes, *, max_pixels: int = MAX_PIXELS, shrink: bool = True) -> Array:
        """From a file's bytes to pixels, without an array in between: the path for bulk work.

        Args:
            data: a whole image file; see `vision.image.decode`.
            max_pixels: limit on width times height of the file.
            shrink: let the decoder scale a JPEG at least six times as large as `resize` by 1/2, 1/4 or 1/8, where at
                least three times `resize` is left, `resize` is 64 or more and the scale divides both sides. 1.8 times
                as fast on 2048 x 1536, and 0.3 grey levels off on average, 0.6 at worst, instead of exact (photographs
                and mosaics of photographs at 64 to 256): detail is lost that the exact filter lets through. With less
                than twice left it would be 0.6 to 0.9 on average; with five times, 0.15.

        Returns:
            (h, w, 3) uint8 RGB, h and w as `size`.

        Raises:
            CorruptImage: if there is no picture in `data`, or one too elongated to resize.
        """
        image = picture(data, max_pixels=max_pixels, shrink_to=self._target if shrink else None)
        return self._fit(image)

    def pixels(self, image: Array) -> Array:
        """`load` for a picture already decoded.

        Args:
            image: (H, W, 3) uint8 RGB, H and W at least 1.

        Returns:
            (h, w, 3) uint8 RGB, h and w as `size`.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"image must be (H, W, 3) uint8 and not empty, got {image.shape} {image.dtype}")
        return self._fit(Image.fromarray(np.ascontiguousarray(image)))

    def normalise(self, batch: Array) -> Array:
        """What the net takes: (value / 255 - mean) / std, in single precision and in the net's channel order.

        Args:
            batch: (B, h, w, 3) uint8 RGB.

        Returns:
            (B, 3, h, w) float32.
        """
        if batch.ndim != 4 or batch.shape[3] != 3 or batch.dtype != np.uint8:
            raise ValueError(f"batch must be (B, h, w, 3) uint8, got {batch.shape} {batch.dtype}")
        ordered = batch[..., ::-1] if self.order == "BGR" else batch
        scaled = ordered.transpose(0, 3, 1, 2).astype(np.float32, order="C") / np.float32(255)
        mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (self.mean, self.std))
        normal: Array = (scaled - mean) / std
        return normal

    def whole(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Array:
        """From a file's bytes to the resized picture before anything is cut off: (H, W, 3) uint8 RGB.

        Raises:
            CorruptImage: if there is no picture in `data`, or one too elongated to resize.
        """
        return self.resized(picture(data, max_pixels=max_pixels, shrink_to=self._target))

    def resized(self, image: Image.Image) -> Array:
        """`whole` for a picture already decoded: mode "RGB" or "L" to (H, W, 3) uint8 RGB.

        Raises:
            CorruptImage: if it is too elongated to resize.
        """
        size = self.resized_size(image.height, image.width)
        try:
            return array(resample(image, size, Part(0, 0, *size), self.filter))
        except ValueError as error:
            raise CorruptImage(str(error)) from None

    @property
    def _target(self) -> tuple[int, int] | None:
        """The least that a picture is resized to, for a decoder that can scale."""
        return (self.resize, self.resize) if isinstance(self.resize, int) else self.resize

    def resized_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) before anything is cut off."""
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        short, long = self.resize, int(self.resize * max(height, width) / min(height, width))
        return (short, long) if height <= width else (long, short)

    def _fit(self, image: Image.Image) -> Array:
        resized = self.resized_size(image.height, image.width)
        size = self.size
        (top, height, down), (left, width, right) = map(centre, resized, size)
        try:
            part = array(resample(image, resized, Part(top, left, height, width), self.filter))
        except ValueError as error:
            raise CorruptImage(str(error)) from None
        if (height, width) == size:
            return part
        padded = np.zeros((*size, 3), np.uint8)
        padded[down : down + height, right : right + width] = part
        return padded


def centre(side: int, crop: int) -> tuple[int, int, int]:
    """(first pixel kept, pixels kept, first place they take): torchvision's roundings, which differ."""
    if crop > side:
        return 0, side, (crop - side) // 2
    return round((side - crop) / 2.0), crop, 0


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 16384


def _check_triple(name: str, values: object) -> None:
    numbers = isinstance(values, tuple) and all(type(v) in (int, float) and math.isfinite(v) for v in values)
    if not numbers or len(values) != 3:  # type: ignore[arg-type]
        raise ValueError(f"{name} must be three numbers, got {values!r}")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


PRESETS: dict[str, Preprocessing] = {
    # torchvision's first weights (IMAGENET1K_V1), and most published ImageNet models.
    "imagenet": Preprocessing(),
    # torchvision's second weights (IMAGENET1K_V2) of ResNet, MobileNet, RegNet and others.
    "imagenet_v2": Preprocessing(resize=232),
    "efficientnet_lite0": Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
    # Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
    "clip": Preprocessing(
        resize=224,
        filter="bicubic",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    ),
    # Nets made for pictures of 32 x 32; the statistics of CIFAR-10's training pictures.
    "cifar10": Preprocessing(resize=(32, 32), crop=None, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    # Caffe's reference models: blue first, means in grey levels, no division.
    "caffe": Preprocessing(order="BGR", mean=(103.939 / 255, 116.779 / 255, 123.68 / 255), std=(1 / 255,) * 3),
}
"""Preprocessings by name."""
