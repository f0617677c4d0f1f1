"""Bring clinical values into one unit for each code: spellings to UCUM, pounds to kilograms, mmol/L to mg/dL.

In:  a code (`loinc:2345-7`), a value and its unit as the source writes it. Out: the value in the code's own unit.

What is known of units and codes stands in schemas/units.toml with its sources. A unit that is not known stays as it is,
so that two units of a code are two features, never mixed; a unit that measures something else than the code is refused.
"""

from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from clinic_mm import bundle

LOINC: Final = "loinc:"
NGSP_SLOPE: Final = 0.09148
NGSP_OFFSET: Final = 2.152
"""HbA1c: NGSP % = 0.09148 · IFCC mmol/mol + 2.152 (Hoelzel and others, Clin Chem 2004;50:166-174)."""
SIGNS: Final = str.maketrans({"µ": "u", "μ": "u", "^": "*", "×": "x", "³": "3", "²": "2", "⁹": "9"})


class Conversion(NamedTuple):
    """value · scale + offset is the value in `unit`."""

    unit: str
    scale: float = 1.0
    offset: float = 0.0

    def of(self, value: float) -> float:
        """A value in the new unit; untouched where nothing changes."""
        if self.scale == 1.0 and self.offset == 0.0:
            return value
        return float(f"{value * self.scale + self.offset:.12g}")  # 98.6 [degF] is 37 Cel, not 36.99999999999999


def to_canonical(code: str, value: float, unit: str) -> tuple[float, str] | None:
    """One value in the unit that its code is kept in.

    Args:
        code: As in a record: `loinc:2345-7`. Of other codes only the spelling of the unit is mended, and what is not
            metric is made so.
        value: As the source has it; NaN stays NaN.
        unit: As the source writes it, "" where it has none.

    Returns:
        Value and UCUM unit; None where the unit measures something else than the code does.
    """
    known = conversion(code, unit)
    return None if known is None else (known.of(value), known.unit)


@lru_cache(maxsize=1 << 14)
def conversion(code: str, unit: str) -> Conversion | None:
    """How values of a code in a unit are brought into the code's own unit; for many values at once.

    Returns:
        None where the unit measures something else than the code does. A unit that is not known stays as it is.
    """
    policy, given = _policy(), ucum(unit)
    wanted = policy["loinc"].get(code.removeprefix(LOINC)) if code.startswith(LOINC) else None
    if wanted is None:
        metric = policy["metric"].get(given)
        return _within(given, metric) if metric else Conversion(given)
    aim = wanted["unit"]
    if given == aim or given not in _kinds():
        return Conversion(aim) if given == aim else Conversion(given)
    if wanted.get("ifcc") and given == "mmol/mol":
        return Conversion(aim, NGSP_SLOPE, NGSP_OFFSET)
    if _kinds()[given] == _kinds()[aim]:
        return _within(given, aim)
    return _across(given, aim, policy["substances"].get(wanted.get("of"), {}))


@lru_cache(maxsize=1 << 12)
def taken_for(code: str, unit: str) -> tuple[tuple[str, float, float], ...]:
    """What a number that says it is in a unit could be in instead: words, and the scale and offset that mend it.

    Of a LOINC code that is known, every other unit of it. Of any other code what goes wrong most: powers of ten, and
    the factors between mass and substance of glucose and creatinine.
    """
    wanted = _policy()["loinc"].get(code.removeprefix(LOINC)) if code.startswith(LOINC) else None
    if wanted is None or wanted["unit"] != unit:
        glucose, creatinine = (_policy()["substances"][name]["g_per_mol"] for name in ("glucose", "creatinine"))
        factors = [10.0, 100.0, 1000.0, glucose / 10, 1e4 / creatinine]
        up = [(f"{factor:.4g} times too high", 1 / factor, 0.0) for factor in factors]
        return (*up, *((f"{factor:.4g} times too low", factor, 0.0) for factor in factors))
    found: dict[tuple[float, float], tuple[str, float, float]] = {}
    for other in _kinds():
        known = conversion(code, other)
        if known is not None and known.unit == unit and (known.scale, known.offset) != (1.0, 0.0):
            found.setdefault((known.scale, known.offset), (f"in {other}", known.scale, known.offset))
    return tuple(found.values())


def substance(code: str) -> str:
    """What a LOINC code measures, in a word; "" where the table does not say."""
    known = _policy()["loinc"].get(code.removeprefix(LOINC)) if code.startswith(LOINC) else None
    return str(known.get("of", "")) if known else ""


@lru_cache(maxsize=1 << 12)
def ucum(text: str) -> str:
    """A unit in UCUM's spelling where it is known, as it was written otherwise."""
    compact = "".join(text.translate(SIGNS).split())
    if compact in _kinds():
        return compact
    policy = _policy()
    known = policy["spelling"].get(compact) or policy["anycase"].get(compact.casefold())
    return known or text.strip()


def _within(given: str, aim: str) -> Conversion:
    """Between two units of one kind."""
    sizes, zero = _policy()["sizes"][_kinds()[given]], _policy()["zero"]
    scale = float(f"{sizes[given] / sizes[aim]:.15g}")  # 1e-3 / 1e-3 and its like come out whole
    return Conversion(aim, scale, (zero.get(given, 0.0) - zero.get(aim, 0.0)) / sizes[aim])


def _across(given: str, aim: str, substance: dict[str, Any]) -> Conversion | None:
    """Between mass, substance and charge concentration, by way of mmol/L; None for every other pair."""
    mmol = _mmol_per_litre(given, substance)
    goal = _mmol_per_litre(aim, substance)
    return Conversion(aim, mmol / goal) if mmol and goal else None


def _mmol_per_litre(unit: str, substance: dict[str, Any]) -> float | None:
    kind, size = _kinds()[unit], _policy()["sizes"][_kinds()[unit]][unit]
    match kind:
        case "substance_concentration":
            return float(size)
        case "mass_concentration" if "g_per_mol" in substance:
            return float(1000.0 * size / substance["g_per_mol"])
        case "charge_concentration" if "charge" in substance:
            return float(size / substance["charge"])
        case _:
            return None


@cache
def _kinds() -> dict[str, str]:
    return {unit: kind for kind, units in _policy()["sizes"].items() for unit in units}


@cache
def _policy() -> dict[str, Any]:
    return bundle.policy("units")
