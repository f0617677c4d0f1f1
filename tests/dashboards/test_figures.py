"""Figures in tables: the minus of the charts, none before nothing; and no empty room below the last row."""

import sys

from clinic_mm.bundle import folder

sys.path.insert(0, str(folder("dashboards")))

from components.grid import held_px
from components.science import decimal


def test_a_figure_of_nothing_has_no_minus_and_others_have_that_of_the_charts() -> None:
    assert [decimal(one, 3) for one in (-0.0004, 0.0, -0.0306, 0.812)] == ["0.000", "0.000", "−0.031", "0.812"]


def test_a_grid_is_as_tall_as_its_rows_up_to_a_most() -> None:
    assert held_px(3, 420) < held_px(4, 420) < held_px(400, 420) == 420
    assert held_px(0, 420) == held_px(1, 420)
