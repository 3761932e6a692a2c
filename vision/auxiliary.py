"""Nets with auxiliary heads: in training they answer with several logits, and the later ones count less."""

from __future__ import annotations

from typing import Any

AUXILIARY = 0.3
"""Weight of each auxiliary head. Reference: Szegedy et al., "Going deeper with convolutions", CVPR 2015."""


def heads(outputs: Any) -> list[tuple[float, Any]]:
    """(weight, logits) of the last layer, then of each auxiliary head that there is.

    >>> heads(("logits", "first", None))
    [(1.0, 'logits'), (0.3, 'first')]
    """
    found = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [1.0] + [AUXILIARY] * (len(found) - 1)
    return [(weight, head) for weight, head in zip(weights, found, strict=True) if head is not None]


def check_width(outputs: Any, width: int, wanted: str) -> None:
    """Refuse a net whose last layer answers with another number of logits than there are things to choose from.

    Args:
        outputs: of the net for B pictures.
        wanted: the rest of the complaint, such as "the corpus has 10 classes".

    Raises:
        ValueError: if the last layer's are not (B, width).
    """
    _, logits = heads(outputs)[0]
    if getattr(logits, "ndim", 0) != 2 or logits.shape[1] != width:
        raise ValueError(f"the net gives outputs of shape {tuple(getattr(logits, 'shape', ()))} where {wanted}")
