"""Volumes of every format are the array that was written, with voxel size and offset; what is broken is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jobs.spec import JobFailed, SpecError
from jobs.volumes.opening import opened
from vision.accumulator import Array
from vision.connectomics.blocks import Box

for module in ("zarr", "h5py", "tensorstore", "tifffile"):
    pytest.importorskip(module)

BOX = Box((3, 10, 21), (11, 25, 50))
SIZE, OFFSET = (40.0, 4.0, 5.0), (400.0, 8.0, 15.0)
WHOLE = np.random.default_rng(7).integers(0, 250, (20, 40, 60)).astype(np.uint8)

Maker = Callable[[Array], str]


def npz(values: Array) -> str:
    np.savez_compressed("v.npz", raw=values, other=values[:2], voxel_nm=SIZE, offset_nm=OFFSET)
    return "v.npz#raw"


def npy(values: Array) -> str:
    np.save("v.npy", values)
    return "v.npy"


def hdf5(values: Array) -> str:
    import h5py

    with h5py.File("v.h5", "w") as file:
        found = file.create_dataset("volumes/raw", data=values, chunks=(8, 16, 16), compression="gzip")
        found.attrs["resolution"], found.attrs["offset"] = SIZE, OFFSET
    return "v.h5#volumes/raw"


def zarr3(values: Array) -> str:
    import zarr

    from vision.corpora import ngff

    group = zarr.create_group("v.zarr", attributes=ngff.written("v", SIZE, OFFSET, ("s0", "s1")))
    for name, array in (("s0", values), ("s1", values[::2, ::2, ::2])):
        made = group.create_array(name, shape=array.shape, dtype=array.dtype, chunks=(8, 8, 8), shards=(16, 16, 16))
        made[:] = array
    return "v.zarr"


def zarr2(values: Array) -> str:
    """As OME-NGFF 0.4 has it: (t, c, z, y, x), micrometres, a translation of the whole pyramid."""
    import zarr

    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = {"type": "scale", "scale": [1, 1, *(s / 1000 for s in SIZE)]}
    moved = {"type": "translation", "translation": [0, 0, *(o / 1000 for o in OFFSET)]}
    pyramid = {
        "version": "0.4", "axes": axes, "coordinateTransformations": [moved],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }  # fmt: skip
    group = zarr.create_group("v2.zarr", zarr_format=2, attributes={"multiscales": [pyramid]})
    group.create_array("0", shape=(1, 1, *values.shape), dtype=values.dtype, chunks=(1, 1, 8, 8, 8))[0, 0] = values
    return "v2.zarr"


def plain_zarr(values: Array) -> str:
    """funlib's way: attributes of the array itself."""
    import zarr

    attributes = {"voxel_size": list(SIZE), "offset": list(OFFSET), "units": ["nm"] * 3}
    group = zarr.create_group("p.zarr", zarr_format=2)
    made = group.create_array("volumes/raw", shape=values.shape, dtype=values.dtype, chunks=(8, 8, 8))
    made.attrs.update(attributes)
    made[:] = values
    return "p.zarr#volumes/raw"


def n5(values: Array) -> str:
    import tensorstore as ts

    metadata = {
        "dimensions": list(reversed(values.shape)), "blockSize": [16, 8, 8], "dataType": str(values.dtype),
        "compression": {"type": "gzip"},
    }  # fmt: skip
    spec = {"driver": "n5", "kvstore": {"driver": "file", "path": "v.n5/raw/s0/"}, "metadata": metadata}
    ts.open(spec, create=True).result().write(values.T).result()
    told = json.loads(Path("v.n5/raw/s0/attributes.json").read_text())
    told |= {"resolution": list(reversed(SIZE)), "offset": list(reversed(OFFSET))}
    Path("v.n5/raw/s0/attributes.json").write_text(json.dumps(told))
    return "v.n5#raw"


def precomputed(values: Array) -> str:
    import tensorstore as ts

    offset = [round(o / s) for o, s in zip(OFFSET, SIZE, strict=True)]
    spec = {
        "driver": "neuroglancer_precomputed", "kvstore": {"driver": "file", "path": "v.precomputed/"},
        "multiscale_metadata": {"data_type": str(values.dtype), "num_channels": 1, "type": "image"},
        "scale_metadata": {
            "size": list(reversed(values.shape)), "encoding": "raw", "chunk_size": [16, 16, 16],
            "resolution": list(reversed(SIZE)), "voxel_offset": list(reversed(offset)),
        },
    }  # fmt: skip
    ts.open(spec, create=True).result()[..., 0].write(values.T).result()
    return "v.precomputed"


def tiff(values: Array) -> str:
    import tifffile

    about = {"spacing": SIZE[0], "unit": "nm", "axes": "ZYX"}
    tifffile.imwrite("v.tif", values, imagej=True, metadata=about, resolution=(1 / SIZE[2], 1 / SIZE[1]))
    return "v.tif"


def compressed_tiff(values: Array) -> str:
    import tifffile

    tifffile.imwrite("c.tif", values, photometric="minisblack", compression="zlib")
    return "c.tif"


def sections(values: Array) -> str:
    from PIL import Image

    Path("sections").mkdir()
    for z, section in enumerate(values):
        Image.fromarray(section).save(f"sections/s{z}.png")  # s10 comes after s9
    Path("sections/notes.txt").write_text("not a section")
    return "sections"


MAKERS = (npz, npy, hdf5, zarr3, zarr2, plain_zarr, n5, precomputed, tiff, compressed_tiff, sections)
PLACED = (npz, hdf5, zarr3, zarr2, plain_zarr, n5, precomputed)


@pytest.mark.parametrize("make", MAKERS)
def test_a_box_of_any_format_is_that_of_the_array(make: Maker) -> None:
    found = opened(make(WHOLE), "volume")
    assert (found.volume.shape, found.volume.dtype, found.volume.channels) == (WHOLE.shape, "uint8", 0)
    np.testing.assert_array_equal(found.read(BOX), WHOLE[BOX.slices])
    np.testing.assert_array_equal(found.read(Box((0, 0, 0), WHOLE.shape)), WHOLE)


@pytest.mark.parametrize("make", PLACED)
def test_voxel_size_and_offset_are_known(make: Maker) -> None:
    volume = opened(make(WHOLE), "volume").volume
    np.testing.assert_allclose(volume.voxel_nm, SIZE)
    np.testing.assert_allclose(volume.offset_nm, OFFSET if make is not precomputed else (400, 8, 15))


def test_a_scale_of_a_pyramid_has_its_own_size() -> None:
    found = opened(zarr3(WHOLE), "volume", 1)
    assert found.volume.shape == (10, 20, 30) and found.volume.voxel_nm == (80.0, 8.0, 10.0)
    np.testing.assert_allclose(found.volume.offset_nm, (420, 10, 17.5))  # of the middle of two voxels
    np.testing.assert_array_equal(found.read(Box((1, 2, 3), (5, 6, 7))), WHOLE[::2, ::2, ::2][1:5, 2:6, 3:7])


def test_ids_of_64_bits_survive() -> None:
    ids = WHOLE.astype(np.uint64) + np.uint64(2**63)
    for make in (npz, hdf5, zarr3, n5, precomputed):
        np.testing.assert_array_equal(opened(make(ids), "truth", labels=True).read(BOX), ids[BOX.slices])


def test_sections_of_16_bits() -> None:
    found = opened(sections(WHOLE.astype(np.uint16) * 200), "truth", labels=True)
    assert found.volume.dtype == "uint16"
    np.testing.assert_array_equal(found.read(BOX), WHOLE[BOX.slices].astype(np.uint16) * 200)


def test_affinities_have_their_channels_in_front() -> None:
    np.savez("a.npz", a=np.stack([WHOLE, WHOLE + 1, WHOLE + 2]))
    found = opened("a.npz", "affinities")
    assert (found.volume.channels, found.volume.shape) == (3, WHOLE.shape)
    np.testing.assert_array_equal(found.read(BOX)[2], WHOLE[BOX.slices] + 2)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("nothing.npz#raw", r"volume: .*/nothing.npz#raw: no such volume"),
        ("nothing.h5#raw", r"volume: .*: no such volume"),
        ("nothing.tif", r"volume: .*: no such volume"),
        ("nothing.zarr", r"volume: .*: no such volume"),
        ("v.npz#row", r"volume: .*v.npz#row has no array 'row'; did you mean raw\? \(there are: raw, other"),
        ("v.npz", r"volume: .* holds several arrays: name one as .*v.npz#KEY \(there are: raw, other"),
        ("v.h5#volumes/row", r"volume: .* has no array 'volumes/row'; did you mean volumes/raw\?"),
        ("v.zarr#s7", r"volume: .* has no array 's7'; did you mean s1\? \(there are: s0, s1\)"),
        ("v.n5#rew", r"volume: .* has no array 'rew'; did you mean raw\?"),
        ("v.tif#x", r"volume: .*v.tif#x: only npz and HDF5 files hold arrays by key"),
        ("flat.npz", r"volume: .*flat.npz has 2 dimensions \(20, 40\); a volume is \(z, y, x\) or \(c, z, y, x\)"),
        ("words.npz", r"volume: .*words.npz holds <U3 and not numbers"),
        ("none.npz", r"volume: .*none.npz has no voxels: its shape is \(0, 4, 4\)"),
        ("half.npz", r"volume: .*half.npz is damaged or no npz file"),
        ("half.npy", r"volume: .*half.npy is damaged or no npy file"),
        ("half.h5", r"volume: .*half.h5 is damaged or no HDF5 file"),
        ("half.tif", r"volume: .*half.tif is damaged or no TIFF file"),
        ("half_c.tif", r"volume: .*half_c.tif is damaged or no TIFF file"),
        ("half.zarr", r"volume: .*half.zarr is damaged: its metadata make no sense"),
        ("half", r"volume: .*half/a.png: .*PNG"),
        ("empty", r"volume: .*empty is no volume: no zarr.json, .zarray, attributes.json or info, and no sections"),
        ("gs://bucket/v.npz", r"volume: gs://bucket/v.npz: only local paths and s3:// are understood"),
    ],
)
def test_what_cannot_be_read_is_one_line(name: str, line: str) -> None:
    for make in (npz, hdf5, zarr3, n5, tiff, npy, compressed_tiff):
        make(WHOLE)
    data = Path("c.tif").read_bytes()
    Path("half_c.tif").write_bytes(data[: len(data) // 2])
    np.savez("flat.npz", a=WHOLE[:, :, 0])
    np.savez("words.npz", a=np.full((2, 2, 2), "abc"))
    np.savez("none.npz", a=WHOLE[:0, :4, :4])
    for file in ("v.npz", "v.npy", "v.h5", "v.tif"):
        data = Path(file).read_bytes()
        Path("half" + Path(file).suffix).write_bytes(data[: len(data) // 2])
    for folder in ("half.zarr", "half", "empty"):
        Path(folder).mkdir()
    Path("half.zarr/zarr.json").write_text(Path("v.zarr/zarr.json").read_text()[:99])
    Path("half/a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    with pytest.raises(SpecError, match=line) as told:
        opened(name, "volume")
    assert "\n" not in str(told.value)


def test_ids_are_no_floats_and_have_no_channels() -> None:
    np.savez("v.npz", f=WHOLE.astype(np.float32), c=WHOLE[None])
    with pytest.raises(SpecError, match=r"truth: .*v.npz#f holds float32; labels are whole numbers"):
        opened("v.npz#f", "truth", labels=True)
    with pytest.raises(SpecError, match=r"truth: .*v.npz#c has 1 channels; labels are \(z, y, x\)"):
        opened("v.npz#c", "truth", labels=True)


def test_a_scale_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"volume: .*v.zarr has scales 0 to 1, not 2"):
        opened(zarr3(WHOLE), "volume", 2)
    with pytest.raises(SpecError, match=r"p.zarr#volumes/raw is one array and has no scale 1"):
        opened(plain_zarr(WHOLE), "volume", 1)


def test_a_torn_chunk_is_told_with_its_box() -> None:
    found = opened(zarr3(WHOLE), "volume")
    shard = Path("v.zarr/s0/c/0/0/0")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(JobFailed, match=r"v.zarr: voxels 3:11,10:25,21:50 cannot be read|v.zarr: voxels 0:8"):
        found.read(Box((0, 0, 0), (8, 8, 8)))


def test_a_file_that_may_not_be_read() -> None:
    """As another user, since root may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        np.savez(f"{folder}/v.npz", a=WHOLE)
        os.chmod(f"{folder}/v.npz", 0)
        program = f"""
import os, h5py, tifffile, zarr
from jobs.volumes import chunked, files, opening, sections
os.getuid() or os.setuid(65534)
opening.opened("{folder}/v.npz", "volume")
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert f"SpecError: volume: {folder}/v.npz may not be read: permission denied" in done.stderr
