"""What a run tells whoever watches."""

from __future__ import annotations

import pytest

from cluster.running import Show
from cluster.submission import listing
from jobs.spec import Progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(1, 2, 3, 4, 0, 5.0), "3/4 images, shard 1/2, 5.0 images/s, 0 s left"),
        (
            Progress(1, 512, 8, 4096, 0, 2.0, 2, "edges: group", "blocks"),
            "8/4,096 blocks, edges: group 1/512, 2.0 blocks/s (1.0 a worker), 34 min 04 s left",
        ),
    ],
)
def test_progress_says_what_it_counts(
    progress: Progress, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the list of jobs knows such a line."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    show = Show()
    show.progress(progress)
    show.close()
    assert capsys.readouterr().err.strip() == line
    assert listing._PROGRESS.match(line)
