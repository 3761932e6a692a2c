"""A registered model, as MLflow runs it: this script is copied beside the model folder and the package `vision`.

Input: a column `image` of encoded bytes (a DataFrame, or a list of such records). Output: a DataFrame with a
row for each image: the room's answer (`label`, `score`, `top_labels`, `top_scores`) and `error`, null where there is
an answer.
"""

from __future__ import annotations

from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from pandas import DataFrame  # type: ignore[import-untyped]


class RegisteredModel(PythonModel):
    """Answers images with the model folder that lies among the artifacts."""

    def load_context(self, context: Any) -> None:
        """Build the net once."""
        from vision import names
        from vision.model import load
        from vision.predictor import Asked, Loader

        model = load(context.artifacts["model"])
        self.look, self.loader = model.preprocessing, Loader([model.preprocessing])
        self.predictor = names.room(model.task).predictor(model, Asked())

    def predict(self, context: Any, model_input: DataFrame, params: dict[str, Any] | None = None) -> DataFrame:
        """Answer each image of `model_input`."""
        import numpy as np

        images = _images(model_input)
        pixels = self.loader.load(images)[self.look]
        return self.predictor.answer(pixels, np.full(len(images), -1, np.int64)).to_pandas()


def _images(given: DataFrame) -> list[bytes]:
    """The encoded bytes in what was given.

    Raises:
        ValueError: if there is no column `image`, or something in it is not bytes.
    """
    if "image" not in given:
        raise ValueError(f"expected a column `image` of encoded bytes, got the columns {', '.join(map(str, given))}")
    images = list(given["image"])
    for image in images:
        if not isinstance(image, (bytes, bytearray)):
            raise ValueError(f"an image must be encoded bytes, got {type(image).__name__}")
    return [bytes(image) for image in images]


set_model(RegisteredModel())
