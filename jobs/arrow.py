"""pyarrow without pandas, in processes that are safelight's own."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import ModuleType


def without_pandas() -> None:
    """Have pyarrow look for pandas now, and find nothing in it.

    At the first value that becomes a column it would import pandas, to ask whether that is one of its Series: a
    quarter of a second and 45 MB of every worker. Who does need pandas still gets it: `to_pandas` looks again. But a
    Series or a NaT that becomes a column is then a sequence or an object like any other, so this is not for processes
    where somebody else's code makes columns of those.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.modules["pandas"] = ModuleType("pandas")
    try:
        # Its Python and its C++ each look for themselves, and once.
        for _ in range(2):
            with suppress(AttributeError):
                pa.array([0])
    finally:
        del sys.modules["pandas"]
