"""Vanishing and exploding gradients: norms layer by layer in nets as they are drawn, by depth and activation.

Nothing is trained: each net is drawn from the seed, shown one batch of pictures, and asked what comes back to each of
its layers. `ratio` is the gradient that arrives at the first layer's output over that of the last; `bound` is what the
sigmoids between them let through at most, 0.25 to the power of their number, weights left aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.records import Reads, open_corpus
from jobs.spec import Context, SpecError
from jobs.studying import grid
from jobs.studying.kind import SEED, Kind, Outcome, Row, Sheet, Trial, plain

if TYPE_CHECKING:
    import torch

    from jobs.study import Study
    from jobs.training.starting import Beginning

_NUMBERS = ("ratio", "bound", "first", "last")
_NET = ("arguments", "preprocess", "task", "code")


def plan(study: Study, context: Context) -> list[Trial]:
    """A trial for each net, depth, activation and seed.

    Raises:
        SpecError: if a net cannot be built, or does not fit the corpus.
    """
    if study.corpus is None:
        raise SpecError("corpus: a study of gradients needs one, for a batch of pictures")
    axes = {"net": grid.nets(study), "depth": study.depths, "activation": study.activations, SEED: study.seeds}
    files = {"preprocess": grid.local(study.preprocess), "code": grid.local(study.code)}
    found = []
    for cell in grid.cells(axes):
        net = {**grid.origin(study, cell, context), "arguments": grid.arguments(study, cell), "task": study.task}
        work = {**net, **files, "cell": dict(cell), "reads": grid.reads(study), "batch_size": study.batch_size}
        identity = {"kind": "gradients", **net, **cell, **grid.deciding(study), "batch_size": study.batch_size}
        if "model" in net:
            identity["model"] = context.model(net["model"]).digest
        found.append(Trial(cell, work, identity))
        if cell[SEED] == study.seeds[0]:
            _begin(work, context)
    return found


def _begin(work: Mapping[str, Any], context: Context) -> tuple[Beginning, torch.nn.Module]:
    """The net of a trial, with its activations."""
    from jobs.training import starting
    from vision import names
    from vision.gradients import AS_BUILT, with_activation

    if work["code"]:
        names.trust(work["code"])
    _, corpus = open_corpus(work["reads"]["corpus"])
    objective = names.room(work["task"]).objective(corpus, 0.0)
    begun = starting.begin(
        objective, context, net=work.get("net"), model=work.get("model"), arguments=work["arguments"],
        preprocess=work["preprocess"], task=work["task"], seed=work["cell"][SEED],
    )  # fmt: skip
    try:
        return begun, with_activation(begun.net, work["cell"].get("activation", AS_BUILT))
    except ValueError as error:
        raise SpecError(f"activations: {error}") from None


def carry_out(trial: Trial, _folder: str, context: Context) -> Outcome:
    """One batch forth and back."""
    import torch

    from jobs.studying.pictures import see
    from vision.gradients import layer_gradients

    work, seed = trial.work, trial.cell[SEED]
    begun, net = _begin(work, context)
    seen = see(work["reads"], work["task"], begun.model.preprocessing, work["batch_size"], seed)
    inputs = torch.from_numpy(seen.look.normalise(seen.pictures.pixels))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of dropout
        layers = layer_gradients(net, inputs, torch.from_numpy(seen.pictures.targets), seen.objective)
    first, last = layers[0], layers[-1]
    ratio = first.signal / last.signal if last.signal else float("nan")
    values = {"ratio": ratio, "bound": first.bound, "first": first.signal, "last": last.signal}
    facts = {"layers": len(layers), "sigmoids": first.squashed, "pictures": len(inputs)}
    rows = [
        Row(plain({"gradient": layer.weights, "signal": layer.signal}), {"layer": number}, {"name": layer.name})
        for number, layer in enumerate(layers, start=1)
    ]
    return {"study": [Row(plain(values), facts=facts)], "layers": rows}


KIND = Kind(
    fields=frozenset(Reads.model_fields) - {"seed"}
    | {*_NET, "nets", "models", "depths", "activations", "seeds"}
    | {"batch_size"},
    sheets=(
        Sheet("study", _NUMBERS, ("depth", "activation", "net"), ratios=_NUMBERS),
        Sheet("layers", ("gradient", "signal"), ("layer",), ratios=("gradient", "signal")),
    ),
    plan=plan,
    carry_out=carry_out,
)
