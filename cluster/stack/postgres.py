"""PostgreSQL on loopback, with a password and a data folder of its own.

Its programs refuse to run as root, so root runs them as the user `postgres` that the package made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from cluster.stack.place import LOOPBACK, Place, write_private
from cluster.stack.process import Process
from jobs.spec import JobFailed

NAME = "postgres"
USER = "safelight"
_DEBIAN = Path("/usr/lib/postgresql")  # Debian keeps the servers of all versions here, and none on the path


def programs() -> Path | None:
    """The folder of initdb and postgres; None where they are not installed."""
    found = shutil.which("initdb")
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return Path(found).resolve().parent if found else versions[-1].parent if versions else None


def obstacle(folder: Path) -> str | None:
    """Why there can be no PostgreSQL in `folder`, or None."""
    if programs() is None:
        return "PostgreSQL is not installed"
    if find_spec("psycopg2") is None:
        return "its driver is not installed (pip install psycopg2-binary)"
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "root cannot run it, and there is no user postgres"
    closed = [parent for parent in (folder, *folder.parents) if parent.exists() and not parent.stat().st_mode & 0o001]
    return f"the user postgres cannot enter {closed[-1]}" if closed else None


def uri(place: Place) -> str:
    """The database as SQLAlchemy has it, password included."""
    address = f"{LOOPBACK}:{place.ports['postgres']}"
    return f"postgresql+psycopg2://{USER}:{place.keys['database_password']}@{address}/postgres"


def start(place: Place) -> None:
    """Start it, with a new data folder if there is none, and wait until it answers.

    Raises:
        JobFailed: if it does not.
    """
    bin_folder, data = programs(), place.folder / NAME
    assert bin_folder is not None
    user = "postgres" if os.geteuid() == 0 else None
    if not (data / "PG_VERSION").exists():
        _create(bin_folder, data, place.keys["database_password"], user)
    process = Process(NAME, place.folder)
    port = str(place.ports["postgres"])
    command = [str(bin_folder / "postgres"), "-D", str(data), "-p", port, "-c", f"listen_addresses={LOOPBACK}"]
    process.start([*command, "-c", "unix_socket_directories="], {}, user)
    ready = [str(bin_folder / "pg_isready"), "-q", "-h", LOOPBACK, "-p", port]
    process.wait(lambda: subprocess.run(ready, check=False, cwd="/").returncode == 0, 60)


def stop(place: Place) -> bool:
    """End it at once and in order; whether it ran."""
    return Process(NAME, place.folder).stop(signal.SIGINT)


def _create(bin_folder: Path, data: Path, password: str, user: str | None) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    secret = data.with_suffix(".password")
    write_private(secret, password)
    if user is not None:
        for path in (data, secret):
            shutil.chown(path, user, user)
    words = ["-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
    command = [str(bin_folder / "initdb"), *words, "--locale=C"]
    groups: list[str] | None = [] if user else None
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", user=user, group=user, extra_groups=groups
    )
    secret.unlink()
    if done.returncode != 0:
        raise JobFailed("PostgreSQL could not make a data folder", tuple(done.stderr.splitlines()[-4:]))
