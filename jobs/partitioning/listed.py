"""Cells as somebody published them, checked against themselves before they are kept."""

from __future__ import annotations

from collections.abc import Sequence

from jobs import storage
from jobs.choosing import sha256
from jobs.spec import JobFailed, SpecError
from jobs.tables import roles
from vision.geolocation import published
from vision.geolocation.stored import Cells


def read(url: str, columns: Sequence[str]) -> Cells:
    """The cells in a published CSV.

    Args:
        columns: `role=name` where its columns are not called as usual.

    Raises:
        SpecError: if there is no such file, or a role is unknown.
        JobFailed: if its tokens are damaged, with each of them, or it is no table of cells.
    """
    names = roles(columns, tuple(published.COLUMNS))
    try:
        cells = published.read(storage.read(url).decode("utf-8"), names)
    except FileNotFoundError:
        raise SpecError(f"{url}: no such table") from None
    except published.DamagedTokens as error:
        raise JobFailed(f"{url}: {error}", [f"line {line}: {token!r}" for line, token in error.rows]) from None
    except UnicodeDecodeError:
        raise JobFailed(f"{url} is not text in UTF-8") from None
    except ValueError as error:
        raise JobFailed(f"{url}: {error}") from None
    about = {"published": url, "table_sha256": sha256(url), "photos": int(cells.counts.sum())}
    return Cells(cells.ids, cells.counts, cells.means, cells.labels, about)
