"""Damage FHIR where it is vulnerable: whose a resource is, when, in which unit, of which version, and its very shape.

In:  a bundle as plain Python and a random generator. Out: other bundles, each with the name of what was done.

A lie of LIES must always be noticed; damage of DAMAGE may leave a legal bundle that says something else.
"""

import tomllib
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from typing import Any, Final

import numpy as np
import orjson

from clinic_mm.bundle import folder as bundle_folder

KNOWN: Final = frozenset(tomllib.loads((bundle_folder("schemas") / "units.toml").read_text(encoding="utf-8"))["loinc"])
Json = dict[str, Any]
Lie = Callable[[np.random.Generator, Json], None]
JUNK: Final = (7, 1.5, True, "x", [], {}, [None], {"a": {}}, [[]], "\0")
TIMES: Final = {
    "Observation": "effectiveDateTime",
    "Condition": "recordedDate",
    "MedicationRequest": "authoredOn",
    "AllergyIntolerance": "recordedDate",
    "ImagingStudy": "started",
    "DocumentReference": "date",
    "DiagnosticReport": "effectiveDateTime",
}
NEEDED: Final = {
    "Observation": ("code", "subject"),
    "Condition": ("code", "subject"),
    "Procedure": ("code", "subject"),
    "MedicationRequest": ("medicationCodeableConcept", "subject"),
    "AllergyIntolerance": ("code", "patient"),
    "DiagnosticReport": ("code", "subject"),
}
"""Elements without which there is no fact."""
VERSIONED: Final = {
    "Observation": {"triggeredBy": [], "comments": "x", "related": [], "comment": "x"},
    "Condition": {"participant": [], "assertedDate": "2020-01-01", "dateRecorded": "2020-01-01"},
    "Encounter": {"actualPeriod": {}, "indication": [], "class": [{"coding": []}]},
    "Procedure": {"occurrenceDateTime": "2020-01-01", "notDone": False},
    "AllergyIntolerance": {"substance": {}, "assertedDate": "2020-01-01"},
}


def pick(rng: np.random.Generator, bundle: Json, kinds: Collection[str]) -> Json:
    """One resource of the bundle, of one of some types."""
    some: list[Json] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] in kinds]
    return some[int(rng.integers(len(some)))]


def _measured(rng: np.random.Generator, bundle: Json) -> Json:
    """One Observation or component with a quantity."""
    parts = [part for e in bundle["entry"] for part in [e["resource"], *e["resource"].get("component", ())]]
    some: list[Json] = [part for part in parts if "valueQuantity" in part]
    return some[int(rng.integers(len(some)))]


def _is_in(part: Json, one: Json) -> bool:
    return one is part or any(part is component for component in one.get("component", ()))


def _code(part: Json) -> str:
    return str(part["code"]["coding"][0]["code"])


def other_patient(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, set(NEEDED) | {"DocumentReference"})
    name = "patient" if one["resourceType"] == "AllergyIntolerance" else "subject"
    one[name] = {
        "reference": str(rng.choice(["Patient/other", "http://a.b/Patient/other", "Patient/other/_history/1"]))
    }


def entered_in_error(rng: np.random.Generator, bundle: Json) -> None:
    pick(rng, bundle, {"Observation", "Procedure", "MedicationRequest", "Encounter"})["status"] = "entered-in-error"


def unknown_status(rng: np.random.Generator, bundle: Json) -> None:
    pick(rng, bundle, {"Observation", "Procedure", "MedicationRequest", "Encounter"})["status"] = "banana"


def impossible_time(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, set(TIMES))
    days = ("2199-01-01", "9999-12-31", "1900-01-01", "1899-12-30", "0001-01-01", "1948-05-05T10:00:00Z")
    one[TIMES[one["resourceType"]]] = str(rng.choice(days))
    one.pop("issued", None)


def unreadable_time(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, {"Observation", "MedicationRequest", "ImagingStudy"})
    one[TIMES[one["resourceType"]]] = str(
        rng.choice(["2023-02-30", "yesterday", "2023-13", "20x3", "2023-05-01T25:00:00Z"])
    )
    one.pop("issued", None)


def other_unit(rng: np.random.Generator, bundle: Json) -> None:
    """Of a code whose unit is known: of any other, nobody can tell."""
    parts = [part for e in bundle["entry"] for part in [e["resource"], *e["resource"].get("component", ())]]
    known = [part for part in parts if "valueQuantity" in part and _code(part) in KNOWN]
    part = known[int(rng.integers(len(known)))]
    part["valueQuantity"]["code"] = part["valueQuantity"]["unit"] = "d"


def no_number(rng: np.random.Generator, bundle: Json) -> None:
    part = _measured(rng, bundle)
    junk = ("12", True, [12], {"value": 12}, 1e300, -1e16, "NaN")
    part["valueQuantity"]["value"] = junk[int(rng.integers(len(junk)))]


def wrong_type(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, set(NEEDED))
    name = str(rng.choice(NEEDED[one["resourceType"]]))
    one[name] = JUNK[int(rng.integers(len(JUNK)))]


def other_version(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, set(VERSIONED))
    marks = VERSIONED[one["resourceType"]]
    name = str(rng.choice(list(marks)))
    one[name] = marks[name]


def copied(rng: np.random.Generator, bundle: Json) -> None:
    bundle["entry"].append({"resource": orjson.loads(orjson.dumps(pick(rng, bundle, set(NEEDED))))})


def copied_and_changed(rng: np.random.Generator, bundle: Json) -> None:
    measured = _measured(rng, bundle)
    whole = next(e["resource"] for e in bundle["entry"] if _is_in(measured, e["resource"]))
    again = deepcopy(whole)
    measured["valueQuantity"]["value"] += 1
    bundle["entry"].append({"resource": again})


def two_sexes(rng: np.random.Generator, bundle: Json) -> None:
    again = orjson.loads(orjson.dumps(pick(rng, bundle, {"Patient"})))
    again["gender"] = "male" if again["gender"] != "male" else "female"
    bundle["entry"].append({"resource": again})


def born_after_death(rng: np.random.Generator, bundle: Json) -> None:
    one = pick(rng, bundle, {"Patient"})
    one["deceasedDateTime"] = "1901-01-01" if rng.random() < 0.5 else "1940"


def dead_long_ago(rng: np.random.Generator, bundle: Json) -> None:
    """On the day of birth."""
    one = pick(rng, bundle, {"Patient"})
    one["deceasedDateTime"] = one["birthDate"]


def bundle_older_than_its_facts(rng: np.random.Generator, bundle: Json) -> None:
    bundle["timestamp"] = "1901-01-01T00:00:00Z"


LIES: Final[dict[str, Lie]] = {
    "other patient": other_patient,
    "entered in error": entered_in_error,
    "unknown status": unknown_status,
    "impossible time": impossible_time,
    "unreadable time": unreadable_time,
    "other unit": other_unit,
    "no number": no_number,
    "wrong type": wrong_type,
    "other version": other_version,
    "copied": copied,
    "copied and changed": copied_and_changed,
    "two sexes": two_sexes,
    "born after death": born_after_death,
    "dead long ago": dead_long_ago,
    "bundle older than its facts": bundle_older_than_its_facts,
}


def places(tree: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - any JSON
    """Every place in a tree: what holds it, and its name or number there."""
    if depth > 40:
        return
    inside = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for name, value in inside:
        yield tree, name
        yield from places(value, depth + 1)


def anywhere(rng: np.random.Generator, bundle: Json) -> None:
    """Something else, or nothing, in one to three places of the tree."""
    for _ in range(int(rng.integers(1, 4))):
        some = list(places(bundle))
        if not some:
            return
        holder, name = some[int(rng.integers(len(some)))]
        chance = rng.random()
        if chance < 0.2:
            del holder[name]
        elif chance < 0.4:
            holder[name] = None
        elif chance < 0.7:
            holder[name] = JUNK[int(rng.integers(len(JUNK)))]
        elif chance < 0.8:
            holder[name] = "y" * int(rng.integers(1, 2_000_000))
        elif chance < 0.9:
            holder[name] = _nested(int(rng.integers(2, 400)), holder[name])
        else:
            _, other = some[int(rng.integers(len(some)))], some[int(rng.integers(len(some)))]
            holder[name] = deepcopy(other[0][other[1]]) if _holds(other) else None


def _holds(place: tuple[Any, Any]) -> bool:
    holder, name = place
    return name in holder if isinstance(holder, dict) else name < len(holder)


def _nested(depth: int, value: Any) -> Any:  # noqa: ANN401 - any JSON
    for _ in range(depth):
        value = [value]
    return value
