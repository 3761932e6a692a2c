"""A model: net, weights, preprocessing and classes under one digest, in a folder that anyone can read.

`model.json` says how the net is built and what it expects; `weights.safetensors` (or `model.onnx`) holds its numbers.
A dotted name alone is a model too: weights drawn with seed 0, ImageNet's preprocessing, classes without names.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vision import names, weights
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

FORMAT = 1
READABLE_FORMATS = (1,)
ONNX = "onnx"
"""The `net` of a model whose graph and weights are `model.onnx`."""


@dataclass(frozen=True)
class Model:
    """What `model.json` says, and where its weights lie.

    Attributes:
        net: `module:function`, `timm:NAME` or `onnx`.
        arguments: what the function is called with.
        weights: fingerprint of the weights, or `seed-0` and torch's version for drawn ones.
        decoding: plain values that the room of its task needs to read its outputs, such as the cells of the globe.
        folder: where it was loaded from; not part of what the model is.
    """

    net: str
    preprocessing: Preprocessing
    weights: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    task: str = "classification"
    folder: Path | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """sha256 over everything that decides an answer, and the names of the classes."""
        return hashlib.sha256(json.dumps(self._facts(), sort_keys=True).encode()).hexdigest()

    def _facts(self) -> dict[str, Any]:
        return {
            "net": self.net,
            "arguments": dict(self.arguments),
            "preprocessing": self.preprocessing.to_dict(),
            "weights": self.weights,
            "classes": None if self.classes is None else list(self.classes),
            "task": self.task,
            # Where there is nothing to say, digests are what they were before there was a word for it.
            **({"decoding": dict(self.decoding)} if self.decoding else {}),
        }

    def build(self) -> torch.nn.Module:
        """The net with its weights, ready for inference.

        Raises:
            ValueError: if it cannot be built, or its weights do not fit or are not those of the digest.
        """
        import torch

        if self.folder is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return _evaluating(names.net(self.net, dict(self.arguments)))
        state = weights.load(self.folder / "weights.safetensors")
        if weights.fingerprint(state) != self.weights:
            raise ValueError(f"{self.folder}: weights.safetensors is not the file that model.json was written for")
        net = names.net(self.net, dict(self.arguments))
        weights.fit(net, state)
        return _evaluating(net)


def _evaluating(net: torch.nn.Module) -> torch.nn.Module:
    return net.eval().requires_grad_(False)


def load(reference: str | Path) -> Model:
    """The model in a folder, or named by `nets.resnet:resnet20`.

    Raises:
        ValueError: if there is none, its model.json is damaged or of an unknown format.
    """
    folder = Path(reference)
    if not (folder / "model.json").exists():
        return _drawn(str(reference))
    try:
        facts = json.loads((folder / "model.json").read_text())
        if facts.pop("format") not in READABLE_FORMATS:
            raise ValueError(f"{folder}/model.json is of a format that this version cannot read")
        digest = facts.pop("digest")
        facts["preprocessing"] = Preprocessing.from_dict(facts["preprocessing"])
        facts["classes"] = None if facts["classes"] is None else tuple(facts["classes"])
        # Workers have another working folder.
        model = Model(**facts, folder=folder.absolute())
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder}/model.json is damaged: {type(error).__name__} {error}") from None
    if model.digest != digest:
        raise ValueError(f"{folder}/model.json was changed by hand: its digest no longer fits; adopt the model again")
    return model


def _drawn(reference: str) -> Model:
    if ":" not in reference or "/" in reference:
        raise ValueError(f"{reference}: no model.json there, and not a name such as torchvision.models:resnet18")
    drawn = f"seed-0 torch-{version('torch')}"
    return Model(net=reference, preprocessing=Preprocessing.named("imagenet"), weights=drawn)


def save(model: Model, folder: Path, net: torch.nn.Module | None = None, onnx: Path | None = None) -> Model:
    """Write a model folder from a net with its weights, or from an ONNX file; returns the model as loaded from there.

    `model.json` is written last, so a folder without it is no model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if onnx is not None:
        shutil.copyfile(onnx, folder / "model.onnx")
        mark = hashlib.sha256(onnx.read_bytes()).hexdigest()
    elif net is not None:
        state = net.state_dict()
        weights.save(state, folder / "weights.safetensors")
        mark = weights.fingerprint(state)
    else:
        raise ValueError("a model folder needs a net or an ONNX file")
    saved = replace(model, weights=mark, folder=folder)
    text = json.dumps({"format": FORMAT, **saved._facts(), "digest": saved.digest}, indent=1, ensure_ascii=False)
    temporary = folder / ".model.json.tmp"
    temporary.write_text(text + "\n")
    temporary.replace(folder / "model.json")
    return saved
