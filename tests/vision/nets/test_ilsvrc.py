"""The lectures' results on ILSVRC as data: every number with its source."""

from __future__ import annotations

from vision.nets.ilsvrc import Reported, ilsvrc_results


def rows(entry: str, nets: str = "", table: str = "") -> list[Reported]:
    return [r for r in ilsvrc_results() if r.entry == entry and r.nets == nets and table in r.source]


def test_every_row_has_a_source_and_an_error() -> None:
    for row in ilsvrc_results():
        assert row.source
        assert [e for e in (row.top1_val, row.top5_val, row.top5_test) if e is not None]
        for error in (row.top1_val, row.top5_val, row.top5_test):
            assert error is None or 0 < error[0] <= error[1] < 100


def test_the_winners_by_year() -> None:
    told = [r for r in ilsvrc_results() if "revolution" in r.source]
    assert [(r.year, r.top5_test and r.top5_test[0], r.layers) for r in told] == [
        (2010, 28.2, None),
        (2011, 25.8, None),
        (2012, 16.4, 8),
        (2013, 11.7, 8),
        (2014, 7.3, 19),
        (2014, 6.7, 22),
        (2015, 3.57, 152),
    ]


def test_the_table_of_methods() -> None:
    def told(entry: str, nets: str) -> list[float | None]:
        (row,) = rows(entry, nets, "table 7")
        return [error and error[0] for error in (row.top1_val, row.top5_val, row.top5_test)]

    assert told("VGG", "2") == [23.7, 6.8, 6.8]
    assert told("VGG", "1") == [24.4, 7.1, 7.0]
    assert told("VGG", "7") == [24.7, 7.5, 7.3]
    assert told("MSRA", "11") == [None, None, 8.1]
    assert told("MSRA", "1") == [27.9, 9.1, 9.1]
    assert [told("Clarifai", n)[2] for n in ("several", "1")] == [11.7, 12.5]
    assert [told("Zeiler & Fergus", n) for n in ("1", "6")] == [[37.5, 16.0, 16.1], [36.0, 14.7, 14.8]]
    assert [told("OverFeat", n) for n in ("1", "7")] == [[35.7, 14.2, None], [34.0, 13.2, 13.6]]
    assert [told("Krizhevsky et al.", n) for n in ("5", "1")] == [[38.1, 16.4, 16.4], [40.7, 18.2, None]]
    assert [told("GoogLeNet", n)[1] for n in ("1", "7")] == [7.9, 6.7]


def test_vgg_at_several_scales() -> None:
    found = [(r.entry[-1], r.train_side, r.top1_val, r.top5_val) for r in ilsvrc_results() if "table 4" in r.source]
    wanted = """B 256 28.2 9.6, C 256 27.7 9.2, C 384 27.8 9.2, C 256-512 26.3 8.2, D 256 26.6 8.6, D 384 26.5 8.6,
    D 256-512 24.8 7.5, E 256 26.9 8.7, E 384 26.7 8.6, E 256-512 24.8 7.5"""
    split = [row.split() for row in wanted.split(",")]
    assert found == [(net, side, (float(one),) * 2, (float(five),) * 2) for net, side, one, five in split]
    assert all(len(r.test_sides) == 3 for r in ilsvrc_results() if "table 4" in r.source)


def test_claims_that_disagree_are_both_kept() -> None:
    """E8: people do 5 to 10 %, or 5.1 %, depending on whom one asks."""
    assert rows("people")[0].top5_test == (5.0, 10.0)
    assert rows("person (Karpathy)")[0].top5_test == (5.1, 5.1)
