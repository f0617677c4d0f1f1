"""The record of a run of de-identification: `deidentified.json`.

In:  counts. Out: one model, written beside the files. Nothing identifying is in it.
"""

from typing import Final

from pydantic import Field

from clinic_mm.types import SCHEMA_VERSION, Frozen

RECORD: Final = "deidentified.json"


class DeidRecord(Frozen):
    """What `deidentified.json` says: the policy, how many files, why others were refused. Nothing identifying.

    Attributes:
        policy: Fingerprint of the keep-lists, the options and our version; in every seal.
        key_check: Tells one key from another without giving it away.
        complete: Whether the run came to its end.
        written: Files by kind.
        passed_on: Files that were ours already.
        refused: Files by code.
        flagged: Files by code.
        counts: What was done inside the files.
    """

    schema_version: str = SCHEMA_VERSION
    policy: str
    options: tuple[str, ...]
    key_check: str
    complete: bool
    patients: int = 0
    written: dict[str, int] = Field(default_factory=dict)
    passed_on: int = 0
    refused: dict[str, int] = Field(default_factory=dict)
    flagged: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
