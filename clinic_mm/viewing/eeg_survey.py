"""Look through a whole recording once: which channels are bad, its extremes, its spectrogram.

In:  an opened recording of any length.
Out: a `Survey`, and its form on disk (one safetensors file, no pickle). One pass over the file; memory holds a block.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clinic_mm.errors import ArtifactError, EvidenceError
from clinic_mm.signals import EegRecording, Pages
from clinic_mm.sources.eeg.quality import Quality
from clinic_mm.sources.eeg.recording import judge_channels
from clinic_mm.types import Flag
from clinic_mm.viewing.eeg_pyramid import Pyramid, PyramidBuilder
from clinic_mm.viewing.spectrogram import Spectrogram, SpectrogramBuilder

CELL_S: Final = 0.5
VERSION: Final = 1
"""Of the file; part of the key under which it is kept."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a recording shows."""

    quality: Quality
    pyramid: Pyramid
    spectrogram: Spectrogram


def survey(recording: EegRecording) -> Survey:
    """Look through a recording.

    A recording that the checks refuse as a whole (flat, not in volts) is shown all the same, every channel named bad
    and the refusal told: who looks at it wants to see why.

    Raises:
        EvidenceError: If the file changed meanwhile, or cannot be decoded.
    """
    volts = recording.volts
    channels, samples = volts.shape
    extremes = PyramidBuilder(channels, samples, round(CELL_S * recording.sfreq_hz))
    spectra = SpectrogramBuilder(channels, samples, recording.sfreq_hz)
    watched = _Watched(volts, (extremes, spectra))
    try:
        quality = judge_channels(replace(recording, volts=watched), volts)
    except EvidenceError as error:
        if error.code not in REFUSALS:
            raise
        quality = Quality(recording.channels, (Flag(code=error.code, why=error.what),))
    return Survey(quality, extremes.pyramid(), spectra.spectrogram())


REFUSALS: Final = frozenset({"eeg.flat", "eeg.scale", "eeg.saturated", "eeg.not_finite"})


class _Watched(Pages):
    """Samples that are taken note of while somebody else reads them, once each and in time order."""

    def __init__(
        self, volts: Float32[Array, "channel sample"] | Pages, takers: Sequence[PyramidBuilder | SpectrogramBuilder]
    ) -> None:
        self.volts, self.takers, self.shape = volts, takers, (volts.shape[0], volts.shape[1])

    def read(self, rows: Sequence[int], start: int, stop: int) -> Float32[Array, "row sample"]:
        assert len(rows) == self.shape[0], "the judge reads all channels at once"
        block = np.asarray(self.volts[:, start:stop], np.float32)
        for taker in self.takers:
            taker.add(start, block)
        return block


def to_bytes(found: Survey) -> bytes:
    """A survey as one file."""
    told = {
        "version": VERSION,
        "bad": list(found.quality.bad),
        "flags": [flag.model_dump() for flag in found.quality.flags],
        "cell": found.pyramid.cell,
        "samples": found.pyramid.samples,
        "column_s": found.spectrogram.column_s,
    }
    arrays = {f"level_{depth}": level for depth, level in enumerate(found.pyramid.levels)}
    arrays |= {"freqs_hz": found.spectrogram.freqs_hz, "db": found.spectrogram.db}
    return save(arrays | {"told": np.frombuffer(json.dumps(told).encode(), np.uint8)})


def from_bytes(data: bytes) -> Survey:
    """The survey that a file holds.

    Raises:
        ArtifactError: If it is damaged or of another version.
    """
    try:
        arrays = load(data)
        told = json.loads(arrays.pop("told").tobytes())
        if told["version"] != VERSION:
            raise ArtifactError("A kept survey is of another version", "", "It is made anew")
        levels = tuple(arrays[f"level_{depth}"] for depth in range(len(arrays) - 2))
        quality = Quality(tuple(told["bad"]), tuple(Flag.model_validate(flag) for flag in told["flags"]))
        spectrogram = Spectrogram(float(told["column_s"]), arrays["freqs_hz"], arrays["db"])
        return Survey(quality, Pyramid(int(told["cell"]), int(told["samples"]), levels), spectrogram)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError("A kept survey cannot be read", "", "It is made anew") from error
