"""Foreign weights to a model folder: net, weights, preprocessing and classes under one digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from jobs import storage
from jobs.spec import Context, Job, JobFailed, Plain, Report, SpecError
from vision import model as models
from vision import names, weights
from vision.model import ONNX, Model
from vision.preprocessing import Preprocessing


class Adopt(Job):
    """Make a model folder from a state dict, safetensors or ONNX file."""

    net: str | None = Field(None, description="torchvision.models:NAME, timm:NAME, or nets.FILE:FUNCTION")
    arguments: str = Field("{}", description="JSON of the arguments that the net is built with")
    weights: str | None = Field(None, description="a state dict, safetensors, or 'packaged' (the net's own package)")
    onnx: str | None = Field(None, description="an ONNX file in place of --net and --weights")
    preprocess: str = Field("imagenet", description="name of a preprocessing, or a JSON file")
    classes: str | None = Field(None, description="'imagenet', or a text or JSON file with a name for each output")
    task: str = Field("classification", description="the room that reads the net's outputs")
    output: str = Field(description="the model folder to make")
    register_as: str | None = Field(None, alias="register", description="NAME[@ALIAS] in MLflow's registry")
    code: str | None = Field(None, description="folder of Python modules that names may point into")

    def run(self, context: Context | None = None) -> Report:
        context = context or Plain()
        if self.code:
            names.trust(self.code)
        model = self._adopted()
        context.log(f"{self.output}: {model.net}, digest {model.digest[:12]}")
        tags = {"model_digest": model.digest, "net": model.net}
        if self.register_as:
            tags["registered"] = context.register(self.output, self.register_as)
        return Report(output=storage.absolute(self.output), tags=tags)

    def _adopted(self) -> Model:
        if (self.net is None) == (self.onnx is None):
            raise SpecError("adopt takes one of --net and --onnx")
        folder = Path(storage.absolute(self.output))
        if folder.exists() and not (folder / "model.json").exists() and any(folder.iterdir()):
            raise JobFailed(f"{folder} is not empty and is no model: choose another --output")
        classes = _classes(self.classes)
        described = Model(
            net=self.net or ONNX,
            preprocessing=self._preprocessing(),
            weights="",
            arguments=_json(self.arguments, "arguments"),
            classes=classes,
            task=self.task,
        )
        if self.onnx is not None:
            _check_outputs(_onnx_outputs(Path(self.onnx)), classes)
            return models.save(described, folder, onnx=Path(self.onnx))
        return self._from_weights(described, folder)

    def _from_weights(self, described: Model, folder: Path) -> Model:
        if self.weights is None:
            raise SpecError("adopt needs weights: a state dict or .safetensors file")
        net = names.net(described.net, dict(described.arguments))
        weights.fit(net, weights.load(self._weights_file()))
        _check_outputs(_outputs(net.eval(), described.preprocessing), described.classes)
        return models.save(described, folder, net=net)

    def _weights_file(self) -> Path:
        """The file itself, or the one that the net's own module knows to lie in a package."""
        if self.weights != "packaged":
            return Path(self.weights or "")
        module = (self.net or "").partition(":")[0]
        return Path(names.find(f"{module}:packaged_weights")())

    def _preprocessing(self) -> Preprocessing:
        if self.preprocess.endswith(".json"):
            return Preprocessing.from_dict(_json(_text(self.preprocess, "preprocess"), "preprocess"))
        return Preprocessing.named(self.preprocess)


def _text(path: str, field: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise SpecError(f"{field}: {path} cannot be read: {error.strerror}") from None


def _json(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"{field}: not JSON: {error}") from None


def _classes(given: str | None) -> tuple[str, ...] | None:
    """Names of the outputs: ImageNet's, or a file with one a line or a JSON list."""
    if given is None:
        return None
    if given == "imagenet":
        from vision.corpora.imagenet import imagenet_classes

        return imagenet_classes()
    text = _text(given, "classes")
    found = _json(text, "classes") if given.endswith(".json") else [line for line in text.splitlines() if line.strip()]
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise SpecError(f"classes: {given} is not a list of names")
    return tuple(found)


def _outputs(net: Any, preprocessing: Preprocessing) -> int:
    """How many logits the net gives for one picture: the proof that it runs."""
    import torch

    height, width = preprocessing.size
    try:
        with torch.inference_mode():
            found = net(torch.zeros(1, 3, height, width))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise SpecError(
            f"net: it cannot take the pictures of {height}x{width} that preprocess gives: {reason}"
        ) from None
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        raise SpecError("net: its output for one picture is not a row of logits (1, classes)")
    return int(found.shape[1])


def _onnx_outputs(path: Path) -> int | None:
    """The width of an ONNX graph's first output, where it is fixed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise SpecError("onnx needs onnxruntime: pip install 'safelight[cpu]'") from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        # The library's own exception types are private.
        raise SpecError(f"onnx: {path} cannot be loaded: {str(error).splitlines()[0]}") from None
    width = session.get_outputs()[0].shape[-1]
    return width if isinstance(width, int) else None


def _check_outputs(outputs: int | None, classes: tuple[str, ...] | None) -> None:
    if outputs is not None and classes is not None and outputs != len(classes):
        raise SpecError(f"classes: {len(classes)} names for a net with {outputs} outputs")
