"""State dicts to bytes and back, with a fingerprint. Nothing here can run code: pickles are read as weights only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")


def fingerprint(state: State) -> str:
    """sha256 over the tensors in the order of their names: name, type, shape and bytes."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save(state: State, path: Path) -> None:
    """Write a state dict as safetensors."""
    from safetensors.torch import save_file

    # Tied weights share memory, which the format refuses: each name gets its own copy.
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, str(path))


def load(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from safetensors or from a torch file.

    Wrappers that training scripts add (`state_dict`, `model`, a `module.` before every name) are taken off.

    Raises:
        ValueError: if the file is neither, or holds anything but tensors.
    """
    import pickle

    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(str(path)))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such weights file") from None
    except pickle.UnpicklingError:
        raise ValueError(f"{path} holds more than weights (code, or objects): save its state_dict() instead") from None
    except Exception as error:
        # Both readers raise types of their own, some private, for a file that is cut short or of another kind.
        raise ValueError(f"{path} is not a weights file: {str(error).splitlines()[0]}") from None
    return _unwrapped(found, path)


def _unwrapped(found: Any, path: Path) -> dict[str, torch.Tensor]:
    import torch

    while isinstance(found, Mapping):
        wrapper = next((name for name in _WRAPPERS if isinstance(found.get(name), Mapping)), None)
        if wrapper is None:
            break
        found = found[wrapper]
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError(f"{path} holds no state dict of tensors")
    strip = all(name.startswith("module.") for name in found)
    return {name.removeprefix("module.") if strip else name: tensor for name, tensor in found.items()}


def fit(net: torch.nn.Module, state: State) -> None:
    """Load a state dict into a net.

    Raises:
        ValueError: naming the first tensors that are missing, left over or of another shape.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    # Counters of batches seen are younger than many weight files and do not matter for inference.
    missing = [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")]
    extra = [name for name in given if name not in wanted]
    unequal = [name for name in wanted if given.get(name, wanted[name]) != wanted[name]]
    other = [f"{name} {given[name]} for {wanted[name]}" for name in unequal]
    problems = {"missing": missing, "not in the net": extra, "of another shape": other}
    if any(problems.values()):
        told = "; ".join(f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in problems.items() if names)
        raise ValueError(f"weights do not fit the net: {told}")
    net.load_state_dict(state, strict=False)
