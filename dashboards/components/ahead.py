"""Have the studies of the next few cases decoded while a reader is still elsewhere, so that they open at once.

In:  keys of cases, the next first. Out: nothing to see. The browser asks, so nothing is decoded that the reader may not
see, and no page waits.
"""

from collections.abc import Sequence
from typing import Final

from components.canvas.mount import mount

MOST: Final = 4


def ahead(case_keys: Sequence[str], key: str) -> None:
    """Call it once on a page that leads to cases: with the top of the work list, or what follows the open case."""
    mount("ahead", key, {"cases": [str(one) for one in case_keys[:MOST]]})
