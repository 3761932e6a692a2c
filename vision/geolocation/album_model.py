"""PlaNet's album model as a model like any other: net, weights, cells, and whose embeddings it reads, in one digest.

It takes no pictures but embeddings of one layer of one model, so both stand in its `decoding`, beside the cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vision.model import Model

if TYPE_CHECKING:
    from vision.geolocation.sequence import Kind

NET = "geolocation.sequence:album_lstm"
_READS = "reads"


def described(body: Model, layer: str, features: int, outputs: int, kind: Kind, units: int) -> Model:
    """The model of an LSTM on embeddings, without its weights.

    Args:
        body: the model that makes the embeddings, whose cells are the outputs.
        layer: whose output they are, of so many `features`.
        kind, units: as `vision.geolocation.sequence.album_lstm` takes them.
    """
    arguments = {"features": features, "outputs": outputs, "kind": kind, "units": units}
    decoding = {**body.decoding, _READS: {"model": body.digest, "layer": layer}}
    return Model(NET, body.preprocessing, "", arguments, None, body.task, None, decoding)


def reads(model: Model) -> Mapping[str, Any] | None:
    """`model`, a digest, and `layer`: the embeddings that an album model reads. None of any other model."""
    found: Mapping[str, Any] | None = model.decoding.get(_READS)
    return found
