"""Prepared cases with less look as if the rest had never been acquired."""

import numpy as np
import pytest

from clinic_mm.prep.batch import PreparedCases
from clinic_mm.prep.gaps import hide, lose_parameters, parameters, take
from tests import made

KINDS = ("record", "note")


@pytest.fixture
def cases() -> PreparedCases:
    return made.prepared(KINDS, 30)


def test_some_cases_keep_their_own_rows(cases: PreparedCases) -> None:
    chosen = np.array([7, 3, 20])
    some = take(cases, chosen)
    assert [c.case_key for c in some.cases] == [cases.cases[i].case_key for i in chosen]
    for name in KINDS:
        for new, old in enumerate(chosen):
            there = some.row[name][new] >= 0
            assert there == (cases.row[name][old] >= 0) == some.present[new, KINDS.index(name)]
            if there:
                np.testing.assert_array_equal(some.x[name][some.row[name][new]], cases.x[name][cases.row[name][old]])
        np.testing.assert_array_equal(some.plain[name], cases.plain[name][chosen])


def test_a_hidden_modality_leaves_nothing(cases: PreparedCases) -> None:
    left = hide(cases, np.tile([True, False], (30, 1)))
    assert not left.present[:, 1].any()
    assert len(left.x["note"]) == 0
    assert np.isnan(left.plain["note"]).all()
    assert np.isnan(left.time_h[:, 1]).all()
    np.testing.assert_array_equal(left.x["record"], cases.x["record"])


def test_a_parameter_goes_with_its_cells_and_a_record_without_any_is_absent(cases: PreparedCases) -> None:
    recipe = made.recipe(KINDS)
    codes = np.array(parameters(recipe.preps["record"]))
    assert parameters(recipe.preps["note"]) == ()
    assert len(codes) == cases.plain["record"].shape[1]
    lab = np.tile(codes == "lab", (30, 1))
    left = lose_parameters(cases, recipe, {"record": lab})
    assert np.isnan(left.plain["record"][:, codes == "lab"]).all()
    assert np.isnan(left.x["record"][:, -1]).all()
    assert np.isfinite(left.plain["record"][left.present[:, 0]][:, codes == "birth_date"]).all()
    nothing = lose_parameters(cases, recipe, {"record": np.ones((30, len(codes)), bool)})
    assert not nothing.present[:, 0].any()
    np.testing.assert_array_equal(nothing.present[:, 1], cases.present[:, 1])
