import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_mm.sources.record import units
from clinic_mm.sources.record.units import to_canonical, ucum

IUPAC_2021 = {
    "H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "Na": 22.990, "Mg": 24.305, "P": 30.974, "Cl": 35.45,
    "K": 39.098, "Ca": 40.078, "Fe": 55.845, "Co": 58.933, "I": 126.90,
}  # fmt: skip
POLICY: dict[str, Any] = units._policy()
PAIRS = [(f"loinc:{code}", unit) for code in POLICY["loinc"] for row in POLICY["sizes"].values() for unit in row]


@pytest.mark.parametrize(
    ("code", "value", "unit", "want", "kept"),
    [
        ("2345-7", 5.5, "mmol/l", 99.0858, "mg/dL"),
        ("14749-6", 99.0858, "MG/DL", 5.5, "mmol/L"),
        ("2160-0", 88.4, "µmol/L", 1.0, "mg/dL"),  # the textbook's factor is 88.4
        ("3094-0", 7.14, "mmol/L", 20.0, "mg/dL"),  # 0.357
        ("2093-3", 5.17, "mmol/L", 200.0, "mg/dL"),  # 38.67
        ("1975-2", 17.1, "umol/L", 1.0, "mg/dL"),
        ("17861-6", 2.5, "mmol/L", 10.0, "mg/dL"),
        ("17861-6", 5.0, "mEq/L", 10.0, "mg/dL"),
        ("718-7", 8.0, "mmol/L", 12.9, "g/dL"),
        ("718-7", 130.0, "g/l", 13.0, "g/dL"),
        ("4548-4", 53.0, "mmol/mol", 7.0, "%"),
        ("6690-2", 9.5, "K/uL", 9.5, "10*3/uL"),
        ("6690-2", 9.5, "10^9/L", 9.5, "10*3/uL"),
        ("6690-2", 9500.0, "/mm³", 9.5, "10*3/uL"),
        ("789-8", 4.8, "T/L", 4.8, "10*6/uL"),
        ("8310-5", 98.6, "°F", 37.0, "Cel"),
        ("8310-5", 98.6, "[degF]", 37.0, "Cel"),
        ("29463-7", 150.0, "[lb_av]", 68.0388555, "kg"),
        ("8302-2", 70.0, "[in_i]", 177.8, "cm"),
        ("2703-7", 13.3322387415, "kPa", 100.0, "mm[Hg]"),
        ("3016-3", 2.5, "uIU/mL", 2.5, "m[IU]/L"),
    ],
)
def test_a_value_is_kept_in_the_unit_of_its_code(code: str, value: float, unit: str, want: float, kept: str) -> None:
    found = to_canonical(f"loinc:{code}", value, unit)
    assert found is not None
    assert found[1] == kept
    assert found[0] == pytest.approx(want, rel=2e-3)


@pytest.mark.parametrize(
    ("code", "unit"), [("29463-7", "mm[Hg]"), ("718-7", "G/L"), ("1742-6", "mmol/L"), ("1988-5", "mmol/L")]
)
def test_a_unit_that_measures_something_else_is_refused(code: str, unit: str) -> None:
    assert to_canonical(f"loinc:{code}", 80.0, unit) is None


def test_what_is_not_known_stays_as_it_is() -> None:
    assert to_canonical("loinc:2345-7", 5.5, "{arb'U}") == (5.5, "{arb'U}")
    assert to_canonical("loinc:99999-9", 5.5, "mmol/l") == (5.5, "mmol/L")
    assert to_canonical("local:GLU", 5.5, "") == (5.5, "")


def test_what_is_not_metric_is_made_so_whatever_the_code() -> None:
    assert to_canonical("local:TEMP", 212.0, "F") == (100.0, "Cel")
    assert to_canonical("local:WT", 1.0, "lb") == (0.45359237, "kg")


def test_case_matters_where_it_makes_another_unit() -> None:
    assert [ucum(one) for one in ("mM", "mm", "MM")] == ["mmol/L", "mm", "MM"]


@given(st.sampled_from(PAIRS), st.floats(-1e6, 1e6))
def test_once_kept_a_value_is_never_changed_again(pair: tuple[str, str], value: float) -> None:
    once = to_canonical(pair[0], value, pair[1])
    assert once is None or to_canonical(pair[0], *once) == once


@pytest.mark.parametrize("pair", [("2345-7", "14749-6"), ("2160-0", "14682-9"), ("17861-6", "2000-8")])
@pytest.mark.parametrize("value", [0.1, 1.0, 250.0])
def test_there_and_back_is_the_same(pair: tuple[str, str], value: float) -> None:
    mass, substance = (f"loinc:{one}" for one in pair)
    there = to_canonical(substance, value, POLICY["loinc"][pair[0]]["unit"])
    assert there is not None
    back = to_canonical(mass, *there)
    assert back is not None
    assert math.isclose(back[0], value, rel_tol=1e-9)


def test_molar_masses_are_those_of_their_formulas() -> None:
    for name, one in POLICY["substances"].items():
        if "formula" in one:
            atoms = re.findall(r"([A-Z][a-z]?)(\d*)", one["formula"])
            mass = sum(IUPAC_2021[atom] * int(count or 1) for atom, count in atoms)
            assert one["g_per_mol"] == pytest.approx(mass, abs=1e-3), name


def test_the_table_names_only_units_and_substances_that_it_has() -> None:
    known = {unit for row in POLICY["sizes"].values() for unit in row}
    assert {*POLICY["spelling"].values(), *POLICY["anycase"].values(), *POLICY["metric"].values()} <= known
    assert {one["unit"] for one in POLICY["loinc"].values()} <= known
    assert {one["of"] for one in POLICY["loinc"].values() if "of" in one} <= set(POLICY["substances"])
    assert all(name == name.casefold() for name in POLICY["anycase"])
