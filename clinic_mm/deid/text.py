"""De-identify one note: a text file whose last line says so.

In:  a `.txt` file, and whose it is. Out: its new bytes, UTF-8; or `EvidenceError`.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from clinic_mm.deid.dicom import other_policy
from clinic_mm.deid.keyring import MARK, Keyring, open_mark, seal, seal_policy
from clinic_mm.deid.known import Known
from clinic_mm.deid.made import Made
from clinic_mm.deid.note import Cleaner
from clinic_mm.deid.policy import Policy
from clinic_mm.sources.record.notes import load

LAST_LINE: Final = re.compile(
    rb"\n\[De-identified; names, dates and places are invented\. Patient ([0-9a-f]{16}), ([^\]\n]+)\]\n$"
)


def deidentify_text(path: Path, patient_id: str, policy: Policy, keyring: Keyring, known: Known) -> Made:
    """One note without who it is of.

    Args:
        path: The file.
        patient_id: Whose it is; "" where nothing says so: then it is nobody else's, by its content.
        policy: What is kept.
        keyring: The key.
        known: Names and places of the run.

    Raises:
        EvidenceError: `deid.other_policy`, and those of the reader: `note.empty`, `note.not_text`, `note.too_large`.
    """
    said = load([path]).text  # refuses what is too large or no text before it is read
    content = path.read_bytes()
    found = LAST_LINE.search(content)
    if found and (under := seal_policy(content, keyring)):
        if under != policy.fingerprint:
            raise other_policy()
        return Made(content, ".txt", frozenset({found[1].decode()}), sealed=True)
    text = MARK.sub(b"", said.encode()).decode()  # another's mark must not pass for ours
    patient_id = patient_id or f"note:{hashlib.sha256(content).hexdigest()}"
    pseudonym = keyring.patient(patient_id)
    cleaned = Cleaner(policy, keyring, patient_id, known).clean(text)
    mark = open_mark(policy.fingerprint)
    line = f"\n[De-identified; names, dates and places are invented. Patient {pseudonym}, {mark}]\n"
    return Made(seal((cleaned + line).encode(), keyring), ".txt", frozenset({pseudonym}))
