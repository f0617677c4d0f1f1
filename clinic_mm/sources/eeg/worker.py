"""The process that reads vendors' files with MNE, so that a malformed one can end or hang it and nothing else.

In:  on stdin, one request a line, JSON: what to do, format, path; for samples also channels and span.
Out: on stdout, one answer each: lengths, JSON, and for samples float32 volts, one channel after the other.

It holds itself to a limit of memory, and of time per request: its own timer ends it. Measured on mutated files:
scipy's MATLAB reader ends the interpreter, a FIF whose tags run in a circle never returns, and a Nihon Kohden header
can ask for minutes of work.
"""

import json
import os
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

LENGTHS: Final = struct.Struct(">IQ")
MEMORY_BYTES: Final = 2 * 2**30
"""On top of what the libraries take."""
READERS: Final = {
    "brainvision": "read_raw_brainvision",
    "eeglab": "read_raw_eeglab",
    "fif": "read_raw_fif",
    "nihonkohden": "read_raw_nihon",
}
Request = dict[str, Any]


def main() -> None:
    """Serve requests until stdin ends."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not break the answers
    import mne.io

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    seconds = float(sys.argv[1])
    held = _Held(mne.io)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends this process
        head, body = _answer(held, json.loads(line))
        signal.setitimer(signal.ITIMER_REAL, 0)
        text = json.dumps(head).encode()
        sink.write(LENGTHS.pack(len(text), len(body)) + text)
        sink.write(body)
        sink.flush()


class _Held:
    """The recording opened last: its pages are asked for one after the other."""

    def __init__(self, readers: Any) -> None:  # noqa: ANN401 - MNE ships no types
        self.readers, self.key, self.raw, self.warned = readers, "", None, 0

    def open(self, request: Request) -> Any:  # noqa: ANN401
        key = json.dumps([request["kind"], request["path"], request["state"]])
        if key != self.key:
            self.key, self.raw = "", None
            read: Callable[..., Any] = getattr(self.readers, READERS[request["kind"]])
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self.raw = read(request["path"], preload=False, verbose="ERROR")
            self.warned = sum(issubclass(one.category, RuntimeWarning) for one in caught)
            self.key = key
        return self.raw


def _answer(held: _Held, request: Request) -> tuple[Request, bytes]:
    try:
        raw = held.open(request)
        if request["do"] == "open":
            return _described(raw, held.warned), b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            volts = raw.get_data(picks=request["rows"], start=request["start"], stop=request["stop"], verbose="ERROR")
        return {"shape": list(volts.shape)}, np.ascontiguousarray(volts, dtype="<f4").tobytes()
    except Exception as error:  # noqa: BLE001 - the border: MNE's readers raise anything
        return {"error": type(error).__name__}, b""


def _described(raw: Any, warned: int) -> Request:  # noqa: ANN401 - MNE ships no types
    """What the file's header says, without what would name the patient beside the code."""
    moment, about = raw.info["meas_date"], raw.info["subject_info"] or {}
    first_s = raw.first_samp / raw.info["sfreq"] if raw.annotations.orig_time is not None else 0.0
    return {
        "labels": list(raw.ch_names),
        "types": list(raw.get_channel_types()),
        "sfreq_hz": float(raw.info["sfreq"]),
        "samples": int(raw.n_times),
        "moment": moment.isoformat() if moment else None,
        "patient": str(about.get("his_id") or ""),
        "folders": [str(Path(name).resolve().parent) for name in raw.filenames if name is not None],
        "annotations": [
            (float(one["onset"]) - first_s, float(one["duration"]), str(one["description"])) for one in raw.annotations
        ],
        "warned": warned,
    }


if __name__ == "__main__":
    main()
