"""What becomes of one file: its new content, and whose it is now."""

from dataclasses import dataclass, field
from typing import Final

SEVERAL: Final = "several"


@dataclass(frozen=True, slots=True)
class Made:
    """The content of one new file.

    Attributes:
        content: All bytes, sealed.
        suffix: Of the file name.
        patients: Pseudonyms of all whose file it is.
        flags: Codes of what was seen and must be shown.
        counts: What was done, how often.
        sealed: Whether the file was ours already, and is passed on as it is.
    """

    content: bytes = field(repr=False)
    suffix: str
    patients: frozenset[str]
    flags: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    sealed: bool = False

    @property
    def folder(self) -> str:
        """Where it goes: the folder of its patient, or that of files of several."""
        return next(iter(self.patients)) if len(self.patients) == 1 else SEVERAL
