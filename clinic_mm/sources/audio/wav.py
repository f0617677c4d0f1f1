"""Read recorded sounds of the body from WAV files, and judge whether they can be heard.

In:  one WAV file, or the WAV files of a folder.
Out: an `AudioRecording`, or for a folder one `Found` per file.

Nothing here filters, resamples or makes louder. A WAV file names no patient: folder, file name or a table do.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import AudioRecording
from clinic_mm.sources.audio.policy import limits
from clinic_mm.sources.audio.riff import MEND, Wav, read_wav
from clinic_mm.sources.found import Found, Head, each_file
from clinic_mm.times import to_utc
from clinic_mm.types import Flag

RAIL_RUN: Final = 3
"""As many equal samples at the highest or lowest value are a plateau, not a peak."""
RECORDED: Final = "%Y-%m-%d%H:%M:%S"


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> AudioRecording:
    """Decode one recording: the mean of its channels that carry a sound.

    Args:
        files: One WAV file.
        locator: Not used: a file holds one recording.
        until: Not used: a recording is dated as a whole.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    del locator, until
    if len(files) != 1:
        raise EvidenceError("audio.several_files", "These files are several recordings", "", "Give one WAV file")
    wav = _opened(files[0])
    channels = wav.samples()
    if not np.isfinite(channels).all():
        raise EvidenceError("audio.not_finite", "Samples are not numbers", "", MEND)
    heard = _heard(channels)
    flags = list(_seen(wav))
    if not heard.any():
        raise EvidenceError("audio.silent", "The recording is silent", "", "Check that something was plugged in")
    if not heard.all():
        why = f"{int((~heard).sum())} of {len(heard)} channels are silent and were left out"
        flags.append(Flag(code="audio.silent_channel", why=why))
    flags += _judged(channels[heard], wav.sfreq_hz)
    return AudioRecording(channels[heard].mean(axis=0), float(wav.sfreq_hz), tuple(flags))


def find_audio(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One `Found` for each file, from its header only.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: WAV files below `root`.
        zone: Of the site: the moment of recording in a file has none.
    """

    def look(path: Path) -> Head:
        wav = _opened(path)
        meta = {"sfreq_hz": wav.sfreq_hz, "duration_s": round(wav.frames / wav.sfreq_hz, 3)}
        return Head("", _recorded(wav.recorded, zone), _seen(wav), meta)

    return each_file("audio", root, root_name, files, look)


def _opened(path: Path) -> Wav:
    wav, limit = read_wav(path), limits()
    if wav.channels > limit.channels:
        raise EvidenceError("audio.channels", f"{wav.channels} channels are no recording of one sound", "", MEND)
    if wav.frames * wav.channels > limit.values:
        raise EvidenceError("audio.too_long", "The recording is too long to be read", "", "Cut it into parts")
    if wav.frames < limit.shortest_s * wav.sfreq_hz:
        what = f"The recording is shorter than {limit.shortest_s:g} s"
        raise EvidenceError("audio.too_short", what, "", "Leave it out")
    return wav


def _seen(wav: Wav) -> tuple[Flag, ...]:
    if not wav.open_ended:
        return ()
    return (Flag(code="audio.open_ended", why="The header does not say how long it is: it was read to its end"),)


def _heard(channels: Float32[Array, "channel sample"]) -> Bool[Array, " channel"]:
    """Which channels carry anything; the mean of a channel is no sound."""
    spread: Array = channels.std(axis=1, dtype=np.float64)
    heard: Array = spread > limits().silent_rms
    return heard


def _judged(channels: Float32[Array, "channel sample"], sfreq_hz: float) -> Iterator[Flag]:
    limit = limits()
    clipped = max(clipped_share(one) for one in channels)
    if clipped > limit.clipped_refuse:
        what = f"{100 * clipped:.0f} % of the samples are clipped"
        raise EvidenceError("audio.clipped", what, "", "Record it again with less gain")
    if clipped > limit.clipped_flag:
        yield Flag(code="audio.clipped", why=f"{100 * clipped:.1f} % of the samples are clipped")
    if np.abs(channels).max() > 1.0:
        yield Flag(code="audio.beyond_full_scale", why="Samples go beyond full scale")
    wave = channels.mean(axis=0)
    if (dead := dead_share(wave, sfreq_hz)) > limit.dead_share:
        yield Flag(code="audio.dropouts", why=f"In {100 * dead:.0f} % of the time no sample differs from the last")
    mean = abs(float(wave.mean(dtype=np.float64)))
    if mean > limit.dc and mean > 0.5 * float(wave.std(dtype=np.float64)):
        yield Flag(code="audio.dc", why=f"The middle of the sound is off by {100 * mean:.0f} % of full scale")


def clipped_share(wave: Float32[Array, " sample"]) -> float:
    """Share of the samples that stand at the highest or the lowest value three times in a row or more."""
    at_rail = (wave == wave.max()) | (wave == wave.min())
    edges = np.flatnonzero(np.diff(np.concatenate([[False], at_rail, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= RAIL_RUN].sum() / len(wave))


def dead_share(wave: Float32[Array, " sample"], sfreq_hz: float) -> float:
    """Share of the whole tenths of a second in which no sample differs from the one before."""
    step = max(2, int(sfreq_hz / 10))
    whole = wave[: len(wave) // step * step].reshape(-1, step)
    return float((np.ptp(whole, axis=1) == 0).mean()) if len(whole) else 0.0


def _recorded(text: str, zone: tzinfo) -> datetime | None:
    """The moment of a broadcast extension; none where it is not filled in."""
    try:
        return to_utc(datetime.strptime(text.replace(" ", ""), RECORDED), zone)
    except (ValueError, OverflowError):
        return None
