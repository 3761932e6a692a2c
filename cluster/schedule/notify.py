"""A night told to whoever wants to know: one JSON document, posted to a webhook or given to a command on its stdin.

Secrets are taken from the environment (`https://hooks.example.org/${HOOK}`) in this moment, and of a webhook's address
nothing but the host is ever said: its path is often the key.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from cluster.document import to_json

WAITS_S = (1.0, 4.0, 16.0)
"""Pauses between attempts."""

_TIMEOUT_S = 15.0
_COMMAND_S = 120.0
_FINAL = range(400, 500)
_BUSY = (408, 425, 429)

Say = Callable[[str], None]


def notify(
    target: str | Sequence[str],
    document: Mapping[str, Any],
    say: Say,
    *,
    environment: Mapping[str, str] | None = None,
    waits_s: Sequence[float] = WAITS_S,
) -> bool:
    """Tell it; False, and a warning, if that could not be done. It never raises."""
    known = os.environ if environment is None else environment
    try:
        data = to_json(document).encode()
        if isinstance(target, str):
            _post(_filled(target, known), data, waits_s)
        else:
            _run([_filled(word, known) for word in target], data)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        say(f"warning: {document.get('night', 'the night')} could not be told to {_told(target)}: {_reason(error)}")
        return False
    return True


def place(target: str | Sequence[str] | None) -> str:
    """Where a night is told, as it may be shown."""
    return "" if target is None else _told(target)


def _told(target: str | Sequence[str]) -> str:
    if not isinstance(target, str):
        return target[0]
    return urlsplit(target).hostname or target.partition("}")[0] + "}"


def _filled(text: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise ValueError(f"the environment has no {match[1]}")
        return environment[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirection would turn the POST into a GET that tells nothing."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(url: str, data: bytes, waits_s: Sequence[float]) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("it is no http(s) address")
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "User-Agent": "safelight"})
    opener = urllib.request.build_opener(_Stay)
    for wait_s in (*waits_s, None):
        try:
            with opener.open(request, timeout=_TIMEOUT_S):
                return
        except OSError as error:
            refused = isinstance(error, urllib.error.HTTPError) and error.code in _FINAL and error.code not in _BUSY
            if wait_s is None or refused:
                raise
            time.sleep(wait_s)


def _run(words: Sequence[str], data: bytes) -> None:
    done = subprocess.run(words, input=data, capture_output=True, timeout=_COMMAND_S, check=False)
    if done.returncode:
        raise ValueError(f"it ended with {done.returncode}")


def _reason(error: Exception) -> str:
    """Why, without a word that could hold the address or an argument."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code}"
    if isinstance(error, urllib.error.URLError):
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "it cannot be reached"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took longer than {_COMMAND_S:.0f} s"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error).splitlines()[0] if type(error) is ValueError else type(error).__name__
