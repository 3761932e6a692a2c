"""A segmentation to be looked at in neuroglancer: a file with its state, and the link that opens it.

A browser reads over HTTP (or from a public S3 bucket), so a folder must be served, with CORS and with ranges of bytes,
which shards of zarr need. Neuroglancer reads zarr with OME-NGFF's description and precomputed; images in other formats
are left out, and the report says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs import storage
from jobs.spec import SpecError
from jobs.volumes.opening import Opened
from vision.connectomics.neuroglancer import Place, Scene, Source, link, opening
from vision.connectomics.positions import NOWHERE
from vision.corpora import ngff
from vision.corpora.volumes import Address, Volume

PAGE = "https://neuroglancer-demo.appspot.com"
HERE = "http://127.0.0.1:9000"
"""Where a folder of this machine is said to be served, unless the user says where."""

POINTS = 100
"""Places of the list that are in the state's file; the link that holds the state itself has none, and stays one."""

_WORD = re.compile(r"(?:(.+?)=)?((?:https?|s3|gs)://[^/\s]\S*)")


@dataclass(frozen=True)
class Served:
    """Where a browser finds what lies in folders: pairs of (folder, URL), the longest folder first."""

    folders: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, words: Sequence[str], output: str) -> Served:
        """From `URL`, where the output folder is served, and `FOLDER=URL` for others.

        Raises:
            SpecError: if a word is neither, comes twice for one folder, or none is about the output.
        """
        found: dict[str, str] = {}
        for word in words:
            parts = _WORD.fullmatch(word)
            if parts is None:
                raise SpecError(f"serve_from: URL or FOLDER=URL is expected, with http, https, s3 or gs, got {word!r}")
            place = storage.absolute(parts[1] or output)
            if place in found:
                raise SpecError(f"serve_from: {place} is served twice: at {found[place]} and at {parts[2]}")
            found[place] = parts[2].rstrip("/")
        if not storage.is_s3(output) and not found:
            found[output] = HERE
        served = cls(tuple(sorted(found.items(), key=lambda pair: -len(pair[0]))))
        if served.url(output) is None:
            raise SpecError(f"serve_from: it does not say where {output} is served")
        return served

    def url(self, place: str) -> str | None:
        """Where a browser reads a place; None where nobody has said so."""
        for folder, url in self.folders:
            if place == folder or place.startswith(folder + "/"):
                return url + place[len(folder) :]
        return place if storage.is_s3(place) else None


def source(address: Address, served: Served) -> Source | None:
    """A volume as neuroglancer reads it; None if it cannot."""
    place = storage.join(address.place, address.key) if address.key else address.place
    url = served.url(place)
    if url is None:
        return None
    if storage.exists(storage.join(place, "info")):
        return Source(f"precomputed://{url}", centred=False)
    attributes = _attributes(place)
    axes = (attributes.get("ome", attributes).get("multiscales") or [{}])[0].get("axes", [])
    if len(axes) != 3 or not ngff.scales(attributes):
        return None
    return Source(f"zarr://{url}", centred=True)


def places(listed: pa.Table | None) -> list[Place]:
    """The first of a list of candidates whose place is known."""
    if listed is None:
        return []
    found = []
    for row in listed.slice(0, POINTS).to_pylist():
        if row["z"] != NOWHERE:
            text = f"{row['rank']}: {row['kind']}? {row['chance']:.0%}, {row['voxels']:,} voxels"
            found.append(Place((row["z"], row["y"], row["x"]), text, (row["first_segment"], row["second_segment"])))
    return found


@dataclass(frozen=True)
class Showing:
    """What is shown.

    Attributes:
        url: of the file that the state goes to.
        labels: the segmentation, as zarr or precomputed; `volume` says its voxels.
        image: what it was made from.
        page: where neuroglancer is.
    """

    url: str
    labels: Address
    volume: Volume
    image: Opened | None
    served: Served
    page: str = PAGE

    def write(self, listed: pa.Table | None) -> list[str]:
        """Leave the state; sentences for the report, the link in the first of them."""
        labels = source(self.labels, self.served)
        assert labels is not None, "labels lie in the output"
        image = source(self.image.address, self.served) if self.image else None
        if self.volume.voxel_nm is None and image and image.centred != labels.centred:
            image = None  # one counts nanometres then, and the other nothing
        scene = Scene(self.volume.shape, self.volume.voxel_nm, self.volume.offset_nm, labels, image)
        found = places(listed)
        storage.write(self.url, json.dumps(scene.state(found), indent=1).encode() + b"\n")
        return [f"neuroglancer: {link(scene.state(), self.page)}", *self._remarks(image, len(found))]

    def _remarks(self, image: Source | None, count: int) -> list[str]:
        found, state = [], self.served.url(self.url)
        if count and state:
            found.append(f"the same with {count} places to look at: {opening(state, self.page)}")
        if any(url == HERE for _, url in self.served.folders):
            folder = next(place for place, url in self.served.folders if url == HERE)
            found.append(
                f"the link works once {folder} is served at {HERE} with CORS and ranges of bytes, as by "
                f"`npx http-server {folder} --cors -p 9000`; --serve-from names another place"
            )
        if self.image and image is None:
            found.append(
                f"the image {self.image.address} is not in the link: neuroglancer reads zarr (OME-NGFF) and "
                "precomputed, and --serve-from FOLDER=URL says where its folder is served"
            )
        return found


def _attributes(place: str) -> Mapping[str, Any]:
    """What a zarr group says of itself; nothing where there is none."""
    for name, inner in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            found = json.loads(storage.read(storage.join(place, name)))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError:
            return {}
        held = found.get(inner, {}) if inner else found
        return held if isinstance(held, dict) else {}
    return {}
