"""The most memory that this process has held since the last reset.

Out: MiB. On Linux by /proc, where the mark can be set back; elsewhere the mark of the whole process, which only grows.
"""

import resource
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
CLEAR: Final = Path("/proc/self/clear_refs")
RESET_PEAK: Final = "5"
"""What sets VmHWM back (proc(5))."""


def reset_peak() -> None:
    """Set the mark back to what is held now, where the system can."""
    try:
        CLEAR.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return


def peak_mib() -> float:
    """The mark."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return held / (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
