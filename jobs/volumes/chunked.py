"""Volumes in chunks: zarr v2 and v3 through zarr-python, N5 and neuroglancer's precomputed through tensorstore."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jobs import storage
from jobs.volumes import quick
from jobs.volumes.opening import Found, Front, NoArray
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.connectomics.installed import library
from vision.corpora import ngff
from vision.corpora.volumes import NM_OF, Address, Lengths, describe, placed

ZARR = ("zarr.json", ".zarray", ".zgroup")


def format_of(address: Address) -> Callable[[Address], Found] | None:
    """What opens a folder of chunks, by the files that lie in it or where its key leads; None if it is none."""
    within = [part for part in (address.key, f"{address.key}/s{address.scale}".lstrip("/")) if part]
    places = [address.place, *(storage.join(address.place, part) for part in within)]
    for names, opener in ((ZARR, zarr), (("attributes.json",), n5), (("info",), precomputed)):
        if any(storage.exists(storage.join(place, name)) for place in places for name in names):
            return opener
    return None


def zarr(address: Address) -> Found:
    """A zarr array, or the scale asked for of a group with OME-NGFF's multiscales."""
    from zarr.errors import BaseZarrError

    library("zarr")
    try:
        array, size, offset = _node(address)
    except (BaseZarrError, json.JSONDecodeError, KeyError, TypeError) as error:
        if isinstance(error, NoArray):
            raise
        raise ValueError(f"{address} is damaged: its metadata make no sense ({error})") from None
    shape, chunk = array.shape, array.shards or array.chunks
    leading = [n for n in shape[:-4] if n != 1]
    if len(shape) > 4 and leading:
        raise ValueError(f"{address} has {len(shape)} dimensions {shape}; a volume is (z, y, x) or (c, z, y, x)")
    channels = shape[-4:] if len(shape) >= 4 and (shape[-4] != 1 or len(shape) == 4) else shape[-3:]
    extra = len(shape) - len(channels)
    size, offset = (size, offset) if size else placed(dict(array.attrs))
    known = {"codecs": _codecs(array), "own": dict(array.attrs).get("safelight")}
    together = array.chunks[-4] if len(channels) == 4 else 1
    volume = describe(
        channels, array.dtype, address, voxel_nm=size, offset_nm=offset, chunk=chunk, attributes=known,
        together=together,
    )  # fmt: skip
    faster = quick.opened(array, address.place)

    def read(box: Box, front: Front) -> Array:
        cut = (*(0,) * extra, ... if front is None else front, *box.slices)
        return np.asarray(array[cut] if faster is None else faster[cut].read().result())

    return volume, read


def _node(address: Address) -> tuple[Any, Lengths | None, Lengths]:
    """The array of an address, with what its group says of where it lies."""
    import zarr as library_zarr

    from jobs.volumes.store import Stored

    store = Stored(address.place)
    node = library_zarr.open(store, mode="r")
    if address.key:
        if isinstance(node, library_zarr.Array) or address.key not in node:
            raise NoArray(address.key, _arrays(node))
        node = node[address.key]
    if isinstance(node, library_zarr.Array):
        if address.scale:
            raise ValueError(f"{address} is one array and has no scale {address.scale}")
        return node, None, (0.0, 0.0, 0.0)
    found = ngff.scales(dict(node.attrs))
    if not found:
        raise NoArray("", [f"{address.key}/{name}".lstrip("/") for name in _arrays(node)])
    if not 0 <= address.scale < len(found):
        raise ValueError(f"{address} has scales 0 to {len(found) - 1}, not {address.scale}")
    chosen = found[address.scale]
    if chosen.path not in node:
        raise NoArray(chosen.path, _arrays(node))
    return node[chosen.path], chosen.voxel_nm, chosen.offset_nm


def _arrays(node: Any) -> list[str]:
    """Keys of the arrays and pyramids in a group, two levels deep."""
    if not hasattr(node, "members"):
        return []
    return sorted(name for name, found in node.members(max_depth=1))


def _codecs(array: Any) -> str:
    return " ".join(type(codec).__name__ for codec in getattr(array, "compressors", ()) or ())


def n5(address: Address) -> Found:
    """An N5 dataset, or the scale asked for of a pyramid (s0, s1, ...); N5 counts x first, here it comes last."""
    key = address.key
    told = _attributes(address.place, key)
    if "dimensions" not in told:
        scaled = _attributes(address.place, f"{key}/s{address.scale}".lstrip("/"))
        if "dimensions" not in scaled:
            raise NoArray(key or f"s{address.scale}", _datasets(address.place))
        key, told = f"{key}/s{address.scale}".lstrip("/"), {**told, **scaled}
    elif address.scale:
        raise ValueError(f"{address} is one array and has no scale {address.scale}")
    array = _tensorstore({"driver": "n5"}, storage.join(address.place, key) if key else address.place)
    size, offset = _n5_place(told, address.scale)
    chunk = tuple(reversed(told["blockSize"]))
    volume = describe(
        tuple(reversed(array.shape)), array.dtype.numpy_dtype, address, voxel_nm=size, offset_nm=offset, chunk=chunk,
        together=chunk[0] if len(chunk) == 4 else 1,
    )  # fmt: skip

    def read(box: Box, front: Front) -> Array:
        x, y, z = reversed(box.slices)
        found = array[(x, y, z, ...) if front is None else (x, y, z, front)]
        return np.ascontiguousarray(np.asarray(found.read().result()).T)

    return volume, read


def precomputed(address: Address) -> Found:
    """A neuroglancer precomputed volume of one channel; its axes are x, y, z, channel."""
    spec = {"driver": "neuroglancer_precomputed", "scale_index": address.scale}
    array = _tensorstore(spec, storage.join(address.place, address.key) if address.key else address.place)
    if array.shape[3] != 1:
        raise ValueError(f"{address} has {array.shape[3]} channels; a precomputed volume of one is understood")
    origin = array.domain.origin
    sx, sy, sz = (float(unit.multiplier) for unit in array.dimension_units[:3])
    ox, oy, oz = origin[:3]
    chunk = tuple(reversed(array.chunk_layout.read_chunk.shape[:3]))
    volume = describe(
        tuple(reversed(array.shape[:3])), array.dtype.numpy_dtype, address, chunk=chunk,
        voxel_nm=(sz, sy, sx), offset_nm=(oz * sz, oy * sy, ox * sx),
    )  # fmt: skip

    def read(box: Box, _front: Front) -> Array:
        x, y, z = (slice(s.start + o, s.stop + o) for s, o in zip(reversed(box.slices), origin[:3], strict=True))
        return np.ascontiguousarray(np.asarray(array[x, y, z, 0].read().result()).T)

    return volume, read


def _tensorstore(spec: dict[str, Any], url: str) -> Any:
    """An array opened by tensorstore."""
    ts = library("tensorstore")
    try:
        return ts.open({**spec, "kvstore": kvstore(url)}, read=True, context=quick.context()).result()
    except ValueError as error:
        if "NOT_FOUND" in str(error):
            raise FileNotFoundError(url) from None
        raise ValueError(f"{url} cannot be opened: {str(error).split('[')[0].strip()[:200]}") from None


def kvstore(url: str) -> dict[str, Any]:
    """A URL as tensorstore says it."""
    if not storage.is_s3(url):
        return {"driver": "file", "path": storage.absolute(url) + "/"}
    bucket, _, path = url.removeprefix("s3://").partition("/")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    more = {"endpoint": endpoint, "aws_region": region or "us-east-1"} if endpoint else {}
    return {"driver": "s3", "bucket": bucket, "path": path.rstrip("/") + "/", **more}


def _attributes(place: str, key: str) -> dict[str, Any]:
    """`attributes.json` of a dataset or group; nothing where there is none."""
    try:
        found = json.loads(storage.read(storage.join(place, *filter(None, [key]), "attributes.json")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise ValueError(f"{place}/{key} is damaged: its attributes.json is not JSON") from None
    return found if isinstance(found, dict) else {}


def _datasets(place: str) -> list[str]:
    names = storage.files(place, "attributes.json")
    return [name.removesuffix("attributes.json").rstrip("/") for name in names if "/" in name]


def _n5_place(told: Mapping[str, Any], scale: int) -> tuple[Lengths | None, Lengths]:
    """Voxel size and offset of an N5 dataset, written x first: `pixelResolution`, or `resolution` and `offset`."""
    pixel = told.get("pixelResolution")
    unit = NM_OF.get(str(pixel.get("unit", "nm")).lower(), 1.0) if isinstance(pixel, Mapping) else 1.0
    numbers = pixel.get("dimensions") if isinstance(pixel, Mapping) else pixel
    size, _ = placed({"resolution": _reversed(numbers or told.get("resolution"))})
    factors = _reversed(told.get("downsamplingFactors")) or [1, 1, 1]
    if size is None:
        return None, (0.0, 0.0, 0.0)
    z, y, x = (length * unit * float(f) for length, f in zip(size, factors, strict=True))
    _, offset = placed({"offset": _reversed(told.get("offset"))})
    return (z, y, x), offset


def _reversed(value: Any) -> list[Any] | None:
    return list(reversed(value)) if isinstance(value, list | tuple) and len(value) == 3 else None
