"""Layouts are found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vision import corpora, names
from vision.layout import Layout


def test_every_known_layout_is_found_under_its_own_name() -> None:
    assert corpora.known() == [
        "cifar10",
        "cifar100",
        "coco",
        "geotagged",
        "imagefolder",
        "imagenet",
        "table",
        "webdataset",
    ]
    for name in corpora.known():
        assert corpora.find(name).name == name


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="no layout 'imagefoldr'; did you mean imagefolder"):
        corpora.find("imagefoldr")


def test_a_layout_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_own_layouts.py").write_text(
        "import pyarrow as pa\nfrom vision.layout import Layout, Listing\n"
        "mine = Layout('mine', lambda source, options: Listing(pa.schema([]), ()))\nother = dict\n"
    )
    with pytest.raises(ValueError, match="--code"):
        corpora.find("my_own_layouts:mine")
    names.trust(str(tmp_path))
    assert isinstance(corpora.find("my_own_layouts:mine"), Layout)
    with pytest.raises(ValueError, match="is not a layout but a type"):
        corpora.find("my_own_layouts:other")
