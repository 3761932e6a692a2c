"""CIFAR's batches: binary and pickled, in folders and archives, and what hides in a pickle."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.corpora import listed, put, read, tar
from vision.corpora.batches import PNG_BYTES, from_pickle, png, unpickle
from vision.corpora.cifar10 import LAYOUT as CIFAR10
from vision.corpora.cifar100 import LAYOUT as CIFAR100

Array = npt.NDArray[Any]


def batch(rows: int, seed: int) -> tuple[Array, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (rows, 3072), dtype=np.uint8), [int(v) for v in rng.integers(0, 10, rows)]


def binary(rows: int, seed: int) -> bytes:
    data, labels = batch(rows, seed)
    return np.hstack([np.array(labels, np.uint8)[:, None], data]).tobytes()


def pickled(rows: int, seed: int, protocol: int = 2) -> bytes:
    data, labels = batch(rows, seed)
    return pickle.dumps({b"data": data, b"labels": labels, b"batch_label": b"one"}, protocol)


def pixels(data: bytes) -> Array:
    return np.asarray(Image.open(io.BytesIO(data)))


OFFICIAL = {"data_batch_1.bin": binary(3, 1), "data_batch_2.bin": binary(2, 2), "test_batch.bin": binary(2, 3)}
PICKLED = {"data_batch_1": pickled(3, 1), "data_batch_2": pickled(2, 2), "test_batch": pickled(2, 3)}


def test_binary_batches(tmp_path: Path) -> None:
    put(tmp_path / "cifar-10-batches-bin", OFFICIAL)
    listing, rows = listed(CIFAR10, tmp_path)
    assert [row["id"] for row in rows] == [
        "data_batch_1/0", "data_batch_1/1", "data_batch_1/2", "data_batch_2/0", "data_batch_2/1",
        "test_batch/0", "test_batch/1",
    ]  # fmt: skip
    assert [row["split"] for row in rows] == ["train"] * 5 + ["test"] * 2
    assert [row["label"] for row in rows[:3]] == batch(3, 1)[1]
    assert listing.classes is not None and listing.classes[:2] == ("airplane", "automobile")
    assert any("PNG" in note for note in listing.notes)
    images = read(CIFAR10, tmp_path)
    assert {len(image) for image in images} == {PNG_BYTES} == {row["length"] for row in rows}
    wanted = batch(2, 2)[0][1].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(pixels(images[4]), wanted)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickled_batches_give_the_same_records(tmp_path: Path, protocol: int) -> None:
    put(tmp_path / "bin", OFFICIAL)
    put(tmp_path / "py", {name: pickled(r, s, protocol) for name, (r, s) in
                          {"data_batch_1": (3, 1), "data_batch_2": (2, 2), "test_batch": (2, 3)}.items()})  # fmt: skip
    assert read(CIFAR10, tmp_path / "py") == read(CIFAR10, tmp_path / "bin")
    apart = ("file", "modified")
    of = {place: listed(CIFAR10, tmp_path / place)[1] for place in ("py", "bin")}
    same = [[{k: v for k, v in row.items() if k not in apart} for row in of[place]] for place in of]
    assert same[0] == same[1]


def test_the_pickles_of_python_2(tmp_path: Path) -> None:
    # As written by cPickle in 2009: protocol 2, text as bytes, numpy.core.multiarray._reconstruct.
    old = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
        b"\x87Rq\x05(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + bytes(3072) + b"tbU"
        b"\x06labelsq\x08]q\tK\x07au."
    )  # fmt: skip
    put(tmp_path, {"data_batch_1": old})
    _, rows = listed(CIFAR10, tmp_path)
    assert [row["label"] for row in rows] == [7]
    assert pixels(read(CIFAR10, tmp_path)[0]).sum() == 0


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("folder", ["cifar-10-batches-bin", "./cifar-10-batches-py"])
def test_archives_are_read_in_place(tmp_path: Path, mode: str, folder: str) -> None:
    inside = OFFICIAL if folder.endswith("bin") else PICKLED
    name = "cifar.tar.gz" if mode == "w:gz" else "cifar.tar"
    put(tmp_path / "plain", OFFICIAL)
    put(tmp_path, {name: tar([(f"{folder}/{file}", data) for file, data in inside.items()], mode)})
    before = sorted(os.listdir(tmp_path))
    assert read(CIFAR10, tmp_path / name) == read(CIFAR10, tmp_path / "plain")
    assert [row["id"] for row in listed(CIFAR10, tmp_path / name)[1]][-1] == "test_batch/1"
    assert sorted(os.listdir(tmp_path)) == before


def test_a_lone_batch_of_another_size(shared_images: Path) -> None:
    listing, rows = listed(CIFAR10, shared_images / "cifar10/test_batch_1000.bin")
    assert len(rows) == 1000 and rows[17]["id"] == "test_batch_1000/17" and rows[0]["split"] == "test"
    assert [sum(row["label"] == k for row in rows) for k in range(10)] == [100] * 10
    names = (shared_images / "cifar10/batches.meta.txt").read_text().split()
    assert listing.classes == tuple(names)
    assert all(pixels(image).shape == (32, 32, 3) for image in read(CIFAR10, shared_images / "cifar10")[:5])


def test_cifar_100_has_two_labels(tmp_path: Path) -> None:
    data, _ = batch(4, 5)
    fine, coarse = [0, 99, 50, 7], [4, 19, 0, 11]
    put(tmp_path, {
        "py/train": pickle.dumps({b"data": data, b"fine_labels": fine, b"coarse_labels": coarse}, 2),
        "bin/test.bin": np.hstack([np.array([coarse, fine], np.uint8).T, data]).tobytes(),
        "py/meta": pickle.dumps({b"fine_label_names": [b"x%d" % n for n in range(100)]}, 2),
    })  # fmt: skip
    for place, split in (("py", "train"), ("bin", "test")):
        listing, rows = listed(CIFAR100, tmp_path / place)
        assert [(row["label"], row["coarse_label"], row["split"]) for row in rows] == [
            (f, c, split) for f, c in zip(fine, coarse, strict=True)
        ]
        assert listing.classes is not None and len(listing.classes) == 100
        assert listing.classes[0] == ("x0" if place == "py" else "apple")
    assert read(CIFAR100, tmp_path / "py") == read(CIFAR100, tmp_path / "bin")


@pytest.mark.parametrize("cut", [1, 3072, 3074])
def test_a_truncated_batch_is_named(tmp_path: Path, cut: int) -> None:
    put(tmp_path, {**OFFICIAL, "data_batch_2.bin": OFFICIAL["data_batch_2.bin"][:-cut]})
    with pytest.raises(ValueError, match=r"data_batch_2\.bin is truncated"):
        listed(CIFAR10, tmp_path)
    put(tmp_path / "py", {"data_batch_1": PICKLED["data_batch_1"][:-cut]})
    with pytest.raises(ValueError, match="data_batch_1 cannot be read as a pickled batch"):
        listed(CIFAR10, tmp_path / "py")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_archive_is_named(tmp_path: Path, share: float) -> None:
    for name, mode in (("c.tar.gz", "w:gz"), ("c.tar", "w")):
        whole = tar(OFFICIAL.items(), mode)
        # An uncompressed archive ends with blocks of zeros, of which one is enough.
        end = len(whole) if mode == "w:gz" else sum(512 + -(-len(data) // 512) * 512 for data in OFFICIAL.values())
        put(tmp_path, {name: whole[: int(end * share)]})
        with pytest.raises(ValueError, match=rf"{name} is truncated or damaged"):
            listed(CIFAR10, tmp_path / name)


def test_labels_of_something_else_are_refused(tmp_path: Path) -> None:
    data, _ = batch(1, 1)
    put(tmp_path, {"data_batch_1.bin": b"\x0b" + data.tobytes()})
    with pytest.raises(ValueError, match="row 0 has the label 11, of 10"):
        listed(CIFAR10, tmp_path)
    with pytest.raises(ValueError, match="no batches of CIFAR-100"):
        listed(CIFAR100, tmp_path)


def test_batches_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"data_batch_1.bin": binary(1, 1), "data_batch_1": pickled(1, 1)})
    with pytest.raises(ValueError, match="twice"):
        listed(CIFAR10, tmp_path)


class Evil:
    def __init__(self, call: Any, *words: Any) -> None:
        self.reduced = (call, words)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize(
    "content",
    [
        Evil(os.system, "touch hacked"), Evil(eval, "open('hacked', 'w')"), Evil(np.ndarray, (2**40,)),
        np.array([Evil(os.system, "touch hacked")], object), np.zeros(2, [("a", "i4")]), {"data": Path("x")},
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [2, 5])
def test_nothing_runs_out_of_a_pickle(content: Any, protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps(content, protocol)
    with pytest.raises(ValueError, match="cannot be read as a pickled batch"):
        unpickle("data_batch_1", data)
    assert not Path("hacked").exists()


def test_plain_data_comes_through_a_pickle() -> None:
    plain = {"data": np.arange(6, dtype=">u2").reshape(2, 3), "numbers": [1, 2.5, True, None, np.int64(3)], "b": b"x"}
    found = unpickle("x", pickle.dumps(plain, 2))
    assert np.array_equal(found["data"], plain["data"]) and found["numbers"] == [1, 2.5, True, None, 3]
    with pytest.raises(ValueError, match="`fine_labels` is not 1 whole numbers"):
        from_pickle("x", pickle.dumps({"data": np.zeros((1, 3072), np.uint8)}, 2), {"label": "fine_labels"})


def test_the_png_is_a_whole_one() -> None:
    planes = np.arange(3072, dtype=np.uint16).astype(np.uint8)
    image = Image.open(io.BytesIO(png(planes)))
    image.verify()
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
