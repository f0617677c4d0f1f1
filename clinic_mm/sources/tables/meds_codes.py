"""What a MEDS code means: category, code, unit, and when it was known. The rules are data: schemas/meds_codes.toml.

In:  the code of a MEDS event, and the codes of known vocabularies that the dataset says it stands for.
Out: a `Meaning`.

Nothing here sees an event or its time.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from clinic_mm import bundle

LEFT_OUT: Final = "left out"
UNKNOWN: Final = "unknown"
PART: Final = re.compile(r"\\\{(\w+)(\\\?)?\\\}")


class Meaning(NamedTuple):
    """What events of one code are.

    Attributes:
        category: As in a record; "" for events of an unknown code, which are observations if they have a number;
            `left out` for what is no fact of its own.
        code: As in a record.
        unit: As the source writes it.
        text: What the code itself says, such as a sex.
        clock: Whether midnight is a time of day.
        discharge: Whether it ends a stay.
        until_discharge: Whether it is known only when the stay ends.
        birth: Whether its time is the patient's birth.
        death: Whether its time is the patient's death.
    """

    category: str
    code: str
    unit: str = ""
    text: str = ""
    clock: bool = False
    discharge: bool = False
    until_discharge: bool = False
    birth: bool = False
    death: bool = False


def meaning(code: str, stands_for: Sequence[str] = ()) -> Meaning:
    """What a MEDS code means.

    Args:
        code: The code of an event.
        stands_for: `LOINC/718-7` and their like, from `parent_codes` of the dataset's metadata; the first one of a
            known vocabulary names the fact.
    """
    by_parent = next((known for one in stands_for if (known := _of_vocabulary(one))), None)
    found = _by_rule(code) or _of_vocabulary(code)
    if by_parent is None:
        return found or Meaning(UNKNOWN, f"meds:{code}")
    if found is None:
        return by_parent
    return found if found.birth or found.category == LEFT_OUT else found._replace(code=by_parent.code)


def _by_rule(code: str) -> Meaning | None:
    for rule, form in _rules():
        if parts := form.fullmatch(code):
            return _by(rule, code, parts.groupdict())
    return None


def _by(rule: dict[str, Any], code: str, parts: dict[str, str]) -> Meaning:
    kind = rule["as"]
    if kind == "birth":
        return Meaning("demographic", "birth_date", birth=True)
    if kind == "sex":
        sex = _policy()["sexes"].get(parts["x"].upper())
        return Meaning("demographic", "sex", text=sex) if sex else Meaning(LEFT_OUT, "sex")
    if "if" in rule and parts["x"].strip() not in rule["if"]:
        kind = LEFT_OUT
    unit = rule.get("unit", "").format(**parts)
    if dot := rule.get("dot"):
        parts = {name: _dotted(part, dot) for name, part in parts.items()}
    return Meaning(
        category=kind,
        code=rule.get("code", "meds:" + code.replace("{", "{{").replace("}", "}}")).format(**parts),
        unit="" if unit in _policy()["none"] else unit,
        clock=rule.get("clock", False),
        discharge=rule.get("discharge", False),
        death=rule.get("death", False),
        until_discharge=rule.get("until_discharge", False),
    )


def _dotted(part: str, dot: int) -> str:
    return part if "." in part or len(part) <= dot else f"{part[:dot]}.{part[dot:]}"


def _of_vocabulary(code: str) -> Meaning | None:
    name, _, rest = code.partition("/")
    known = _policy()["vocabularies"].get(name)
    if not known or not rest:
        return None
    return Meaning(known["as"], f"{known['name']}:{rest}", until_discharge=known.get("until_discharge", False))


@cache
def _rules() -> tuple[tuple[dict[str, Any], re.Pattern[str]], ...]:
    return tuple((rule, _pattern(rule["form"])) for rule in _policy()["rule"])


def _pattern(form: str) -> re.Pattern[str]:
    return re.compile(
        PART.sub(lambda found: f"(?P<{found[1]}>.{'*' if found[2] else '+?'})", re.escape(form)), re.DOTALL
    )


@cache
def _policy() -> dict[str, Any]:
    return bundle.policy("meds_codes")
