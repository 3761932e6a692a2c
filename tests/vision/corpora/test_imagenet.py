"""ImageNet: wnid folders, and the validation list in its three forms."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from tests.corpora import listed, put
from vision.corpora.imagenet import LAYOUT, imagenet_classes, imagenet_wnids

TENCH, GOLDFISH, CRANE_BIRD, CRANE = "n01440764", "n01443537", "n02012849", "n03126707"
VAL = "ILSVRC2012_val_0000000"


def test_the_classes_are_torchvisions_and_no_two_are_equal() -> None:
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert list(imagenet_classes()) == _IMAGENET_CATEGORIES
    assert len(set(imagenet_classes())) == 1000
    assert list(imagenet_wnids()) == sorted(imagenet_wnids())
    assert imagenet_classes()[imagenet_wnids().index(CRANE_BIRD)] == "crane bird"
    assert imagenet_classes()[imagenet_wnids().index(CRANE)] == "crane"


def test_the_wnids_are_timms() -> None:
    timm = pytest.importorskip("timm.data", reason="timm is not installed")
    info = timm.ImageNetInfo("imagenet-1k")
    assert info.label_names() == list(imagenet_wnids())


def test_real_labels_agree(shared_images: Path) -> None:
    with open(shared_images / "imagenet/labels.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 300
    assert all(imagenet_wnids()[int(row["class_index"])] == row["wnid"] for row in rows)


def test_wnid_folders_get_the_indices_of_pretrained_nets(tmp_path: Path) -> None:
    put(tmp_path, {f"train/{GOLDFISH}/a.JPEG": b"x", f"val/{TENCH}/b.JPEG": b"x", f"val/{CRANE}/c.JPEG": b"x"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == imagenet_classes()
    assert [(row["id"], row["split"], row["label"], row["wnid"]) for row in rows] == [
        (f"train/{GOLDFISH}/a.JPEG", "train", 1, GOLDFISH),
        (f"val/{TENCH}/b.JPEG", "val", 0, TENCH),
        (f"val/{CRANE}/c.JPEG", "val", 517, CRANE),
    ]


def test_other_wnids_make_their_own_classes(tmp_path: Path) -> None:
    put(tmp_path, {f"{TENCH}/a.JPEG": b"x", "n99999999/b.JPEG": b"x", "odd/c.JPEG": b"x"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == (TENCH, "n99999999")
    assert [(row["label"], row["split"]) for row in rows] == [(0, None), (1, None)]
    assert any("n99999999 are not among the classes" in note for note in listing.notes)
    assert any("not in a wnid folder (such as odd/c.JPEG)" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOC_val_solution.csv", f"ImageId,PredictionString\n{VAL}1,{CRANE} 1 2 3 4 {CRANE} 5 6 7 8\n{VAL}2,{TENCH}\n"),
        ("val.txt", f"{VAL}1.JPEG {CRANE}\n{VAL}2.JPEG {TENCH}\n"),
        ("val.csv", f"name,class\n{VAL}1.JPEG,517\n{VAL}2.JPEG,0\n"),
    ],
)  # fmt: skip
def test_the_flat_validation_folder_with_a_list(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path, {f"val/{VAL}1.JPEG": b"x", f"val/{VAL}2.JPEG": b"x", name: text.encode()})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == imagenet_classes()
    assert [(row["id"], row["split"], row["label"]) for row in rows] == [
        (f"val/{VAL}1.JPEG", "val", 517), (f"val/{VAL}2.JPEG", "val", 0),
    ]  # fmt: skip


def kit(wnids: list[str]) -> bytes:
    """A development kit's meta.mat in which ILSVRC ids count `wnids` from 1; the last is an inner node."""
    from scipy.io import savemat

    synsets = np.array([(i + 1, w) for i, w in enumerate(wnids)], [("ILSVRC2012_ID", "O"), ("WNID", "O")])
    synsets["ILSVRC2012_ID"][-1] = 1860
    file = io.BytesIO()
    savemat(file, {"synsets": synsets.reshape(-1, 1)})
    return file.getvalue()


def test_ilsvrc_ids_are_translated_by_the_kit_and_never_guessed(tmp_path: Path) -> None:
    truth = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    put(tmp_path, {f"val/{VAL}1.JPEG": b"x", f"val/{VAL}2.JPEG": b"x", truth: b"1\n3\n"})
    with pytest.raises(ValueError, match=r"meta\.mat"):
        listed(LAYOUT, tmp_path)
    put(tmp_path, {"ILSVRC2012_devkit_t12/data/meta.mat": kit([CRANE, GOLDFISH, TENCH, "n00001740"])})
    _, rows = listed(LAYOUT, tmp_path)
    assert [row["wnid"] for row in rows] == [CRANE, TENCH]
    put(tmp_path, {truth: b"1\n4\n"})
    with pytest.raises(ValueError, match="line 2: '4' is not an ILSVRC id"):
        listed(LAYOUT, tmp_path)


def test_lists_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {f"val/{VAL}1.JPEG": b"x", f"val/{VAL}2.JPEG": b"x"})
    with pytest.raises(ValueError, match="no list of their classes"):
        listed(LAYOUT, tmp_path)
    put(tmp_path, {"val.txt": f"{VAL}1.JPEG 1000\n".encode()})
    with pytest.raises(ValueError, match=r"record 1: .*1000"):
        listed(LAYOUT, tmp_path)
    put(tmp_path, {"val.txt": f"{VAL}1.JPEG 3\n".encode()})
    with pytest.raises(ValueError, match=f"{VAL}2.JPEG has no line in the list"):
        listed(LAYOUT, tmp_path)
    put(tmp_path, {"val.txt": "".join(f"{VAL}{n}.JPEG 3\n" for n in (1, 2, 3, 4)).encode()})
    with pytest.raises(ValueError, match=f"2 images of the validation list are missing .*{VAL}3, {VAL}4"):
        listed(LAYOUT, tmp_path)
    listing, rows = listed(LAYOUT, tmp_path, skip_missing=True)
    assert len(rows) == 2 and any("are missing" in note for note in listing.notes)


def test_what_is_not_imagenet_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"cat/1.jpg": b"x"})
    with pytest.raises(ValueError, match="not laid out as ImageNet"):
        listed(LAYOUT, tmp_path)


def test_kaggles_folders_and_unlabelled_test_images(tmp_path: Path) -> None:
    base = "ILSVRC/Data/CLS-LOC"
    put(
        tmp_path,
        {
            f"{base}/train/{TENCH}/a.JPEG": b"x",
            f"{base}/val/{VAL}1.JPEG": b"x",
            f"{base}/test/ILSVRC2012_test_00000001.JPEG": b"x",
            "LOC_val_solution.csv": f"ImageId,PredictionString\n{VAL}1,{CRANE} 1 2 3 4\n".encode(),
        },
    )
    _, rows = listed(LAYOUT, tmp_path)
    assert [(row["split"], row["label"]) for row in rows] == [("test", None), ("train", 0), ("val", 517)]
