"""Find recordings in EDF and its like: an EEG, or a 12-lead ECG in the same format.

In:  files that begin as a recording does. Out: one `Found` per recording, of the modality that its channels say.
"""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ecg.edf import is_edf_ecg
from clinic_mm.sources.ecg.recording import find_ecg
from clinic_mm.sources.eeg.edf_header import read_edf_header
from clinic_mm.sources.eeg.opening import format_of
from clinic_mm.sources.eeg.recording import find_eeg
from clinic_mm.sources.found import Found


def find_recordings(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One `Found` for each recording; arguments as of `find_eeg`."""
    hearts = [path for path in files if _is_ecg(path)]
    yield from find_ecg(root, root_name, hearts, zone)
    yield from find_eeg(root, root_name, [path for path in files if path not in set(hearts)], zone)


def _is_ecg(path: Path) -> bool:
    try:
        return format_of(path) == "edf" and is_edf_ecg(read_edf_header(path))
    except (EvidenceError, OSError):
        return False  # what is wrong with it is told by the reader of EEG
