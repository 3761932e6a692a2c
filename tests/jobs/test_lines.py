"""Several curves in one picture: where they lie, what they are called, and what is left out."""

from __future__ import annotations

import math
import re

import pyarrow as pa

from jobs import lines
from jobs.lines import Curves
from vision.accumulator import plotted


def made(**changed: object) -> pa.Table:
    columns = {
        "net": ["plain", "plain", "res", "res"], "depth": [56, 20, 20, 56], "error": [0.8, 0.2, 0.1, 0.0],
        "error_low": [0.7, 0.1, 0.05, None], "error_high": [0.9, 0.3, 0.15, None],
    }  # fmt: skip
    plot = {"kind": "lines", "x": "depth", "y": "error", "low": "error_low", "high": "error_high", "series": ["net"]}
    return plotted(pa.table(columns), **{**plot, "logarithmic": False, "stretched": True, **changed})


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline [^>]*points="([^"]+)"', svg)
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line.split())] for line in found]


def test_each_series_is_a_line_in_the_order_of_x() -> None:
    svg = lines.picture(made())
    plain, res = polylines(svg)
    assert plain[0][0] == res[0][0] < plain[1][0] == res[1][0]
    assert plain[1][1] < plain[0][1] < res[0][1] < res[1][1], "what is larger stands higher"
    assert ">plain<" in svg and ">res<" in svg and ">20<" in svg and ">56<" in svg and "error by depth" in svg
    assert Curves.of(made()).lines["plain"] == [(20.0, 0.2, 0.1, 0.3), (56.0, 0.8, 0.7, 0.9)]


def test_words_stand_beside_each_other_in_the_order_of_the_table() -> None:
    curves = Curves.of(made(x="net", series=["depth"]))
    assert curves.words == ("plain", "res") and set(curves.lines) == {"56", "20"}
    assert [x for x, *_ in curves.lines["20"]] == [0.0, 1.0]
    svg = lines.picture(made(x="net", series=["depth"]))
    assert ">plain<" in svg and len(polylines(svg)) == 2


def test_logarithms_space_powers_evenly_and_leave_out_what_has_none() -> None:
    table = pa.table({"layer": [1, 2, 3, 4], "norm": [1e-8, 1e-4, 1.0, 0.0]})
    plot = {"kind": "lines", "x": "layer", "y": "norm", "low": "l", "high": "h", "series": []}
    plot |= {"logarithmic": True, "stretched": False}
    (line,) = polylines(lines.picture(plotted(table, **plot)))
    heights = [y for _, y in line]
    assert len(line) == 3 and math.isclose(heights[0] - heights[1], heights[1] - heights[2], abs_tol=0.2)


def test_the_foot_is_stretched_where_asked_for() -> None:
    table = pa.table({"k": [1, 2, 4], "y": [0.1, 0.2, 0.3]})
    plot = {"kind": "lines", "x": "k", "y": "y", "low": "l", "high": "h", "series": [], "logarithmic": False}
    for stretched, share in ((True, 1 / 2), (False, 1 / 3)):
        (line,) = polylines(lines.picture(plotted(table, **plot, stretched=stretched)))
        assert math.isclose((line[1][0] - line[0][0]) / (line[2][0] - line[0][0]), share, abs_tol=1e-3)


def test_too_many_curves_are_counted_and_a_name_is_escaped() -> None:
    table = pa.table({"net": [f"<{n}>" for n in range(30)], "x": [1.0] * 30, "y": [float(n) for n in range(30)]})
    plot = {"kind": "lines", "x": "x", "y": "y", "low": "l", "high": "h", "series": ["net"]}
    plot |= {"logarithmic": False, "stretched": False}
    curves = Curves.of(plotted(table, **plot))
    assert len(curves.lines) == 24 and curves.left_out == 6
    svg = lines.picture(plotted(table, **plot))
    assert "&lt;0&gt;" in svg and "<0>" not in svg and "and 6 more" in svg


def test_a_png_is_the_same_each_time() -> None:
    data = lines.png(made(), "study")
    assert data.startswith(b"\x89PNG") and data == lines.png(made(), "study")
    assert lines.png(made(x="net", series=["depth"]), "t") != data
