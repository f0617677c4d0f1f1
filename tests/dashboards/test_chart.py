"""Charts of figures: intervals of several groups at one place stand side by side, near it, and none hides another."""

import sys
from itertools import pairwise

import pandas as pd
import pytest

from clinic_mm.bundle import folder

sys.path.insert(0, str(folder("dashboards")))

from components.chart import ASIDE, beside


@pytest.mark.parametrize("places", [(0.0, 0.1, 0.3, 0.9), (0.5,)])
@pytest.mark.parametrize("groups", [1, 2, 7, 20])
def test_intervals_stand_side_by_side_and_nearer_to_their_place_than_to_the_next(
    groups: int, places: tuple[float, ...]
) -> None:
    nearest = min((after - one for one, after in pairwise(places)), default=1.0)
    rows = [{"method": f"m{one}", "rate": place} for place in places for one in range(groups)]
    frame = pd.DataFrame(rows)
    at = beside(frame, "rate", "method")
    assert at.is_unique
    assert at.is_monotonic_increasing
    assert ((at - frame["rate"]).abs() <= ASIDE * nearest / 2).all()
    for place in places:
        assert at[frame["rate"] == place].mean() == pytest.approx(place)
