"""Views of a picture: torchvision's crops to the last bit, maps of scores that are windows, and refusals."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from tests.making import picture
from vision.accumulator import Array
from vision.classification.labels import averaged
from vision.image import CorruptImage
from vision.preprocessing import Preprocessing
from vision.protocol import Seen, Views

LOOK = Preprocessing(resize=48, crop=32)


def photo(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 60), (61, 97), (48, 48), (40, 90)])
def test_ten_crops_are_torchvisions_of_the_central_square(width: int, height: int) -> None:
    data = photo(width, height)
    cut = v2.Compose([v2.Resize(48, antialias=True), v2.CenterCrop(48), v2.TenCrop(32)])
    theirs = [np.asarray(one) for one in cut(Image.open(io.BytesIO(data)))]
    found = Views(LOOK, crops=5, flip=True).load(data)
    assert found.windows.shape == (10, 32, 32, 3) and found.wholes == ()
    # It cuts corners from the mirror image, where left is right.
    theirs = [theirs[place] for place in (0, 1, 2, 3, 4, 6, 5, 8, 7, 9)]
    assert all(np.array_equal(ours, one) for ours, one in zip(found.windows, theirs, strict=True))


def test_one_crop_is_that_of_the_preprocessing_and_its_mirror_image() -> None:
    for look in (LOOK, Preprocessing(resize=(40, 56), crop=None), Preprocessing(resize=None, crop=32)):
        data = photo(75, 50)
        alone = look.load(data)
        found = Views(look, flip=True).load(data).windows
        assert np.array_equal(found[0], alone)
        assert np.array_equal(found[1], alone[:, ::-1])


def test_a_grid_reaches_every_corner() -> None:
    data = photo(96, 64)
    whole = LOOK.whole(data)
    found = Views(LOOK, crops=25).load(data).windows
    assert whole.shape == (48, 72, 3) and found.shape == (25, 32, 32, 3)
    for view, corner in zip((0, 4, 20, 24), ((0, 0), (0, 40), (16, 0), (16, 40)), strict=True):
        assert np.array_equal(found[view], whole[corner[0] : corner[0] + 32, corner[1] : corner[1] + 32])


def test_scales_are_those_of_a_preprocessing_each() -> None:
    data = photo(90, 70)
    found = Views(LOOK, scales=(32, 40, 64), dense=True, flip=True).load(data)
    for index, side in enumerate((32, 40, 64)):
        alone = Preprocessing(resize=side, crop=32)
        assert np.array_equal(found.windows[index], alone.load(data))
        assert np.array_equal(found.wholes[index][0], cut_to_steps(alone.whole(data)))
        assert np.array_equal(found.wholes[index][1], cut_to_steps(alone.whole(data))[:, ::-1])


def cut_to_steps(whole: Array) -> Array:
    """The wide picture whose width is 32 and steps of 4, cut from the centre; not below its height."""
    width = max(whole.shape[0], 32 + (whole.shape[1] - 32) // 4 * 4)
    left = (whole.shape[1] - width) // 2
    return whole[:, left : left + width]


def test_whole_pictures_of_vggs_size_have_few_widths() -> None:
    look = Views(Preprocessing(), crops=0, dense=True)
    found = {(w, h): look.load(photo(w, h)).wholes[0].shape[1:3] for w, h in [(400, 300), (500, 375), (300, 400)]}
    assert set(found.values()) == {(256, 320), (320, 256)}  # 341 = 224 + 3 * 32 + 21
    assert look.load(photo(200, 195)).wholes[0].shape[1:3] == (256, 256)
    assert look.load(photo(256, 256)).wholes[0].shape[1:3] == (256, 256)


def test_a_picture_is_decoded_once_however_often_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from vision import protocol

    opened: list[object] = []
    real = protocol.picture
    monkeypatch.setattr(protocol, "picture", lambda *args, **words: opened.append(words) or real(*args, **words))
    Views(LOOK, crops=5, flip=True, dense=True, scales=(40, 48, 64)).load(photo(90, 70))
    assert opened == [{"shrink_to": (64, 64)}]


def test_the_mean_of_logits_is_the_mean_of_posteriors() -> None:
    rng = np.random.default_rng(0)
    views = [rng.normal(0, 8, (4, 7)).astype(np.float32) for _ in range(3)]
    views[0][0] = [800, -800, 0, 0, 0, 0, 0]  # a certain answer, whose others underflow
    found = torch.from_numpy(averaged(views)).softmax(1)
    mean = torch.stack([torch.from_numpy(view).double().softmax(1) for view in views]).mean(0)
    torch.testing.assert_close(found, mean, rtol=1e-12, atol=1e-12)
    assert np.isfinite(averaged([views[0], views[0]])).all()
    alone = [averaged([view[2:3] for view in views]), averaged(views)[2:3]]
    assert np.array_equal(*alone), "an answer does not depend on its neighbours"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="crops must be one of 1, 5, 25, got 3"):
        Views(LOOK, crops=3)
    with pytest.raises(ValueError, match="crops must be one of"):
        Views(LOOK, crops=0)
    with pytest.raises(ValueError, match="scale 31 is smaller than the 32 x 32 pixels"):
        Views(LOOK, scales=(64, 31))
    with pytest.raises(ValueError, match="name one length twice"):
        Views(LOOK, scales=(64, 64))
    with pytest.raises(ValueError, match="5 crops of 28 x 28 would be one and the same"):
        Views(Preprocessing(resize=(28, 28), crop=None), crops=5)
    with pytest.raises(ValueError, match="would be one and the same"):
        Views(Preprocessing(resize=32, crop=32), crops=5)
    with pytest.raises(CorruptImage, match="too elongated to be seen whole: 500x20"):
        Views(LOOK, crops=0, dense=True).load(photo(500, 20))
    with pytest.raises(CorruptImage):
        Views(LOOK, crops=5).load(picture(0, 0)[:200])


def test_a_picture_smaller_than_a_window_is_padded_as_the_preprocessing_pads() -> None:
    look = Preprocessing(resize=None, crop=32)
    data = photo(20, 50)
    found = Views(look, flip=True).load(data)
    assert isinstance(found, Seen)
    assert np.array_equal(found.windows[0], look.load(data))
    assert Views(look, crops=5).load(data).windows.shape == (5, 32, 32, 3)
