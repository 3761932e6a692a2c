"""How the receptive field goes through one operation of torch: where its axes move, and what each position sees.

A field knows which axes of its tensor lie along the picture. When a tensor is folded (the rows of a matrix, the
tokens of a transformer) the field remembers the grid, and takes it up again when the tensor is unfolded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vision.receptive import Span

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Field:
    """What the positions of a tensor see.

    Attributes:
        spans: one for each axis of the picture.
        axes: the axes of the tensor that lie along the picture; () when it is folded or has one position.
        grid: shape of the tensor when it last had axes, and those axes.
        picture: sides of the input in pixels.
    """

    spans: tuple[Span, ...]
    axes: tuple[int, ...]
    picture: Shape
    grid: tuple[Shape, Shape] = ((), ())

    @classmethod
    def of_input(cls, shape: Shape) -> Field:
        """Of a picture (B, C, ...) itself."""
        axes = tuple(range(2, len(shape)))
        return cls(tuple(Span() for _ in axes), axes, shape[2:], (shape, axes))

    def merged(self, other: Field) -> Field:
        """Of a tensor made of two."""
        if len(self.spans) != len(other.spans):
            return self if len(self.spans) > len(other.spans) else other
        leading = self if len(self.axes) >= len(other.axes) else other
        return replace(leading, spans=tuple(a.merged(b) for a, b in zip(self.spans, other.spans, strict=True)))

    def each(self, change: Callable[[int, Span], Span]) -> Field:
        """With `change(axis, span)` for every span that has an axis."""
        changed = [change(axis, span) for axis, span in zip(self.axes, self.spans, strict=False)]
        return replace(self, spans=tuple(changed) + self.spans[len(changed) :])


Call = Mapping[str, Any]


def through(name: str, call: Call, field: Field, before: Shape, after: Shape) -> Field:
    """The field behind an operation.

    Args:
        name: of the operation in ATen, without its overload.
        call: its arguments by name.
        field: of its input, whose shape is `before`.
        after: shape of its output.
    """
    if name in ("permute", "transpose", "t"):
        return _permuted(name, call, field, len(before))
    if len(before) == len(after) and name not in ("view", "_unsafe_view", "mm", "addmm"):
        followed = _RULES.get(_family(name), _resized)(call, field, before, after)
        return replace(followed, grid=(after, followed.axes)) if followed.axes else followed
    if _family(name) == "reduced":
        return _reduced(call, field, before, after)
    if name in ("mm", "addmm"):
        return field
    return _reshaped(field, before, after)


def _family(name: str) -> str:
    if name in ("mean", "sum", "amax", "amin", "max", "logsumexp"):
        return "reduced"
    if "adaptive" in name:
        return "adaptive"
    if name.startswith(("upsample_nearest", "_upsample_nearest")):
        return "nearest"
    for family in ("_pool", "_pad", "upsample", "scaled_dot_product"):
        if family in name:
            return family
    return "attention" if name in ("bmm", "baddbmm") else name


def _convolved(call: Call, field: Field, before: Shape, _after: Shape) -> Field:
    kernel = call["weight"].shape[2:]

    def widened(axis: int, span: Span) -> Span:
        at = axis - (len(before) - len(kernel))
        if at < 0:
            return span
        stride, padding, dilation = (_entry(call[n], at) for n in ("stride", "padding", "dilation"))
        behind = span.transposed if call["transposed"] else span.window
        return behind(kernel[at], stride, padding, dilation)

    return field.each(widened)


def _pooled(call: Call, field: Field, before: Shape, _after: Shape) -> Field:
    sides = call["kernel_size"]

    def widened(axis: int, span: Span) -> Span:
        # Some poolings see more axes than the picture has: LRN averages over channels with a 3-d one.
        at = axis - (len(before) - len(sides)) if len(sides) > 1 else 0
        if at < 0:
            return span
        stride = _entry(call.get("stride") or sides, at)
        return span.window(sides[at], stride, _entry(call["padding"], at), _entry(call.get("dilation", [1]), at))

    return field.each(widened)


def _adaptive(_call: Call, field: Field, before: Shape, after: Shape) -> Field:
    return field.each(lambda axis, span: span.adaptive(before[axis], after[axis]))


def _reduced(call: Call, field: Field, before: Shape, after: Shape) -> Field:
    given = call.get("dim")
    dims = range(len(before)) if given in (None, []) else [given] if isinstance(given, int) else given or ()
    gone = {dim % len(before) for dim in dims}
    seen = field.each(lambda axis, span: span.collapsed(before[axis]) if axis in gone else span)
    if not field.axes and len(before) == 3 and 1 in gone:
        seen = _whole(call, field, before, after)
    if len(before) == len(after):
        return seen
    kept = tuple(axis - sum(d < axis for d in gone) for axis in field.axes if axis not in gone)
    return replace(seen, axes=kept if len(kept) == len(field.axes) else ())


def _sliced(call: Call, field: Field, before: Shape, _after: Shape) -> Field:
    start, step = call["start"] or 0, call["step"]
    dim = call["dim"] % len(before)
    first = start + before[dim] if start < 0 else start
    return field.each(lambda axis, span: span.window(1, step, -first) if axis == dim else span)


def _padded(call: Call, field: Field, before: Shape, _after: Shape) -> Field:
    pads = call.get("pad", call.get("padding"))

    def shifted(axis: int, span: Span) -> Span:
        at = 2 * (len(before) - 1 - axis)
        return span.window(1, 1, pads[at]) if pads and at < len(pads) else span

    return field.each(shifted)


def _upsampled(_call: Call, field: Field, before: Shape, after: Shape) -> Field:
    return field.each(lambda axis, span: span.window(2).scaled(before[axis], after[axis]))


def _resized(_call: Call, field: Field, before: Shape, after: Shape) -> Field:
    """Any other operation keeps what each position sees; if there are more or fewer, they lie closer or wider."""
    return field.each(
        lambda axis, span: span if before[axis] == after[axis] else span.scaled(before[axis], max(after[axis], 1))
    )


def _whole(_call: Call, field: Field, _before: Shape, _after: Shape) -> Field:
    """A product between tokens: every position sees the whole picture."""
    sides = zip(field.spans, field.picture, strict=True)
    return replace(field, spans=tuple(Span(min(s.low, 0), max(s.high, side - 1.0), 0.0) for s, side in sides))


def _permuted(name: str, call: Call, field: Field, ndim: int) -> Field:
    order = list(range(ndim))
    if name == "permute":
        order = [dim % ndim for dim in call["dims"]]
    else:
        a, b = (call["dim0"], call["dim1"]) if name == "transpose" else (0, ndim - 1)
        order[a], order[b] = order[b], order[a]
    axes = tuple(order.index(axis) for axis in field.axes)
    shape, at = field.grid
    moved = (tuple(shape[dim] for dim in order), axes) if field.axes and len(shape) == ndim else (shape, at)
    return replace(field, axes=axes, grid=moved)


def _reshaped(field: Field, before: Shape, after: Shape) -> Field:
    """The axes that are still whole go on; a row of all values has one position; else the grid is remembered."""
    if not field.axes:
        shape, axes = field.grid
        same = len(shape) == len(after) and axes and all(shape[a] == after[a] for a in axes)
        return replace(field, axes=axes) if same else field
    found = [_where(axis, before, after) for axis in field.axes]
    if None not in found:
        axes = tuple(axis for axis in found if axis is not None)
        return replace(field, axes=axes, grid=(after, axes))
    folded = replace(field, axes=(), grid=(before, field.axes))
    if len(after) <= 2 and after[0] == before[0]:
        seen = field.each(lambda axis, span: span.collapsed(before[axis]))
        return replace(folded, spans=seen.spans, grid=((), ()))
    return folded


def _where(axis: int, before: Shape, after: Shape) -> int | None:
    """The axis of `after` that is `axis` of `before`: of the same length, with as many values before it."""
    ahead = math.prod(before[:axis])
    same = [n for n, side in enumerate(after) if side == before[axis] and math.prod(after[:n]) == ahead]
    # Axes of length 1 are alike; the one as far from the end is meant.
    return min(same, key=lambda n: abs((len(after) - n) - (len(before) - axis)), default=None)


def _entry(values: Sequence[int], at: int) -> int:
    return values[at] if len(values) > 1 else values[0]


_RULES: dict[str, Callable[[Call, Field, Shape, Shape], Field]] = {
    "convolution": _convolved,
    "_pool": _pooled,
    "adaptive": _adaptive,
    "reduced": _reduced,
    "slice": _sliced,
    "_pad": _padded,
    "upsample": _upsampled,
    "attention": _whole,
    "scaled_dot_product": _whole,
}
