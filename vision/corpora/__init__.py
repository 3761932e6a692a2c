"""Layouts by name: a file of this package with `LAYOUT = Layout(...)` is one, and so is a name of the user's own."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from vision import names
from vision.layout import Layout


def find(name: str) -> Layout:
    """The layout of a name such as `imagefolder`, or of a dotted one such as `mypkg.layouts:photos`.

    Raises:
        ValueError: if there is none (with the nearest name), or the dotted name leads to something else.
    """
    found = names.find(name) if ":" in name else _built_in(name)
    if not isinstance(found, Layout):
        raise ValueError(f"{name} is not a layout but a {type(found).__name__}")
    return found


def known() -> list[str]:
    """The names of the layouts that come with this package."""
    modules = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in modules if hasattr(importlib.import_module(f"{__name__}.{name}"), "LAYOUT")]


def _built_in(name: str) -> Layout | None:
    if name not in known():
        close = difflib.get_close_matches(name, known(), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"there is no layout {name!r}{hint} (there are: {', '.join(known())})")
    layout: Layout | None = importlib.import_module(f"{__name__}.{name}").LAYOUT
    return layout
