"""Choose between several pieces of evidence of one kind: the task says which study, points say which of its series.

In:  usable evidence of one case and one modality, oldest first; CT carries points and their reasons in its `meta`.
Out: the same evidence in the order in which it is to be tried, and why the one that was taken was taken.

A study has one scan in several series: thin and thick, soft and sharp, original and reformatted, with and without
repairs. To take the latest of those would be to take the one that the scanner happened to finish last.
"""

from collections.abc import Sequence

from clinic_mm.types import Evidence, Flag


def in_order(usable: Sequence[Evidence], select: str) -> tuple[Evidence, ...]:
    """Evidence in the order in which it is to be tried.

    Args:
        usable: Oldest first.
        select: Of the task: `latest` study or `first`. Between series of one study, the most points come first.
    """
    by_time = list(usable if select == "first" else reversed(usable))
    studies: dict[object, list[Evidence]] = {}
    for place, one in enumerate(by_time):
        studies.setdefault(_study(one) or place, []).append(one)
    return tuple(one for study in studies.values() for one in sorted(study, key=lambda one: -_points(one)))


def why_taken(taken: Evidence, usable: Sequence[Evidence]) -> tuple[Flag, ...]:
    """That others of its study were not taken, with the points of each; nothing where there was no choice."""
    rivals = [one for one in usable if _study(one) and _study(one) == _study(taken) and one is not taken]
    if not rivals:
        return ()
    reasons = taken.meta.get("points_why")
    told = "; ".join(str(reason) for reason in reasons) if isinstance(reasons, list) else ""
    others = ", ".join(f"{_points(one):g}" for one in sorted(rivals, key=lambda one: -_points(one)))
    had = f"{_points(taken):g} points ({told}); others had {others}"
    return (Flag(code="ct.one_of_series", why=f"One of {len(rivals) + 1} series of the study was taken, with {had}"),)


def _study(one: Evidence) -> str:
    """Only evidence with points takes part in the choice; all other kinds go by time alone."""
    return str(one.meta.get("study") or "") if "points" in one.meta else ""


def _points(one: Evidence) -> float:
    points = one.meta.get("points")
    return float(points) if isinstance(points, int | float) else 0.0
