"""Bulk inference by safelight and its peers over the same pictures with the same weights, in one interleaved run.

    python -m tests.benchmarks.bulk_inference --folder DIR [--images 2048] [--rounds 3] [--models mobilenet_v3_large]
        [--contenders safelight-0,safelight-warm,torch,daft] [--kind small|big] [--output results.json]

`tests/benchmarks/README.md` says how to read what comes out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cluster.provenance import git_commit
from tests.benchmarks.bulk import contenders, photos, tables
from tests.benchmarks.bulk.contenders import ROOT, Contender
from tests.benchmarks.bulk.corpus import Material, material
from tests.benchmarks.bulk.meter import inherit_orphans
from tests.benchmarks.bulk.models import model_folder
from tests.benchmarks.bulk.warm_ray import Head, head

_PACKAGES = (
    "torch", "torchvision", "ray", "openvino", "simplejpeg", "pillow", "pyarrow", "numpy", "mlflow", "daft", "pyspark",
)  # fmt: skip


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--folder", type=Path, required=True, help="where pictures, models and outputs are kept")
    asked.add_argument("--images", type=int, default=2048)
    asked.add_argument("--kind", choices=tuple(photos.KINDS), default="small")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--models", default="mobilenet_v3_large,resnet18", help="names in torchvision.models")
    asked.add_argument("--contenders", default=",".join(contenders.ALL), help="see tests/benchmarks/README.md")
    asked.add_argument("--output", type=Path, help="JSON of all measurements")
    return asked.parse_args(words)


def main() -> None:
    """Print the tables and write the JSON."""
    asked = arguments()
    entered = [Contender(name) for name in asked.contenders.split(",")]
    for contender in entered:
        contender.check()
    inherit_orphans()
    folder = asked.folder.absolute()
    pictures = material(folder, asked.kind, asked.images)
    found: dict[str, Any] = {"machine": machine(), "images": asked.images, "kind": asked.kind, "models": {}}
    for name in asked.models.split(","):
        model = model_folder(folder / "models", name, photos.write(folder / "photos", "small"))
        place = folder / "runs" / name
        prepare(entered, folder, model, place)
        rounds = raced(entered, pictures, model, place, asked.rounds)
        found["models"][name] = rounds
        show(name, rounds, [contender.name for contender in entered])
        if asked.output:
            asked.output.write_text(json.dumps(found, indent=1) + "\n")


def prepare(entered: Sequence[Contender], folder: Path, model: str, place: Path) -> None:
    """Artifacts, MLflow's databases and page caches are made once, by runs over few pictures that do not count."""
    few = material(folder, "small", 64)
    with warm(entered, place) as daemons:
        for contender in entered:
            if contender.who in contenders.SAFELIGHT:
                result = contenders.race(contender, few, model, place / contender.name.replace("/", "-"), daemons)
                say(f"{contender.name} prepared in {result['wall_s']:.1f} s {result['failure'] or ''}")


@contextlib.contextmanager
def warm(entered: Sequence[Contender], place: Path) -> Iterator[Head | None]:
    """A Ray that runs, where a contender wants one."""
    if not any(contender.who == "safelight-warm" for contender in entered):
        yield None
        return
    with head(place / "head", contenders.environment()) as daemons:
        yield daemons


def raced(entered: Sequence[Contender], pictures: Material, model: str, place: Path, rounds: int) -> tables.Rounds:
    """All contenders in turn, in another order each round; the limits of each precision in every round."""
    order, found = random.Random(0), []
    for number in range(rounds):
        one: dict[str, dict[str, Any]] = {}
        precisions = sorted({c.precision for c in entered if c.who in contenders.SAFELIGHT or c.kernel == "ours"})
        for precision in precisions:
            one[f"limits/{precision}"] = dict(contenders.limits(pictures, model, precision, place / "limits"))
        for contender in order.sample(list(entered), len(entered)):
            one[contender.name] = _one(contender, [contender], pictures, model, place)
            say(f"round {number + 1}: {contender.name}: {_told(one[contender.name])}")
        _agree(one, [contender.name for contender in entered])
        found.append(one)
    return found


def _one(
    contender: Contender, alone: Sequence[Contender], pictures: Material, model: str, place: Path
) -> dict[str, Any]:
    # A head lives only while its contender runs: idle, it would take CPU from the others.
    with warm(alone, place) as daemons:
        if daemons is not None:
            few = material(place.parents[1], "small", 64)
            contenders.race(contender, few, model, place / "warming", daemons)
        return contenders.race(contender, pictures, model, place / contender.name.replace("/", "-"), daemons)


def _agree(one: dict[str, dict[str, Any]], names: Sequence[str]) -> None:
    """Replace labels by the share that equals those of plain torch, else of the first that has any."""
    answered = [name for name in ("torch", *names) if one.get(name, {}).get("labels")]
    expected = one[answered[0]]["labels"] if answered else {}
    for name in names:
        labels = one[name].pop("labels") if name != (answered or [""])[0] else dict(expected)
        same = sum(labels.get(id_) == label for id_, label in expected.items())
        one[name]["agreement"] = same / len(expected) if expected else 0.0
        one[name].pop("labels", None)


def show(model: str, rounds: tables.Rounds, names: Sequence[str]) -> None:
    """The tables of one model."""
    say(f"\n{model}: {len(rounds)} rounds; medians (least..greatest)\n{tables.summary(rounds, names)}")
    for limit in sorted(name for name in rounds[0] if name.startswith("limits/")):
        shares = [one[limit] for one in rounds]
        values = {key: tables.spread(share[key] for share in shares) for key in ("decode", "forward", "bound")}
        say(f"{limit}: " + ", ".join(f"{key} {value[0]:.0f} img/CPU-s" for key, value in values.items() if value))
        for name in names:
            both = [(one[name]["steady"], one[limit]["bound"]) for one in rounds if tables.good(one, name)]
            ours = "+ours" in name or name.startswith("safelight")
            if ours and Contender(name).precision == limit.partition("/")[2]:
                part = tables.spread(steady / bound if steady else None for steady, bound in both)
                say(f"  {name} reaches {part[0]:.0%} of the bound" if part else f"  {name}: too short to say")
    for name in names:
        if name.startswith("safelight"):
            say("\n" + tables.ratios(rounds, name, names))


def _told(result: dict[str, Any]) -> str:
    steady = f"{result['steady']:.0f} img/CPU-s" if result["steady"] else "-"
    return result["failure"] or f"{result['wall_s']:.1f} s, {result['cpu_s']:.1f} CPU-s, steady {steady}"


def say(line: str) -> None:
    print(line, flush=True)


def machine() -> dict[str, Any]:
    """What was measured on, by kind and not by name."""
    processor = "unknown"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    packages = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "commit": git_commit(ROOT),
        "packages": packages,
    }


if __name__ == "__main__":
    main()
