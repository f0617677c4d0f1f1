"""Read the data types of FHIR R4 that hold what was coded and measured: concepts, values, reference ranges.

In:  elements as plain Python. Out: codes with their words, numbers in the unit of their code, ranges, interpretations.

A number that is no JSON number, or beyond what anything is counted in, is refused; "<0.3" is not 0.3.
"""

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

from clinic_mm.errors import ClinicError
from clinic_mm.sources.fhir.policy import Resource, systems
from clinic_mm.sources.record.units import Conversion, conversion

NAN: Final = math.nan
MOST: Final = 1e15
"""Beyond this no clinical quantity goes (cells per litre end at 10^13)."""
UCUM: Final = "http://unitsofmeasure.org"
NO_CODE: Final = ("", "")
INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff"), "")
COMPARATORS: Final = frozenset({"<", "<=", ">=", ">"})


class UnitMismatchError(ClinicError):
    """A unit that measures something else than the code does; counted by the reader of the resource."""


class Value(NamedTuple):
    """What was found: a number in a unit, or a text, with what the source thinks of it."""

    number: float = NAN
    text: str = ""
    unit: str = ""
    ref_low: float = NAN
    ref_high: float = NAN
    interpretation: str = ""


def code_of(concept: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON as it comes
    """Code and display of a CodeableConcept: the first coding of a known system, else a local one, else its text."""
    if not concept:
        return NO_CODE
    codings: list[Any] = concept.get("coding") or []
    words = concept.get("text")
    if len(codings) == 1:
        one = codings[0]
        return _coded(one.get("system"), one.get("code"), one.get("display"), words)
    found = [_coded(one.get("system"), one.get("code"), one.get("display"), words) for one in codings]
    found = [one for one in found if not one[0].startswith("text:")]
    known = (one for one in found if not one[0].startswith("local:"))
    return next(known, found[0] if found else _coded(None, None, None, words))


@lru_cache(maxsize=1 << 14)
def _coded(system: object, code: object, display: object, words: object) -> tuple[str, str]:
    """One coding of a concept; a cohort says the same few hundred things a million times."""
    said = next((one.translate(INVISIBLE) for one in (display, words) if isinstance(one, str) and one), "")
    if isinstance(code, str) and code:
        name = systems().get(system) if isinstance(system, str) else None
        return f"{name or 'local'}:{code}", said
    return (f"text:{said.casefold()}", said) if said else NO_CODE


def value_of(part: Resource, code: str) -> Value | None:
    """Value of an Observation or component; None where it has none.

    Args:
        part: The Observation or component.
        code: Its code, for the unit that it is kept in.

    Raises:
        UnitMismatchError: If its unit measures something else than the code does.
        TypeError, ValueError: If it has another shape than the standard's.
    """
    quantity = part.get("valueQuantity")
    if quantity:
        found, change = _quantity(quantity, code)
    else:
        found, change = _worded(part), None
    if found is None or not ("referenceRange" in part or "interpretation" in part):
        return found
    low, high = _range(part.get("referenceRange"), code, found.unit) if change else (NAN, NAN)
    return found._replace(ref_low=low, ref_high=high, interpretation=_interpretation(part.get("interpretation")))


def number(value: object) -> float:
    """A JSON number.

    Raises:
        TypeError, ValueError: If it is none, or beyond what anything is counted in.
    """
    if type(value) is not float and type(value) is not int:
        raise TypeError
    if not -MOST < value < MOST:
        raise ValueError
    return float(value)


def _quantity(quantity: Resource, code: str) -> tuple[Value | None, Conversion | None]:
    if quantity.get("value") is None:
        return None, None
    given = number(quantity["value"])
    change = conversion(code, _unit(quantity))
    if change is None:
        raise UnitMismatchError("The unit measures something else than the code")
    value = change.of(given)
    if sign := quantity.get("comparator"):
        if sign not in COMPARATORS:
            raise ValueError
        return Value(text=f"{sign}{value:g}", unit=change.unit), change  # "<0.3" is not 0.3
    return Value(value, "", change.unit), change


def _unit(quantity: Resource) -> str:
    """UCUM's code where it is one, otherwise the unit as it is shown."""
    code, shown = quantity.get("code"), quantity.get("unit")
    if isinstance(code, str) and code and (quantity.get("system") in {UCUM, None} or not shown):
        return code
    return shown if isinstance(shown, str) else ""


def _worded(part: Resource) -> Value | None:
    """A value that is no quantity."""
    if (whole := part.get("valueInteger")) is not None:
        return Value(number(whole))
    if concept := part.get("valueCodeableConcept"):
        code, display = code_of(concept)
        words = concept.get("text")
        return Value(text=words if isinstance(words, str) and words else display or code) if code else None
    if (truth := part.get("valueBoolean")) is not None:
        if truth.__class__ is not bool:
            raise TypeError
        return Value(text="true" if truth else "false")
    if ratio := part.get("valueRatio"):
        return Value(text=f"{_plain(ratio['numerator']):g}:{_plain(ratio['denominator']):g}")
    if ends := part.get("valueRange"):
        return Value(text=f"{_plain(ends['low']):g}-{_plain(ends['high']):g}", unit=_unit(ends["low"]))
    for name in ("valueString", "valueDateTime", "valueTime"):
        if text := part.get(name):
            if not isinstance(text, str):
                raise TypeError
            return Value(text=text)
    return None


def _plain(quantity: Resource) -> float:
    return number(quantity["value"])


def _range(ranges: Any, code: str, unit: str) -> tuple[float, float]:  # noqa: ANN401 - JSON as it comes
    """Ends of the one normal range, in the unit of the value; NaN where there is none, or several to choose from."""
    normal = [one for one in ranges or () if code_of(one.get("type"))[0] in {"", "local:normal", "text:normal"}]
    if len(normal) != 1:
        return NAN, NAN
    low, high = _end(normal[0].get("low"), code, unit), _end(normal[0].get("high"), code, unit)
    return (NAN, NAN) if low > high else (low, high)


def _end(quantity: Resource | None, code: str, unit: str) -> float:
    if not quantity or quantity.get("value") is None:
        return NAN
    change = conversion(code, _unit(quantity) or unit)
    return change.of(_plain(quantity)) if change and change.unit == unit else NAN


def _interpretation(concepts: Any) -> str:  # noqa: ANN401 - JSON as it comes
    """The code of the first interpretation: `H`, `L`, `N`, `POS` and so on."""
    for concept in concepts or ():
        for coding in concept.get("coding") or ():
            if isinstance(coding.get("code"), str):
                return str(coding["code"])
    return ""
