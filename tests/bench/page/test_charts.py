"""From figures to pixels: round figures along the axis, and nothing drawn outside of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotlight.bench.page import style
from pilotlight.bench.page.chart.lines import Limit
from pilotlight.bench.page.chart.scale import Linear, scale
from pilotlight.bench.page.chart.steps import PAPER, Curve, steps

AMOUNTS = st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=20)


@given(AMOUNTS)
def test_all_amounts_lie_on_the_axis(values: list[float]) -> None:
    along = scale(values, 10.0, 500.0)
    assert all(9.9 <= along.at(value) <= 500.1 for value in values)


@given(AMOUNTS)
def test_an_axis_has_figures_to_read(values: list[float]) -> None:
    along = scale(values, 10.0, 500.0)
    places = [along.at(tick) for tick in along.ticks()]
    assert 2 <= len(places) <= 12
    assert places == sorted(places)
    assert all(9.9 <= place <= 500.1 for place in places)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(7.0, [0, 1, 2, 3, 4, 5, 6, 7]), (508.0, [0, 100, 200, 300, 400, 500, 600]),
     (0.13, [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14])],
)  # fmt: skip
def test_figures_are_round(most: float, ticks: list[float]) -> None:
    assert list(Linear.over([most], 0, 1).ticks()) == pytest.approx(ticks)


def test_a_curve_rises_at_what_was_measured_and_nowhere_else() -> None:
    drawn = steps("four", [Curve("four", 0, (4.0, 1.0, 3.0, 2.0))], x_label="ms")
    points = re.findall(r"([\d.]+),([\d.]+)", re.search(r'points="([^"]*)"', drawn)[1])  # type: ignore[index]
    up = Linear(0.0, 1.0, PAPER.y_end, PAPER.top)
    shares = [f"{up.at(at / 4):.1f}" for at in (0, 1, 1, 2, 2, 3, 3, 4, 4)]
    assert [y for _, y in points] == shares
    assert [x for x, _ in points[:8:2]] == [x for x, _ in points[1:8:2]]


def test_a_bound_far_beyond_all_is_said_and_not_drawn() -> None:
    drawn = steps("one", [Curve("one", 0, (1.0, 2.0))], x_label="ms", limit=Limit(900.0, "SLO"))
    assert "SLO is right of all" in drawn
    assert '<line class="limit"' not in drawn


@pytest.mark.parametrize(
    ("colours", "paper"),
    [(style.LIGHT, style.PAPER), (style.DARK, style.DARK_PAPER)],
    ids=["light", "dark"],
)
def test_every_colour_stands_out_from_the_paper(colours: tuple[str, ...], paper: str) -> None:
    """3 to 1 is what WCAG 2.2 asks of graphics, in 1.4.11."""
    assert min(_contrast(colour, paper) for colour in colours) >= 3


def _contrast(one: str, other: str) -> float:
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
