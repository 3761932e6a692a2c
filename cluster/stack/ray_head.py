"""Ray's head on loopback, with a token: who has none can neither join nor submit.

It holds the addresses of the other servers in its environment, so that jobs on it know them.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

from cluster.stack.place import LOOPBACK, Place
from cluster.stack.process import Process

NAME = "ray"


def variables(place: Place) -> dict[str, str]:
    """What a client must know: the cluster, where jobs are handed in, and the token."""
    return {
        "RAY_ADDRESS": f"{LOOPBACK}:{place.ports['ray']}",
        "RAY_API_SERVER_ADDRESS": dashboard(place),
        # Otherwise Ray takes 127.0.0.1 for the address of this machine in its network, and listens there.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": place.keys["ray_token"],
    }


def dashboard(place: Place) -> str:
    """Where Ray's job server and its page are."""
    return f"http://{LOOPBACK}:{place.ports['dashboard']}"


def start(place: Place, cpus: int | None, servers: Mapping[str, str]) -> None:
    """Start it and wait until its job server answers.

    Args:
        cpus: as many jobs share; None: all of this machine.
        servers: variables of the other servers, for the jobs.

    Raises:
        JobFailed: if it does not answer.
    """
    process = Process(NAME, place.folder)
    # The address of a cluster would make this a worker of it.
    unset = {"RAY_ADDRESS": "", "RAY_API_SERVER_ADDRESS": ""}
    process.start(_command(place, cpus), {**servers, **variables(place), **unset})
    process.wait(lambda: _answers(place), 120)


def stop(place: Place) -> bool:
    """End it; whether it ran. It would take half a minute by itself, and has nothing to save."""
    return Process(NAME, place.folder).stop(patience_s=2)


def _command(place: Place, cpus: int | None) -> list[str]:
    ports = {
        "port": "ray", "ray-client-server-port": "ray_client", "dashboard-port": "dashboard",
        "dashboard-agent-listen-port": "dashboard_agent",
    }  # fmt: skip
    return [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
        f"--node-ip-address={LOOPBACK}", f"--dashboard-host={LOOPBACK}", "--include-dashboard=true",
        # Any free port: Ray's standard range is that of every other Ray on this machine, too.
        "--min-worker-port=0", "--max-worker-port=0",
        *(f"--{flag}={place.ports[name]}" for flag, name in ports.items()),
        *([] if cpus is None else [f"--num-cpus={cpus}"]),
    ]  # fmt: skip


def _answers(place: Place) -> bool:
    """Whether the job server takes our token."""
    asked = urllib.request.Request(
        f"{dashboard(place)}/api/jobs/", headers={"Authorization": f"Bearer {place.keys['ray_token']}"}
    )
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
