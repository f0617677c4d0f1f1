"""The order of the work list: calibrated urgency, and how long a case has waited.

    rank = days since 1970 at which the case was ready / PROMOTION in days − urgency        (the lowest is read first)

A case gains one whole urgency in PROMOTION, so no case is ever overtaken by one that came PROMOTION later, however
urgent that is: a low score cannot sink unseen. Since all cases age alike the order of two never changes with time: the
rank is written once, and the database reads the list off an index.

In:  urgency (`report.urgency`) and times. Out: numbers and words.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

PROMOTION: Final = timedelta(days=7)
"""Within it, a case that nobody read rises from the lowest urgency to the highest."""
NOT_READY: Final = 1e9
"""Rank of what cannot be read yet: after everything that can."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rank(urgency: float | None, ready_at: datetime | None) -> float:
    """Where a case stands; the lowest first."""
    if urgency is None or ready_at is None:
        return NOT_READY
    return (ready_at - EPOCH) / PROMOTION - urgency


def promoted(waits: timedelta) -> float:
    """What waiting added to the urgency."""
    return max(0.0, waits / PROMOTION)


def waiting_in_words(waits: timedelta) -> str:
    """`waits 3 d, which adds 0.43`; "" for less than an hour."""
    hours = waits / timedelta(hours=1)
    if hours < 1:
        return ""
    long = f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.0f} h"
    return f"waits {long}, which adds {promoted(waits):.2f}"
