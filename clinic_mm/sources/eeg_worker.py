"""The process that opens a vendor's file first, so that a malformed one can end or hang it and nothing else.

In:  on stdin, one request a line: format, tab, path.
Out: on stdout, one line each: "yes" where MNE opens it, else "no".

Measured on mutated files: scipy's MATLAB reader ends the interpreter, a FIF whose tags run in a circle never returns,
and a Nihon Kohden header can ask for minutes of work.
"""

import os
import resource
import signal
import sys
from typing import Final

MEMORY_LIMIT_BYTES: Final = 4 * 2**30


def main() -> None:
    """Serve requests until stdin ends."""
    sink = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not break the answers
    from clinic_mm.sources.eeg_open import READERS

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    seconds = float(sys.argv[1])
    for line in sys.stdin:
        kind, _, path = line.rstrip("\n").partition("\t")
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends this process
        try:
            READERS[kind](path, preload=False, verbose="ERROR")
            answer = "yes"
        except Exception:  # noqa: BLE001 - the border: MNE's readers raise anything
            answer = "no"
        signal.setitimer(signal.ITIMER_REAL, 0)
        sink.write(f"{answer}\n")
        sink.flush()


if __name__ == "__main__":
    main()
