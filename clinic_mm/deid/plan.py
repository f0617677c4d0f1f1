"""The list of everything that de-identification does, as a table.

In:  a policy. Out: its rows, from the same lists that the work is done by.
"""

from collections.abc import Sequence

from clinic_mm.deid import dicom_rules, edf, fhir, note
from clinic_mm.deid.policy import Policy, Row, read_policy


def plan(options: Sequence[str] = ()) -> list[Row]:
    """All rows for some options.

    Raises:
        UsageError: If there is no such option.
    """
    policy: Policy = read_policy(options)
    return [row for of in (dicom_rules, edf, fhir, note) for row in of.plan(policy)]


def as_markdown(rows: Sequence[Row]) -> str:
    """The rows as a table of the docs."""
    lines = ["| format | what | action | how |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(one.replace('|', chr(92) + '|') for one in row)} |" for row in rows)])
