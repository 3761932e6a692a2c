"""JPEGs decoded and resized on a GPU, for when the cores of its machine cannot feed it.

Only what any decoder reads alike goes there (`vision.image.plain_jpeg`), and only to models whose resize a GPU has; all
else, and what fails there, is loaded by the CPU, which also says why a file is broken. Pixels are those of nvJPEG and
of torch's antialiased resize, not Pillow's, so the decoder is part of a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from vision import image
from vision.accumulator import Array
from vision.faults import CorruptImage
from vision.predictor import Loaded, Loader, Look, Pixels
from vision.preprocessing import Preprocessing, centre

_FILTERS = ("bilinear", "bicubic")
_LONGEST = 4096  # pixels of a resized side: past it a picture is so elongated that the CPU shall judge it


def decoder_version() -> str:
    """What made the pixels, for a fingerprint."""
    return f"torchvision-{version('torchvision')} torch-{version('torch')} and {image.decoder_version()}"


def supports(look: Look) -> bool:
    """Whether what a model sees of a picture can be made on a GPU: one crop, resized by a filter that torch has."""
    return isinstance(look, Preprocessing) and (look.resize is None or look.filter in _FILTERS)


class GpuLoader:
    """Encoded images to pixels, as `Loader` makes them, with ordinary JPEGs decoded on a device.

    Args:
        looks: the looks that are wanted; each must be one that `supports` tells of.
        device: "cuda", or "cpu" for the same code without a GPU.
        otherwise: loads what does not go to the device.

    Raises:
        ValueError: if a look cannot be made on a device.
    """

    def __init__(self, looks: Sequence[Look], device: str, otherwise: Loader) -> None:
        self._looks = [look for look in looks if isinstance(look, Preprocessing) and supports(look)]
        if len(self._looks) < len(looks):
            raise ValueError("decode: a GPU makes one crop by a bilinear or bicubic resize only; leave it to the CPU")
        self._device, self._otherwise = device, otherwise

    def load(self, images: Iterable[bytes | CorruptImage]) -> Loaded:
        """The pixels of each image, in order, for each look."""
        rows = list(images)
        made = self._on_device({index: data for index, data in enumerate(rows) if isinstance(data, bytes)})
        rest = [index for index in range(len(rows)) if index not in made]
        others = self._otherwise.load(rows[index] for index in rest)
        place = {index: at for at, index in enumerate(rest)}
        return {
            look: [made[i][at] if i in made else others[look][place[i]] for i in range(len(rows))]
            for at, look in enumerate(self._looks)
        }

    def _on_device(self, images: dict[int, bytes]) -> dict[int, list[Pixels]]:
        """Index to its pixels for each look, of those that the device could decode."""
        plain = [index for index, data in images.items() if self._suits(data)]
        decoded = decode([images[index] for index in plain], self._device)
        kept = {index: picture for index, picture in zip(plain, decoded, strict=True) if picture is not None}
        if not kept:
            return {}
        by_look = [self._fitted(look, list(kept.values())) for look in self._looks]
        return {index: [batch[at] for batch in by_look] for at, index in enumerate(kept)}

    def _suits(self, data: bytes) -> bool:
        size = image.plain_jpeg(data)
        return size is not None and all(max(look.resized_size(*size)) <= _LONGEST for look in self._looks)

    @staticmethod
    def _fitted(look: Preprocessing, pictures: Sequence[Any]) -> Array:
        """(N, h, w, 3) uint8 on the host."""
        import torch

        found: Array = torch.stack([fit(look, picture) for picture in pictures]).permute(0, 2, 3, 1).cpu().numpy()
        return np.ascontiguousarray(found)


def decode(files: Sequence[bytes], device: str) -> list[Any]:
    """(3, H, W) uint8 on the device for each JPEG, None for one that it cannot decode."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    tensors = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
    try:
        return list(decode_jpeg(tensors, mode=ImageReadMode.RGB, device=device)) if tensors else []
    except RuntimeError:  # one of them is damaged; which one is not said
        return [None] if len(files) == 1 else [decode([data], device)[0] for data in files]


def fit(look: Preprocessing, picture: Any) -> Any:
    """A picture resized and cut as a model wants it, on the device where it is.

    Args:
        picture: (3, H, W) uint8.

    Returns:
        (3, h, w) uint8, h and w as `look.size`.
    """
    import torch
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as transforms

    size = look.resized_size(*picture.shape[1:])
    if look.resize is not None:
        picture = transforms.resize(picture, list(size), InterpolationMode(look.filter), antialias=True)
    (top, height, down), (left, width, right) = map(centre, size, look.size)
    part = picture[:, top : top + height, left : left + width]
    if (height, width) == look.size:
        return part
    padded = torch.zeros((3, *look.size), dtype=torch.uint8, device=picture.device)
    padded[:, down : down + height, right : right + width] = part
    return padded
