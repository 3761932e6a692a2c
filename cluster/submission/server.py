"""Ray's job server: reached within seconds or not at all, and asked by its own client.

The client itself waits for ever where nobody answers, so a request of our own with a time limit knocks first. The
token is that of Ray's variables (`RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH`, or `~/.ray/auth_token` with
`RAY_AUTH_MODE=token`); it goes to the server at RAY_ADDRESS only, and into no message.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cluster.masking import masked
from jobs.spec import JobFailed

T = TypeVar("T")

KNOCK_S = 10.0
"""How long the server may take for its first word."""

ANSWER_S = 60.0
"""How long it may take for any other."""


@dataclass(frozen=True)
class Server:
    """A job server that answered.

    Attributes:
        url: `http://host:port`.
        ray: the cluster's version of Ray.
        session: what the cluster calls itself since it was started.
    """

    url: str
    ray: str
    session: str
    _kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def _client(self) -> Any:
        if "client" not in self._kept:
            from ray.job_submission import JobSubmissionClient

            client: Any = self._asked(lambda: JobSubmissionClient(self.url))
            # The client has no time limit of its own.
            client._do_request = functools.partial(client._do_request, timeout=ANSWER_S)
            self._kept["client"] = client
        return self._kept["client"]

    def send(self, **words: Any) -> str:
        """Submit a job, in the client's own words; returns its id. One that exists already is given back."""
        wanted = str(words["submission_id"])
        try:
            return str(self._asked(lambda: self._client.submit_job(**words)))
        except JobFailed as error:
            if "already exists" not in str(error):
                raise
            return wanted

    def all(self) -> list[Any]:
        """What the server knows of the jobs that safelight submitted, newest first."""
        found = self._asked(self._client.list_jobs)
        ours = [one for one in found if one.submission_id and (one.metadata or {}).get("safelight.job")]
        return sorted(ours, key=lambda one: one.start_time or 0, reverse=True)

    def find(self, name: str) -> Any | None:
        """What the server knows of one job, or None."""
        try:
            return self._asked(lambda: self._client.get_job_info(name))
        except JobFailed as error:
            if "does not exist" in str(error) or "404" in str(error):
                return None
            raise

    def log(self, name: str) -> str:
        """All that a job has printed; nothing if the machine that kept it is gone, or the job has not begun."""
        try:
            return str(self._client.get_job_logs(name))
        except (RuntimeError, OSError):
            return ""

    def stop(self, name: str) -> None:
        """Ask a job to end."""
        self._asked(lambda: self._client.stop_job(name))

    def nodes(self) -> list[str]:
        """The host names of the cluster's machines, as they registered: a young one has told nothing else yet."""
        return sorted(map(str, _get(self.url + "/nodes?view=hostNameList")["data"]["hostNameList"]))

    def _asked(self, question: Callable[[], T]) -> T:
        """An answer, or one line on why there is none."""
        from ray.exceptions import AuthenticationError
        from requests import RequestException

        try:
            return question()
        except AuthenticationError as error:
            # Of RAY_AUTH_TOKEN and RAY_AUTH_TOKEN_PATH, Ray's client may take the other.
            raise JobFailed(f"Ray's job server at {self.url} does not take this token: {_first_line(error)}") from None
        except (RequestException, ConnectionError) as error:
            raise JobFailed(f"Ray's job server at {self.url} went away: {_first_line(error)}") from None
        except RuntimeError as error:
            raise JobFailed(f"Ray's job server at {self.url}: {_last_line(error)}") from None


def connect(address: str) -> Server:
    """The job server of a cluster.

    Args:
        address: `http://host:8265`, or the cluster's own `host:6379`, which knows its job server.

    Raises:
        JobFailed: naming the cause, within `KNOCK_S` or a little more.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        # Ray sends a token only when told to; who has set one wants that.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    url = _url(address.rstrip("/"))
    try:
        told = _get(url + "/api/version")
        return Server(url, str(told["ray_version"]), str(told.get("session_name", "")))
    except (KeyError, TypeError, json.JSONDecodeError):
        raise JobFailed(f"{masked(url)} answers, but it is not Ray's job server (its port is 8265 as a rule)") from None


def _url(address: str) -> str:
    if address in ("", "local", "auto"):
        raise JobFailed(
            "RAY_ADDRESS does not name a cluster: set it to the address of its job server, such as "
            "http://head:8265 (`safelight run` needs none)"
        )
    if address.startswith(("http://", "https://")):
        return address
    if "://" in address:
        raise JobFailed(f"RAY_ADDRESS={masked(address)}: jobs go to the job server, such as http://head:8265")
    return _announced(address)


def _announced(address: str) -> str:
    """The job server that the cluster at `host:port` announces."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
    except ValueError:
        raise JobFailed(f"RAY_ADDRESS={address} is not http://host:port") from None
    except OSError as error:
        raise JobFailed(f"Ray at {address} cannot be reached: {error.strerror or error}") from None
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", str(int(KNOCK_S)))
    from ray import _raylet
    from ray.exceptions import AuthenticationError

    try:
        client = _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
        found = client.internal_kv_get(b"dashboard", namespace=b"dashboard", timeout=KNOCK_S)
    except AuthenticationError:
        raise JobFailed(f"Ray at {address} {_refused()}") from None
    except Exception as error:
        raise JobFailed(f"Ray at {address} does not say where its job server is: {_first_line(error)}") from None
    if not found:
        raise JobFailed(f"Ray at {address} has no job server: start its head with --include-dashboard=true")
    return f"http://{found.decode()}"


def _get(url: str) -> Any:
    """A JSON document of the server.

    Raises:
        JobFailed: if it cannot be reached in time, or refuses.
    """
    request = urllib.request.Request(url, headers=_headers(os.environ))
    where = f"Ray's job server at {masked(url.split('/api/', maxsplit=1)[0].split('/nodes', maxsplit=1)[0])}"
    try:
        with urllib.request.urlopen(request, timeout=KNOCK_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise JobFailed(f"{where} {_refused()}") from None
        raise JobFailed(f"{where} answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise JobFailed(f"{where} cannot be reached: something listens there, but does not answer") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise JobFailed(f"{where} cannot be reached: {_first_line(reason)}") from None


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    token = environment.get("RAY_AUTH_TOKEN")
    path = environment.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    if not token and environment.get("RAY_AUTH_MODE") == "token":
        try:
            token = Path(path).expanduser().read_text().strip()
        except OSError as error:
            raise JobFailed(f"Ray's token cannot be read: {path}: {error.strerror}") from None
    return {"Authorization": f"Bearer {token}"} if token else {}


def _refused() -> str:
    has = os.environ.get("RAY_AUTH_MODE") == "token"
    why = "does not know this token" if has else "wants a token"
    return f"{why} (RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH)"


def _first_line(error: object) -> str:
    return masked((str(error).strip() or type(error).__name__).splitlines()[0])


def _last_line(error: Exception) -> str:
    """Ray's server answers with a whole trace: its last line says what was wrong."""
    lines = str(error).replace("\\n", "\n").strip().rstrip(".").splitlines() or [type(error).__name__]
    return masked(lines[-1].strip())
