"""Values as they may be recorded: without secrets, and no longer than MLflow takes.

Keys belong into the environment, but people also paste them into URLs; what looks like one is masked before a value
reaches a parameter, a tag, a log line or a file beside the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

PARAMETER_LIMIT = 6000
TAG_LIMIT = 8000

_SECRET_NAMES = re.compile(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY", re.IGNORECASE)
_RULES = (
    # scheme://user:password@host
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)"), "***"),
    # ?X-Amz-Signature=..., &token=..., ?secret_key=...
    (
        re.compile(
            r"([?&][^=&\s]*(?:key|token|secret|sig|signature|password|passwd|credential)[^=&\s]*=)[^&\s#\"']+",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "***"),
)


def masked(text: str, environment: Mapping[str, str] | None = None) -> str:
    """`text` with passwords and keys in URLs, access keys and the values of secret variables as `***`.

    >>> masked("https://me:pass@example.org/x?Signature=abc&y=1", {})
    'https://***@example.org/x?Signature=***&y=1'
    """
    for name, value in (os.environ if environment is None else environment).items():
        if len(value) >= 8 and _SECRET_NAMES.search(name) and not value.startswith("/"):
            text = text.replace(value, "***")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def cut(text: str, limit: int) -> str:
    """`text`, or its beginning with the digest of the whole, at most `limit` characters long."""
    if len(text) <= limit:
        return text
    mark = f"... sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text[: limit - len(mark)] + mark


def as_word(value: Any) -> str:
    """A field's value as it is written on the command line: lists by commas, nothing as an empty word.

    >>> as_word(("gender", "race")), as_word(None), as_word(True), as_word(0.01)
    ('gender,race', '', 'true', '0.01')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(as_word(item) for item in value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)


def as_parameter(value: Any) -> str:
    """A field's value as MLflow records it and as `--where` looks for it."""
    return cut(masked(as_word(value)), PARAMETER_LIMIT)


def as_tag(value: Any) -> str:
    """A fact as MLflow's tags hold it."""
    return cut(masked(as_word(value)), TAG_LIMIT)
