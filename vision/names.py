"""Names of code, found by import: `nets.resnet:resnet20` is `resnet20` in `vision.nets.resnet`.

A name is looked up in `vision` first, then as a full module name, and there only in packages that are trusted:
`vision`, `torchvision.models`, and modules of a folder that the user named. Nothing else is imported because a file
says so. `timm:NAME` is the net of that name in timm, where it is installed.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_TRUSTED = {"vision", "torchvision.models"}
_NO_ROOMS = ("nets", "corpora", "kernels", "fairness")


class UnknownName(ValueError):
    """A name that leads nowhere; says the nearest that does."""


def trust(folder: str) -> None:
    """Let names point into the modules of a folder of the user's own.

    Raises:
        ValueError: if it is no folder, or a module there hides one that is already in use.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ValueError(f"{folder} is not a folder of Python modules")
    found = [module.name for module in pkgutil.iter_modules([str(path)])]
    for name in found:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin and not Path(spec.origin).is_relative_to(path):
            raise ValueError(f"module {name} in {folder} has the name of an installed one: rename it")
    _TRUSTED.update(found)
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))


def source_digest(folder: str) -> str:
    """sha256 over the Python files of a folder, by path."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def find(name: str) -> Any:
    """The object that `module:attribute` names.

    Raises:
        UnknownName: if it does not exist, with the nearest name.
        ValueError: if it is not of that form, or its module is not trusted.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"{name!r} is not of the form module:name, such as nets.efficientnet_lite:efficientnet_lite0")
    module = _module(module_name, name)
    if not hasattr(module, attribute):
        known = [n for n in vars(module) if not n.startswith("_") and callable(getattr(module, n))]
        raise UnknownName(f"{module_name} has no {attribute!r}{_nearest(attribute, known)}")
    return getattr(module, attribute)


def _module(module_name: str, name: str) -> ModuleType:
    if importlib.util.find_spec("vision." + module_name.split(".", 1)[0]) is not None:
        module_name = "vision." + module_name
    if not any(module_name == t or module_name.startswith(t + ".") for t in _TRUSTED):
        raise ValueError(f"{name}: {module_name} is not in vision, torchvision.models or a folder given with --code")
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that exists but lacks a library of its own must say which.
        if error.name != module_name:
            raise ValueError(f"{name} needs the package {error.name}, which is not installed") from None
        parent, _, child = module_name.rpartition(".")
        raise UnknownName(f"there is no module {module_name}{_nearest(child, modules(parent))}") from None


def modules(package: str) -> list[str]:
    """The modules of a package, by their short names."""
    try:
        found = importlib.import_module(package) if package else None
    except ModuleNotFoundError:
        return []
    return [m.name for m in pkgutil.iter_modules(found.__path__)] if found and hasattr(found, "__path__") else []


def room(task: str) -> Any:
    """The room (a package of `vision` with a front door) of a task.

    Raises:
        UnknownName: if there is none.
    """
    rooms = [m.name for m in pkgutil.iter_modules(importlib.import_module("vision").__path__) if m.ispkg]
    if task not in rooms or task in _NO_ROOMS:
        known = [r for r in rooms if r not in _NO_ROOMS]
        raise UnknownName(f"there is no task {task!r}{_nearest(task, known)} (there are: {', '.join(known)})")
    return importlib.import_module(f"vision.{task}")


def net(name: str, arguments: dict[str, Any]) -> Any:
    """Build a net (torch module) by name: `module:function` called with `arguments`, or `timm:NAME`.

    Raises:
        ValueError: if there is none, timm is not installed, or the arguments do not fit.
    """
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), arguments)
    build = find(name)
    try:
        return build(**arguments)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built with {arguments}: {error}") from None


def _timm(name: str, arguments: dict[str, Any]) -> Any:
    try:
        import timm
    except ModuleNotFoundError:
        raise ValueError(f"timm:{name} needs timm: pip install timm") from None
    if name not in timm.list_models():
        raise UnknownName(f"timm has no net {name!r}{_nearest(name, timm.list_models())}")
    return timm.create_model(name, pretrained=False, **arguments)


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
