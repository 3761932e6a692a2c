"""Several views of one picture, whose answers are averaged: the evaluation protocols of the ImageNet years.

- **crops**: windows of the model's own size cut out of the resized picture. 5: the corners and the centre of its
  central square, as Krizhevsky et al. cut them; with their mirror images, the ten crops. 25: a regular grid over the
  whole picture; with mirror images and three scales, the 150 crops of Simonyan & Zisserman.
- **dense**: the net over the whole resized picture, its full layers turned into convolutions, the map of scores
  averaged (`vision.nets.overfeat`). Pictures keep their proportions, so their sizes differ, and each is answered alone,
  in torch. Its longer side loses what is no whole step (a seventh of the model's size, half at each end): a net whose
  windows lie a step apart would not see it, and a size that was never met costs ten times one that was.
- **scales**: all of that with the shorter side at several lengths Q.

Posteriors are averaged over all views of a kind (of a map: scores over its places, as Simonyan & Zisserman do), and
the two kinds count alike where both are asked for. A picture is decoded once, for its largest scale; so a JPEG six
times as large as a smaller scale differs there by 0.3 grey levels from what that scale alone would see.

References: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012,
section 4.1; Sermanet et al., "OverFeat", 2014; Simonyan & Zisserman, "Very deep convolutional networks", 2015,
sections 3.2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.image import CorruptImage, picture
from vision.preprocessing import Preprocessing

CROPS = (0, 1, 5, 25)
_STEPS = 7  # places along the last map of most nets, at the size they are made for
_LONGEST = 16
"""Long side over short side past which a picture is not seen whole: its map would cost as much as many pictures."""


@dataclass(frozen=True)
class Seen:
    """The views of one picture.

    Attributes:
        windows: (V, h, w, 3) uint8 of the model's own size; V is 0 where none are asked for.
        wholes: for each scale (F, H, W, 3) uint8, the resized picture and, with F = 2, its mirror image.
    """

    windows: Array
    wholes: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Views:
    """How a picture is looked at.

    Attributes:
        preprocessing: the model's own, which says the size of a window.
        crops: windows of each scale, 0, 1, 5 or 25.
        flip: add the mirror image of every view.
        dense: look at the whole picture too.
        scales: lengths of the shorter side, in pixels; none: as the preprocessing resizes.

    Raises:
        ValueError: if nothing is looked at, a scale is smaller than a window, or crops would all be the same.
    """

    preprocessing: Preprocessing
    crops: int = 1
    flip: bool = False
    dense: bool = False
    scales: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.crops not in CROPS or not (self.crops or self.dense):
            raise ValueError(f"crops must be one of {', '.join(map(str, CROPS[1:]))}, got {self.crops}")
        if len(set(self.scales)) < len(self.scales):
            raise ValueError(f"scales {', '.join(map(str, self.scales))} name one length twice")
        high, wide = self.preprocessing.size
        for side in self.scales:
            if side < max(high, wide):
                raise ValueError(f"scale {side} is smaller than the {high} x {wide} pixels that the model takes")
        if self.crops > 1 and not self._room():
            raise ValueError(
                f"{self.crops} crops of {high} x {wide} would be one and the same: the picture is resized to that size;"
                " give scales above it"
            )

    def _room(self) -> bool:
        """Whether a window can move in some picture."""
        look, size = self.preprocessing, self.preprocessing.size
        if self.scales:
            return max(self.scales) > min(size)
        if isinstance(look.resize, tuple):
            return look.resize != size
        return look.resize is None or look.resize > min(size)

    @property
    def trivial(self) -> bool:
        """Whether this is what the preprocessing does by itself."""
        return (self.crops, self.flip, self.dense, self.scales) == (1, False, False, ())

    def facts(self) -> dict[str, Any]:
        """What differs from one crop, as plain values for a fingerprint."""
        said = {"crops": self.crops, "flip": self.flip, "dense": self.dense, "scales": list(self.scales)}
        usual = {"crops": 1, "flip": False, "dense": False, "scales": list[int]()}
        return {name: value for name, value in said.items() if value != usual[name]}

    @property
    def cost(self) -> int:
        """How many pictures of the model's own size have as many pixels as the views, at proportions of 3 : 2."""
        high, wide = self.preprocessing.size
        mirrored, times = 1 + self.flip, len(self._looks())
        sides = self.scales or (max(high, wide),)
        areas = sum(-(-3 * side**2 // (2 * high * wide)) for side in sides) if self.dense else 0
        return mirrored * (self.crops * times + areas)

    def load(self, data: bytes) -> Seen:
        """From a file's bytes to the views of the picture in it.

        Raises:
            CorruptImage: if there is no picture, or one too elongated.
        """
        found = picture(data, shrink_to=self._largest())
        if self.dense and max(found.size) > _LONGEST * min(found.size):
            raise CorruptImage(f"too elongated to be seen whole: {found.width}x{found.height} pixels")
        scaled = [look.resized(found) for look in self._looks()]
        wholes = [_in_steps(whole, self.preprocessing.size) for whole in scaled] if self.dense else []
        return Seen(self._windows(scaled), tuple(_mirrored(whole[None], self.flip) for whole in wholes))

    def _windows(self, scaled: list[Array]) -> Array:
        size = self.preprocessing.size
        found = [_cut(_padded(whole, size), place, size) for whole in scaled for place in self._places(whole, size)]
        return _mirrored(np.stack(found), self.flip) if found else np.empty((0, *size, 3), np.uint8)

    def _places(self, whole: Array, size: tuple[int, int]) -> list[tuple[int, int]]:
        """(top, left) of each window."""
        height, width = (max(side, least) for side, least in zip(whole.shape[:2], size, strict=True))
        if self.crops == 1:
            return [(_middle(height, size[0]), _middle(width, size[1]))]
        if self.crops == 25:
            tops, lefts = (np.linspace(0, side - own, 5) for side, own in zip((height, width), size, strict=True))
            return [(round(top), round(left)) for top in tops for left in lefts]
        return _corners_and_centre(height, width, size) if self.crops else []

    def _looks(self) -> list[Preprocessing]:
        return [replace(self.preprocessing, resize=side, crop=1) for side in self.scales] or [self.preprocessing]

    def _largest(self) -> tuple[int, int] | None:
        """The most that the picture is resized to, for a decoder that can scale."""
        if self.scales:
            return max(self.scales), max(self.scales)
        resize = self.preprocessing.resize
        return (resize, resize) if isinstance(resize, int) else resize


def _corners_and_centre(height: int, width: int, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Of the central square: top left, top right, bottom left, bottom right, centre."""
    square = min(height, width)
    high, wide = max(square, size[0]), max(square, size[1])
    top, left = _middle(height, high), _middle(width, wide)
    down, right = high - size[0], wide - size[1]
    corners = [(top, left), (top, left + right), (top + down, left), (top + down, left + right)]
    return [*corners, (top + _middle(high, size[0]), left + _middle(wide, size[1]))]


def _middle(side: int, own: int) -> int:
    """The first pixel of what is cut from the centre, rounded as torchvision does."""
    return round((side - own) / 2.0)


def _in_steps(whole: Array, size: tuple[int, int]) -> Array:
    """The picture, its longer side cut at both ends to the model's own and whole steps, but not below the other.

    VGG's 224 at a shorter side of 256: 341 pixels become 224 + 3 * 32 = 320.
    """
    longer = int(whole.shape[1] > whole.shape[0])
    side, own = whole.shape[longer], size[longer]
    step = max(1, own // _STEPS)
    kept = min(side, max(whole.shape[1 - longer], own + (side - own) // step * step))
    start = (side - kept) // 2
    return whole[:, start : start + kept] if longer else whole[start : start + kept]


def _cut(whole: Array, place: tuple[int, int], size: tuple[int, int]) -> Array:
    return whole[place[0] : place[0] + size[0], place[1] : place[1] + size[1]]


def _padded(whole: Array, size: tuple[int, int]) -> Array:
    """The picture with black round it where it is smaller than a window."""
    missing = [max(own - side, 0) for side, own in zip(whole.shape[:2], size, strict=True)]
    if not any(missing):
        return whole
    return np.pad(whole, [*((lacks // 2, lacks - lacks // 2) for lacks in missing), (0, 0)])


def _mirrored(views: Array, flip: bool) -> Array:
    """(V, H, W, 3) views, followed by their mirror images."""
    return np.concatenate([views, views[:, :, ::-1]]) if flip else views
