"""What is judged of a recorded sound and what a model listens to: `schemas/audio.toml`, ready for use."""

from dataclasses import dataclass
from functools import cache

from clinic_mm.bundle import policy


@dataclass(frozen=True, slots=True)
class Limits:
    """When a recording is refused or flagged; shares of full scale, of the samples, or of the seconds."""

    channels: int
    values: int
    shortest_s: float
    clipped_flag: float
    clipped_refuse: float
    silent_rms: float
    dead_share: float
    dc: float


@dataclass(frozen=True, slots=True)
class Sound:
    """What a model listens to: the band, the rate it is resampled to, frames and windows."""

    label: str
    rate_hz: int
    low_hz: float
    high_hz: float
    frame_s: float
    hop_s: float
    mels: int
    window_s: float
    shortest_s: float


@cache
def limits() -> Limits:
    """The limits of every recording."""
    return Limits(**policy("audio")["limits"])


@cache
def sounds() -> dict[str, Sound]:
    """The sounds that a task may ask for, by name."""
    return {name: Sound(**told) for name, told in policy("audio")["sound"].items()}
