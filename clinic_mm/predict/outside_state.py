"""The guards of a model as JSON and arrays, and back.

In:  `Outside`. Out: a JSON mapping for `outside.json`, arrays for `outside.safetensors`. Means, variances, weights and
quantiles only: no training case is kept.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy import ndarray as Array

from clinic_mm.predict.cloud import Cloud
from clinic_mm.predict.outside import Detector, Guard, Outside
from clinic_mm.predict.shown import Shown
from clinic_mm.predict.unit_shift import UnitShift

PARTS = {"wrong": Shown, "swapped": Shown, "units": UnitShift}
"""Parts of a guard that are dataclasses of arrays, numbers and names."""


def outside_told(outside: Outside) -> dict[str, Any]:
    """What is no array."""
    return {
        "reject": outside.reject,
        "silent": dict(outside.silent),
        "guards": {name: _guard_told(guard) for name, guard in outside.guards.items()},
    }


def outside_arrays(outside: Outside) -> dict[str, Array]:
    """The arrays, by modality, part and field."""
    arrays: dict[str, Array] = {}
    for name, guard in outside.guards.items():
        for part, one in _parts(guard).items():
            found = {f.name: getattr(one, f.name) for f in fields(one)}
            arrays |= {f"{name}/{part}/{key}": a for key, a in found.items() if isinstance(a, np.ndarray)}
        if guard.far is not None:
            arrays[f"{name}/reference"] = guard.far.reference
            for view, cloud in guard.far.clouds.items():
                arrays |= {f"{name}/far {view}/{key}": a for key, a in cloud.to_arrays().items()}
    return {key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}


def outside_from(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> Outside:
    """What `outside_told` and `outside_arrays` came from.

    Raises:
        ArtifactError: If the arrays of a detector do not fit each other.
        KeyError: If something is lacking.
        TypeError: If a part has not the fields that it should.
    """
    guards = {name: _guard(name, one, arrays) for name, one in told["guards"].items()}
    return Outside(guards, told["silent"], reject=told["reject"])


def _parts(guard: Guard) -> dict[str, Any]:
    return {part: one for part in PARTS if (one := getattr(guard, part)) is not None}


def _guard_told(guard: Guard) -> dict[str, Any]:
    told: dict[str, Any] = {"regions": dict(guard.regions)}
    for part, one in _parts(guard).items():
        found = {f.name: getattr(one, f.name) for f in fields(one)}
        told[part] = {key: value for key, value in found.items() if not isinstance(value, np.ndarray)}
    if guard.far is not None:
        told["far"] = {
            "views": list(guard.far.clouds),
            "middle": dict(guard.far.middle),
            "width": dict(guard.far.width),
            "threshold": guard.far.threshold,
            "rate": guard.far.rate,
            "n": guard.far.n,
        }
    return told


def _guard(name: str, told: Mapping[str, Any], arrays: Mapping[str, Array]) -> Guard:
    parts = {
        part: kind(**_plain(told[part]), **_under(f"{name}/{part}", arrays))
        for part, kind in PARTS.items()
        if part in told
    }
    return Guard(far=_far(name, told.get("far"), arrays), regions=told["regions"], **parts)


def _far(name: str, told: Mapping[str, Any] | None, arrays: Mapping[str, Array]) -> Detector | None:
    if told is None:
        return None
    clouds = {view: Cloud.from_arrays(_under(f"{name}/far {view}", arrays)) for view in told["views"]}
    rest = {key: value for key, value in told.items() if key != "views"}
    return Detector(clouds=clouds, reference=arrays[f"{name}/reference"], **rest)


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}


def _under(place: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {key.rpartition("/")[2]: a for key, a in arrays.items() if key.rpartition("/")[0] == place}
