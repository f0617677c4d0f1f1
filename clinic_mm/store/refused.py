"""What the store refuses on purpose, beside wrong input.

InputError
├─ ConflictError   somebody else was quicker, or holds the case
└─ SealedError     the answer is not to be seen yet
"""

from datetime import datetime

from clinic_mm.errors import InputError


class ConflictError(InputError):
    """Two did something to one case, and the other one won.

    Args:
        what: What cannot be done, and why.
        by: Opaque id of who was quicker, "" where nobody was.
        at: When that was.
    """

    def __init__(self, what: str, by: str = "", at: datetime | None = None) -> None:
        # Not ClinicError's: the arguments kept by Exception must be those of this constructor, to survive a worker.
        Exception.__init__(self, what, by, at)
        self.what, self.by, self.at_time = what, by, at
        self.where, self.mend = "", "Open the case again"


class SealedError(InputError):
    """The answer is sealed until the reader has given an opinion."""
