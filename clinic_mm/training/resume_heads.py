"""Keep fitted heads, which are arrays, as `training.resume` keeps networks.

In:  what fits a head, and all it depends on. Out: the head, fitted now or by an earlier run. Of several processes the
first one fits.
"""

from collections.abc import Callable
from typing import Any

from clinic_mm.predict.heads import Head, from_arrays
from clinic_mm.training.resume import Part, current
from clinic_mm.training.together import said_by_first


def kept_head(label: str, fit: Callable[[], Head], *things: object) -> Head:
    """The head that `fit` gives for these things."""
    part = Part.of(label, *things)
    if part.path is None:
        return fit()
    kept = part.kept()
    if kept is None:
        kept = said_by_first(lambda: _told(fit()))
        part.keep(kept)
        current().tell("fitted", {"part": label})
    else:
        current().tell("taken again", {"part": label})
    return from_arrays(str(kept["kind"]), kept["arrays"])


def _told(head: Head) -> dict[str, Any]:
    return {"kind": head.kind, "arrays": head.to_arrays()}
