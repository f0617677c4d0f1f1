"""A record is laid out once while its page is drawn anew, and none is ever shown in the place of another."""

import gc
import sys

from clinic_mm.bundle import folder
from tests.viewing.test_timeline import AT, HB, fact, record

sys.path.insert(0, str(folder("dashboards")))

from components.record import _laid


def test_the_same_record_is_laid_out_once_and_for_another_moment_again() -> None:
    mine = record(fact(2, value=9.0, **HB))
    assert _laid(mine, AT, ()) is _laid(mine, AT, ())
    assert _laid(mine, None, ()).lanes["decision"] is False
    assert _laid(mine, AT, (("CT", AT),)).lanes["lanes"][0]["name"] == "Studies"


def test_a_record_that_takes_the_memory_of_another_is_not_shown_as_that() -> None:
    for value in range(100):
        mine = record(fact(2, value=float(value), **HB))
        (lane,) = _laid(mine, AT, ()).lanes["lanes"]
        assert lane["facts"][0]["value"] == value
        del mine, lane
        gc.collect()
