"""The album's LSTM: what padding must not change, what each kind can know, and that it learns from other photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vision.accumulator import Array
from vision.classification.learning import Objective
from vision.geolocation.sequence import Kind, album_lstm, answer, chunks, fit

KINDS: tuple[Kind, ...] = ("plain", "repeated", "bidirectional")


def net_of(kind: Kind) -> Any:
    torch.manual_seed(0)
    return album_lstm(4, 3, kind, units=12)


def albums_of(count: int, seed: int = 0) -> tuple[list[Array], list[Array]]:
    """Albums of one town each, which a single photo of each shows; the rest is noise."""
    generator = np.random.default_rng(seed)
    albums, targets = [], []
    for _ in range(count):
        photos, town = int(generator.integers(3, 8)), int(generator.integers(0, 3))
        album = generator.normal(0, 0.1, (photos, 4)).astype(np.float32)
        album[0 if len(albums) % 2 else -1, town] += 2.0  # the first photo, or the last
        albums.append(album)
        targets.append(np.full(photos, town))
    return albums, targets


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: Kind) -> None:
    albums, _ = albums_of(4)
    net = net_of(kind).eval()
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(a) for a in albums], batch_first=True, padding_value=9.0)
    together = net(padded, torch.tensor([len(a) for a in albums])).detach().numpy()
    for row, album in enumerate(albums):
        assert np.allclose(together[row, : len(album)], answer(net, album), atol=1e-5)


def test_what_each_kind_sees() -> None:
    album = albums_of(1)[0][0]
    other = album.copy()
    other[-1] += 1.0  # the last photo is another one
    changed = {
        kind: np.abs(answer(net_of(kind).eval(), album) - answer(net_of(kind).eval(), other))[0].max() for kind in KINDS
    }
    assert changed["plain"] == 0 and changed["repeated"] > 1e-4 and changed["bidirectional"] > 1e-4


def test_it_learns_what_one_photo_alone_cannot_say() -> None:
    learn = Objective(3, ("a", "b", "c"))
    tested, truths = albums_of(40, seed=9)
    right = {}
    for kind in KINDS:
        losses: dict[int, float] = {}
        net = fit(net_of(kind), *albums_of(60), learn, epochs=40, say=losses.__setitem__)
        hits = [
            (answer(net, album).argmax(axis=1) == truth).mean() for album, truth in zip(tested, truths, strict=True)
        ]
        right[kind] = float(np.mean(hits))
        assert losses[40] < 0.7 * losses[1]
    # Half of the albums show their town last, when one direction has answered all others.
    assert right["plain"] < 0.85 and min(right["repeated"], right["bidirectional"]) > 0.95


def test_chunks() -> None:
    assert [(one.start, one.stop) for one in chunks(60)] == [(0, 25), (25, 50), (50, 60)]
    album = np.zeros((60, 4), np.float32)
    assert answer(net_of("bidirectional").eval(), album, 25).shape == (60, 3)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of plain, repeated, bidirectional, got 'gru'"):
        album_lstm(4, 3, "gru")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an album without photos"):
        fit(net_of("plain"), [np.zeros((0, 4))], [np.zeros(0)], Objective(3, ("a", "b", "c")))
