"""Libraries for volumes, loaded when first used; one clear line where they are absent."""

from __future__ import annotations

import importlib
from typing import Any


def library(module: str) -> Any:
    """A module of the optional dependencies.

    Raises:
        ValueError: if it is not installed; the line says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".", maxsplit=1)[0].replace("_", "-").replace("skimage", "scikit-image")
        raise ValueError(
            f"this needs {name}, which is not installed: pip install 'safelight[volumes]' ({error})"
        ) from None
