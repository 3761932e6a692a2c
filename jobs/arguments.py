"""The field `arguments`: what a net is built with, as a JSON object."""

from __future__ import annotations

import json
from typing import Any

from jobs.spec import SpecError


def parse(text: str, field: str = "arguments") -> dict[str, Any]:
    """Names and values.

    Args:
        field: what complaints call it.

    Raises:
        SpecError: if the text is no JSON object.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"{field}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise SpecError(f"{field}: not a JSON object: {text}")
    return found
