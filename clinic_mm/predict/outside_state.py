"""The detectors of foreign inputs as JSON and arrays, and back.

In:  `Outside`. Out: a JSON mapping for `outside.json`, arrays for `outside.safetensors`. Means, variances and
quantiles only: no training case is kept.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray as Array

from clinic_mm.predict.cloud import Cloud
from clinic_mm.predict.outside import Detector, Outside


def outside_told(outside: Outside) -> dict[str, Any]:
    """What is no array."""
    return {
        "reject": outside.reject,
        "silent": dict(outside.silent),
        "detectors": {
            name: {
                "views": list(one.clouds),
                "middle": [one.middle[view] for view in one.clouds],
                "width": [one.width[view] for view in one.clouds],
                "threshold": one.threshold,
                "rate": one.rate,
                "n": one.n,
            }
            for name, one in outside.detectors.items()
        },
    }


def outside_arrays(outside: Outside) -> dict[str, Array]:
    """The arrays, by modality, view and field."""
    arrays = {
        f"{name}/{view}/{key}": array
        for name, one in outside.detectors.items()
        for view, cloud in one.clouds.items()
        for key, array in cloud.to_arrays().items()
    }
    reference = {f"{name}/reference": np.ascontiguousarray(one.reference) for name, one in outside.detectors.items()}
    return dict(sorted((arrays | reference).items()))


def outside_from(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> Outside:
    """What `outside_told` and `outside_arrays` came from.

    Raises:
        ArtifactError: If the arrays of a detector do not fit each other.
        KeyError: If something is lacking.
    """
    detectors = {name: _detector(name, one, arrays) for name, one in told["detectors"].items()}
    return Outside(detectors, told["silent"], reject=told["reject"])


def _detector(name: str, told: Mapping[str, Any], arrays: Mapping[str, Array]) -> Detector:
    views = told["views"]
    clouds = {
        view: Cloud.from_arrays(
            {key.rpartition("/")[2]: a for key, a in arrays.items() if key.startswith(f"{name}/{view}/")}
        )
        for view in views
    }
    return Detector(
        clouds=clouds,
        middle=dict(zip(views, told["middle"], strict=True)),
        width=dict(zip(views, told["width"], strict=True)),
        reference=arrays[f"{name}/reference"],
        threshold=told["threshold"],
        rate=told["rate"],
        n=told["n"],
    )
