"""Decode samples of an EDF or BDF file, page by page.

In:  a path, its checked header, the signals to take and the stretches without interruption.
Out: `EdfPages`: volts of any span of the recording, float32, NaN in gaps.

The file is read, not mapped, so that a file cut short meanwhile is an error and not the end of the process. It is
opened anew for each page: nothing stays open, and a file that changed since its header was checked is refused.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import Pages
from clinic_mm.sources.eeg.edf_header import EdfHeader, EdfSignal
from clinic_mm.sources.eeg.edf_times import Segment

WIDE_BYTES: Final = 4 << 20
"""Records larger than this are not read whole for one page."""
BATCH_BYTES: Final = 4 << 20


class EdfPages(Pages):
    """The EEG channels of one file, all of one rate."""

    def __init__(
        self,
        path: Path,
        header: EdfHeader,
        signals: Sequence[EdfSignal],
        scale: Sequence[float],
        segments: tuple[Segment, ...],
    ) -> None:
        """Args: volts per unit of each signal in `scale`."""
        self.path, self.header, self.signals = path, header, tuple(signals)
        self.per_record, self.record_bytes = signals[0].samples, header.record_bytes
        self.sfreq_hz = self.per_record / header.record_s
        self.gain = np.array([s.gain * v for s, v in zip(signals, scale, strict=True)])
        self.offset = np.array([s.offset * v for s, v in zip(signals, scale, strict=True)])
        self.spans = tuple(
            (round(one.onset_s * self.sfreq_hz), one.record, one.n_records * self.per_record) for one in segments
        )
        self.shape = (len(signals), self.spans[-1][0] + self.spans[-1][2])
        self.state = _state(path)

    @property
    def rails(self) -> Float32[Array, "channel 2"]:
        """Volts at the lowest and highest stored value, in ascending order."""
        digital = np.array([signal.digital for signal in self.signals])
        return np.sort(digital * self.gain[:, None] + self.offset[:, None], axis=1).astype(np.float32)

    def read(self, rows: Sequence[int], start: int, stop: int) -> Float32[Array, "row sample"]:
        """Decode one page.

        Raises:
            EvidenceError: `eeg.changed` if the file is not the one whose header was read.
        """
        out = np.empty((len(rows), stop - start), np.float32)
        if len(self.spans) > 1:
            out.fill(np.nan)
        with self.path.open("rb", buffering=0) as file:
            if _state(self.path) != self.state:
                raise _changed()
            for first, record, length in self.spans:
                a, b = max(start, first), min(stop, first + length)
                if a < b:
                    self._fill(file.fileno(), out[:, a - start : b - start], rows, record * self.per_record + a - first)
        return out

    def _fill(self, file: int, out: Array, rows: Sequence[int], at: int) -> None:
        """Decode into `out` from sample `at` on, counted without gaps."""
        wide = self.record_bytes > WIDE_BYTES
        batch = 1 if wide else max(1, BATCH_BYTES // self.record_bytes)
        done, n = 0, out.shape[1]
        while done < n:
            record, inside = divmod(at + done, self.per_record)
            records = 1 if wide else min(batch, -(-(inside + n - done) // self.per_record))
            count = min(records * self.per_record - inside, n - done)
            part = out[:, done : done + count]
            if wide:
                self._fill_wide(file, part, rows, record, inside)
            else:
                self._fill_batch(file, part, rows, record, records, inside)
            done += count

    def _fill_batch(self, file: int, out: Array, rows: Sequence[int], record: int, records: int, inside: int) -> None:
        width, size = self.header.sample_bytes, self.record_bytes
        block = np.frombuffer(self._bytes(file, record * size, records * size), np.uint8).reshape(records, size)
        for row, channel in enumerate(rows):
            at = self.signals[channel].place * width
            stored = _stored(block[:, at : at + self.per_record * width], width)
            self._scale(stored.reshape(-1)[inside : inside + out.shape[1]], out[row], channel)

    def _fill_wide(self, file: int, out: Array, rows: Sequence[int], record: int, inside: int) -> None:
        width = self.header.sample_bytes
        for row, channel in enumerate(rows):
            at = record * self.record_bytes + (self.signals[channel].place + inside) * width
            block = np.frombuffer(self._bytes(file, at, out.shape[1] * width), np.uint8)
            self._scale(_stored(block[None], width)[0], out[row], channel)

    def _scale(self, stored: Array, out: Array, channel: int) -> None:
        # Without the offset first: float32 holds 24 bits, so a BDF sample is exact before it is scaled.
        np.multiply(stored, np.float32(self.gain[channel]), out=out, dtype=np.float32, casting="unsafe")
        if self.offset[channel]:
            out += np.float32(self.offset[channel])

    def _bytes(self, file: int, at: int, size: int) -> bytes:
        data = os.pread(file, size, self.header.header_bytes + at)
        if len(data) != size:
            raise _changed()
        return data


def _stored(block: Array, width: int) -> Array:
    """Little-endian integers of 2 or 3 bytes [record, sample] from bytes [record, byte]."""
    if width == 2:
        return np.ascontiguousarray(block).view("<i2")
    flat = np.zeros(block.size + 1, np.uint8)
    flat[1:] = block.reshape(-1)
    # Four bytes from one before each sample: the sample fills the upper three, and the shift keeps its sign.
    wide: Any = np.ndarray((block.shape[0], block.shape[1] // 3), "<i4", flat.data, strides=(block.shape[1], 3))
    return np.asarray(wide >> 8)


def _state(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ino


def _changed() -> EvidenceError:
    return EvidenceError("eeg.changed", "The file changed while it was read", "", "Wait until it is written")
