"""Several views of a picture through predict and evaluate: means of single answers, the same bytes however done."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from jobs.compare import compare
from jobs.evaluate import Evaluate
from jobs.predict import Predict
from jobs.spec import SpecError
from tests.making import CLASSES, CorpusMaker, Row, picture, rows_of, tree
from vision import kernel, model
from vision.kernels.eager import Torch
from vision.preprocessing import Preprocessing

KERNELS = [
    "torch",
    pytest.param(
        "openvino", marks=pytest.mark.skipif(not kernel.installed("openvino"), reason="openvino is not installed")
    ),
]
NETS = """
from torch import nn


def windows(classes=3):
    "No layer pads: window 20, jump 4."
    layers = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 3 * 3, classes))


def averaging(classes=3):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


def fixed(classes=3):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(4), Stuck(), nn.Flatten(), nn.Linear(128, classes))


def transformer(classes=3):
    return Patches(classes)


class Patches(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.last = nn.Linear(3, classes)

    def forward(self, x):
        assert x.shape[2] == 20, "Wrong image height!"
        return self.last(x.mean((2, 3)))


class Stuck(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Identity()

    def forward(self, x):
        return self.inner(x)
"""
LOOK = Preprocessing(resize=26, crop=20, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a module with the nets of these tests."""
    from vision import names

    folder = tmp_path_factory.mktemp("code")
    (folder / "view_nets.py").write_text(NETS)
    names.trust(str(folder))
    return str(folder)


@pytest.fixture
def net(tmp_path: Path, code: str) -> str:
    """A small net without padding, whose full layer sees windows of 20 pixels; its weights are drawn."""
    return saved(tmp_path, "windows")


def saved(tmp_path: Path, name: str, look: Preprocessing = LOOK) -> str:
    from vision import names

    torch.manual_seed(3)
    built = names.net(f"view_nets:{name}", {})
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(3)  # answers that differ from picture to picture
    model.save(model.Model(f"view_nets:{name}", look, "", {}, CLASSES), tmp_path / name, net=built)
    return str(tmp_path / name)


def logits(output: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(Path(output or "").rglob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            found[row["id"]] = None if row["logits"] is None else np.array(row["logits"], np.float64)
    return found


def posterior(values: Any) -> Any:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def predicted(corpus: str, folder: str, output: str, **words: Any) -> dict[str, Any]:
    words = {"workers": 0, "keep_logits": True, "kernel": "torch", **words}
    Predict(corpus=corpus, model=(folder,), output=output, **words).run()
    return logits(output)


def wide(width: int, height: int) -> bytes:
    """A PNG whose halves differ."""
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    pixels[:, : width // 2] //= 3
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def crop(data: bytes, number: int, mirrored: bool) -> Any:
    """One of the ten crops, cut by hand from the resized picture: 26 pixels square."""
    whole = Preprocessing(resize=26, crop=20).whole(data)
    top, left = ((0, 0), (0, 6), (6, 0), (6, 6), (3, 3))[number]
    part = whole[top : top + 20, left : left + 20]
    return part[:, ::-1].copy() if mirrored else part


@pytest.mark.parametrize("library", KERNELS)
def test_ten_crops_are_the_mean_of_ten_predictions(make_corpus: CorpusMaker, net: str, library: str) -> None:
    rows = rows_of(9)
    together = predicted(make_corpus(rows), net, "ten", crops="10", kernel=library)
    single = Torch(model.load(net), "cpu", 1)
    for id_, data, _ in rows:
        alone = [single(crop(data, number, flip)[None])[0][0] for flip in (False, True) for number in range(5)]
        np.testing.assert_allclose(
            posterior(together[id_]), np.mean([posterior(one) for one in alone], axis=0), atol=1e-6
        )


@pytest.mark.parametrize("library", KERNELS)
def test_scales_are_the_mean_over_scales(make_corpus: CorpusMaker, tmp_path: Path, code: str, library: str) -> None:
    rows = rows_of(9)
    corpus, parts = make_corpus(rows), []
    for side in (22, 26, 33):
        folder = saved(tmp_path / str(side), "windows", Preprocessing(side, crop=20, mean=LOOK.mean, std=LOOK.std))
        parts.append(predicted(corpus, folder, f"scale-{side}"))
    together = predicted(corpus, folder, "scales", scales=(22, 26, 33), kernel=library)
    for id_, _, _ in rows:
        mean = np.mean([posterior(part[id_]) for part in parts], axis=0)
        np.testing.assert_allclose(posterior(together[id_]), mean, atol=1e-6)


def test_dense_is_the_mean_score_of_the_windows_it_sees(make_corpus: CorpusMaker, net: str) -> None:
    """Every place of the map is a window of 20 pixels, 4 from the next; the mirror image counts as the picture does."""
    rows: list[Row] = [("wide", wide(60, 40), 0), ("square", picture(1, 2, side=41), 1)]
    found = predicted(make_corpus(rows), net, "dense", dense=True, flip=True, scales=(26, 36))
    single = Torch(model.load(net), "cpu", 1)
    for id_, data, _ in rows:
        posteriors = []
        for side in (26, 36):
            whole = Preprocessing(resize=side, crop=20).whole(data)
            assert whole.shape[1] in (side, side * 3 // 2)
            if whole.shape[1] == 39:
                whole = whole[:, :38]  # 20 and whole steps of 2
            for view in (whole, whole[:, ::-1].copy()):
                tops, lefts = range(0, side - 19, 4), range(0, view.shape[1] - 19, 4)
                windows = [view[None, top : top + 20, left : left + 20] for top in tops for left in lefts]
                posteriors.append(posterior(np.mean([single(one)[0][0] for one in windows], axis=0)))
        np.testing.assert_allclose(posterior(found[id_]), np.mean(posteriors, axis=0), atol=1e-6)


@pytest.mark.parametrize("library", KERNELS)
def test_crops_and_dense_count_alike(make_corpus: CorpusMaker, net: str, library: str) -> None:
    corpus = make_corpus(rows_of(6))
    both = predicted(corpus, net, "both", crops="10", dense=True, kernel=library)
    identity = json.loads(Path("both/predictions.json").read_text())["identity"]
    assert identity["kernel"].startswith(library) and identity["dense"].startswith("torch")
    crops, dense = predicted(corpus, net, "c", crops="10"), predicted(corpus, net, "d", dense=True, flip=True)
    for id_ in both:
        mean = (posterior(crops[id_]) + posterior(dense[id_])) / 2
        np.testing.assert_allclose(posterior(both[id_]), mean, atol=1e-6)


def test_a_net_that_averages_its_maps_is_dense_as_it_is(make_corpus: CorpusMaker, tmp_path: Path, code: str) -> None:
    """The mean of the map of scores is the score of the mean: one linear layer follows."""
    rows = rows_of(4)
    folder = saved(tmp_path, "averaging")
    found = predicted(make_corpus(rows), folder, "dense", dense=True)
    built = model.load(folder).build()
    for id_, data, _ in rows:
        pixels = torch.from_numpy(LOOK.normalise(LOOK.whole(data)[None]))
        maps = built[1](built[0](pixels))  # (1, 8, h, w)
        scores = nn.functional.conv2d(maps, built[4].weight[..., None, None], built[4].bias).mean((2, 3))[0]
        np.testing.assert_allclose(posterior(found[id_]), scores.softmax(0).numpy(), atol=1e-5)


def test_shards_workers_and_resumes_give_the_same_bytes(
    make_corpus: CorpusMaker, net: str, code: str, ray_session: None
) -> None:
    rows: list[Row] = [*rows_of(17), ("torn.jpg", b"", 0)]
    corpus = make_corpus(rows, shard_rows=6)
    words = {"max_errors": 0.5, "code": code, "crops": "10", "dense": True, "scales": (26, 33)}
    predicted(corpus, net, "here", **words)
    predicted(corpus, net, "there", **{**words, "workers": 2})
    assert tree("here") == tree("there")
    Path("there/test/part-00001.parquet").unlink()
    predicted(corpus, net, "there", **words)
    assert tree("here") == tree("there")
    whole = make_corpus(rows, "whole", shard_rows=18)
    found = predicted(whole, net, "one", **words)
    for id_, alone in logits("here").items():
        assert np.array_equal(found[id_], alone) if alone is not None else found[id_] is None
    assert logits("here")["torn.jpg"] is None


def test_other_views_never_fill_up_a_half_done_output(make_corpus: CorpusMaker, net: str) -> None:
    corpus = make_corpus(rows_of(10))
    predicted(corpus, net, "out", crops="10")
    Path("out/test/part-00000.parquet").unlink()
    with pytest.raises(SpecError, match=r"out holds other predictions: crops is 5 there and None now"):
        predicted(corpus, net, "out")
    with pytest.raises(SpecError, match=r"flip is True there and None now"):
        predicted(corpus, net, "out", crops="5")
    with pytest.raises(SpecError, match=r"scales is None there and \[26, 33\] now"):
        predicted(corpus, net, "out", crops="10", scales=(26, 33))
    predicted(corpus, net, "out", crops="5", flip=True)
    assert json.loads(Path("out/predictions.json").read_text())["complete"]
    # One crop said aloud is what happens anyway.
    predicted(corpus, net, "plain")
    predicted(corpus, net, "plain", crops="1")


def test_two_ways_of_looking_can_be_compared(make_corpus: CorpusMaker, net: str) -> None:
    corpus = make_corpus(rows_of(30))
    one, ten = (Evaluate(corpus=corpus, model=(net,), workers=0, kernel="torch", crops=c) for c in (None, "10"))
    reports = [one.run(), ten.run()]
    assert reports[0].output != reports[1].output
    answers = [Evaluate(predictions=report.output).answers() for report in reports]
    outcome = compare(answers[0], answers[1], "top1", None, False, "classification")
    assert outcome.estimates["difference"].n == 30


def test_several_models_look_each_in_its_own_way(make_corpus: CorpusMaker, net: str, tmp_path: Path) -> None:
    corpus, other = make_corpus(rows_of(8)), saved(tmp_path, "averaging")
    job = Predict(corpus=corpus, model=(net, other), output="all", workers=0, kernel="torch", crops="5", flip=True)
    Predict.run_all(job.parts(), [_plain(), _plain()])
    for folder in (net, other):
        name = Path(folder).name
        Predict(
            corpus=corpus, model=(folder,), output=f"alone/{name}", workers=0, kernel="torch", crops="5", flip=True
        ).run()
    assert tree("all") == tree("alone")


def _plain() -> Any:
    from jobs.spec import Plain

    return Plain()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"dense": True, "embedding": "0"}, "a map of scores has no one embedding"),
        ({"dense": True, "kernel": "openvino"}, "kernel: openvino answers pictures of one size only"),
        ({"scales": (19,)}, "scale 19 is smaller than the 20 x 20"),
    ],
)
def test_wrong_words_are_named(make_corpus: CorpusMaker, net: str, words: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        predicted(make_corpus(rows_of(4)), net, "out", **words)


@pytest.mark.parametrize(
    ("name", "reason"), [("fixed", "Stuck is not a row of layers"), ("transformer", "Wrong image height!")]
)
def test_a_net_of_one_size_is_refused_where_it_should_see_all(
    make_corpus: CorpusMaker, tmp_path: Path, code: str, name: str, reason: str
) -> None:
    said = f"dense: view_nets:{name} answers pictures of one size only \\({reason}"
    with pytest.raises(ValueError, match=said):
        predicted(make_corpus(rows_of(4)), saved(tmp_path, name), "out", dense=True)


def test_crops_may_be_a_number_in_a_spec() -> None:
    fields = {"corpus": "c", "model": "m", "output": "o"}
    assert Predict.parse({**fields, "crops": 10}) == Predict.parse({**fields, "crops": "10"})
    with pytest.raises(SpecError, match="crops: input should be '1', '5', '10', '25' or '50', got '7'"):
        Predict.parse({**fields, "crops": 7})


def test_embeddings_are_the_mean_over_crops(make_corpus: CorpusMaker, net: str) -> None:
    corpus = make_corpus(rows_of(3))
    predicted(corpus, net, "out", crops="5", embedding="5")
    (path,) = Path("out/test").glob("*.parquet")
    found = pq.read_table(path)["embedding"].to_pylist()
    watched = Torch(model.load(net), "cpu", 1, embedding="5")
    for row, (_, data, _) in zip(found, rows_of(3), strict=True):
        alone = [watched(crop(data, number, False)[None])[1] for number in range(5)]
        np.testing.assert_allclose(row, np.mean(alone, axis=0)[0], atol=1e-6)
