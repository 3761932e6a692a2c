"""PlaNet's album model: embeddings of an album's photos, in order, through an LSTM to cells.

One direction sees only the past, so that the first photos of an album profit from nothing. Two ways out, as in the
paper: the album twice, of which the second round answers (`repeated`: by then all has been seen), or both directions
over chunks of 25 photos (`bidirectional`).

PlaNet on Google+ albums, per cent within 1, 25, 200, 750 and 2,500 km: LSTM 32.0/42.1/57.9/75.5/87.9, repeated
34.5/45.6/62.6/79.3/90.5, bidirectional in chunks of 25 33.0/43.0/56.7/73.2/86.1.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, section 4; Hochreiter & Schmidhuber, "Long short-term
memory", Neural Computation 1997.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vision import draws
from vision.accumulator import Array
from vision.training import Costs

if TYPE_CHECKING:
    import torch
    from torch import nn

Kind = Literal["plain", "repeated", "bidirectional"]
CHUNK = 25


def album_lstm(features: int, outputs: int, kind: Kind = "plain", units: int = 256) -> nn.Module:
    """(B, T, features) embeddings and (B,) lengths in, (B, T, outputs) logits out, where t < length.

    Args:
        kind: "plain", "repeated" (the album is read twice) or "bidirectional".
        units: of each direction.

    Raises:
        ValueError: if there is no such kind.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}")
    net: nn.Module = _lstm_class()(features, outputs, kind, units)
    return net


@cache
def _lstm_class() -> Any:
    import torch
    from torch import nn

    class AlbumLstm(nn.Module):
        def __init__(self, features: int, outputs: int, kind: Kind, units: int) -> None:
            super().__init__()
            both = kind == "bidirectional"
            self.kind = kind
            self.lstm = nn.LSTM(features, units, batch_first=True, bidirectional=both)
            self.head = nn.Linear(units * (2 if both else 1), outputs)

        def forward(self, albums: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            read = self._twice(albums, lengths) if self.kind == "repeated" else (albums, lengths)
            packed = nn.utils.rnn.pack_padded_sequence(read[0], read[1], batch_first=True, enforce_sorted=False)
            seen, _ = nn.utils.rnn.pad_packed_sequence(
                self.lstm(packed)[0], batch_first=True, total_length=read[0].shape[1]
            )
            if self.kind == "repeated":
                seen = self._second(seen, lengths, albums.shape[1])
            logits: torch.Tensor = self.head(seen)
            return logits

        def _twice(self, albums: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Each album twice, the second time right after its own end and not after the padding."""
            count, most, width = albums.shape
            twice = albums.new_zeros(count, 2 * most, width)
            for row, length in enumerate(lengths.tolist()):
                twice[row, :length] = twice[row, length : 2 * length] = albums[row, :length]
            return twice, 2 * lengths

        def _second(self, seen: torch.Tensor, lengths: torch.Tensor, most: int) -> torch.Tensor:
            places = lengths[:, None] + torch.arange(most)[None]  # (B, T)
            places = places.clamp(max=seen.shape[1] - 1).to(seen.device)
            return seen.gather(1, places[:, :, None].expand(-1, -1, seen.shape[2]))

    return AlbumLstm


def chunks(count: int, size: int = CHUNK) -> list[slice]:
    """An album of `count` photos in parts of at most `size`, in order."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def fit(
    net: nn.Module,
    albums: Sequence[Array],
    targets: Sequence[Array],
    costs: Costs,
    *,
    epochs: int = 20,
    batch: int = 16,
    learning_rate: float = 3e-3,
    seed: int = 0,
    say: Callable[[int, float], None] | None = None,
) -> nn.Module:
    """Train the net in place, on whole albums; returns it in evaluation mode.

    Args:
        albums: (T_i, D) float32 embeddings of each album in the order of time, of frozen weights.
        targets: (T_i, ...) for each, as `costs.loss` takes rows of them.
        say: takes the number of each epoch and its mean loss for a photo, in nats.

    Raises:
        ValueError: if there are no albums, or one is empty.
    """
    import torch

    if not albums or any(not len(album) for album in albums):
        raise ValueError("there is an album without photos, or none at all")
    optimizer = torch.optim.Adam(net.parameters(), learning_rate)
    net.train()
    for epoch in range(epochs):
        order, total, photos = draws.permutation(len(albums), seed, epoch), 0.0, 0
        for start in range(0, len(albums), batch):
            rows = order[start : start + batch]
            logits, truth = _rows(net, [albums[row] for row in rows], [targets[row] for row in rows])
            loss, _ = costs.loss(logits, truth)
            optimizer.zero_grad()
            (loss / len(truth)).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            total, photos = total + float(loss.detach()), photos + len(truth)
        if say is not None:
            say(epoch + 1, total / photos)
    return net.eval()


def answer(net: nn.Module, album: Array, size: int | None = None) -> Array:
    """(T, K) float32 logits of an album's photos (T, D); with `size`, chunk by chunk."""
    import torch

    parts = []
    with torch.inference_mode():
        for part in chunks(len(album), size or len(album)):
            inputs = torch.from_numpy(np.ascontiguousarray(album[part], np.float32))[None]
            parts.append(net(inputs, torch.tensor([inputs.shape[1]]))[0].numpy())
    found: Array = np.concatenate(parts)
    return found


def _rows(net: nn.Module, albums: Sequence[Array], targets: Sequence[Array]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets of all photos of some albums, one behind the other."""
    import torch

    lengths = torch.tensor([len(album) for album in albums])
    inputs = [torch.from_numpy(np.ascontiguousarray(album, np.float32)) for album in albums]
    padded = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True)
    logits = net(padded, lengths)
    real = torch.arange(padded.shape[1])[None] < lengths[:, None]
    return logits[real], torch.from_numpy(np.concatenate(targets))
