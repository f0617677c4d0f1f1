"""WAV files: every form that is read gives what scipy gives; every other is refused by name."""

import struct
import wave
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from scipy.io import wavfile

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import AudioRecording
from clinic_mm.sources.audio.riff import read_wav
from clinic_mm.sources.audio.wav import clipped_share, dead_share, find_audio, load
from clinic_mm.types import Evidence, Rejected
from tests.sources.audio.wavs import RATE, chunk, form, pcm16, simple, tone, wav


def codes(sound: AudioRecording) -> list[str]:
    return [flag.code for flag in sound.flags]


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [("uint8", 127, 128), ("int16", 32767, 0), ("int32", 2**31 - 1, 0), ("float32", 1, 0), ("float64", 1, 0)],
)
def test_every_form_is_what_scipy_reads(tmp_path: Path, dtype: str, scale: int, offset: int) -> None:
    given = (tone() * scale + offset).astype(dtype)
    wavfile.write(tmp_path / "a.wav", RATE, given)
    rate, known = wavfile.read(tmp_path / "a.wav")
    full = 128.0 if dtype == "uint8" else 1.0 if dtype.startswith("float") else float(scale) + 1
    sound = load([tmp_path / "a.wav"])
    assert sound.sfreq_hz == rate
    np.testing.assert_allclose(sound.wave, (known.astype(float) - offset) / full, atol=1e-6)


def test_24_bits_and_two_channels(tmp_path: Path) -> None:
    left, right = tone(), tone(hz=70)
    whole = np.rint(np.stack([left, right], axis=1) * (2**23 - 1)).astype("<i4")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(whole.ravel().view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    np.testing.assert_allclose(load([tmp_path / "a.wav"]).wave, (left + right) / 2, atol=1e-6)


def test_extensible_odd_chunks_and_rf64(tmp_path: Path) -> None:
    guid = struct.pack("<H", 1) + bytes(14)
    long_form = form(tag=0xFFFE) + struct.pack("<HHI", 22, 16, 4) + guid
    data = chunk(b"data", pcm16(tone()))
    extensible = wav(tmp_path / "a.wav", chunk(b"LIST", b"odd"), chunk(b"fmt ", long_form), data)
    sizes = struct.pack("<QQQI", 0, len(pcm16(tone())), len(tone()), 0)
    rf64 = wav(
        tmp_path / "b.wav",
        chunk(b"ds64", sizes),
        chunk(b"fmt ", form()),
        chunk(b"data", pcm16(tone()), 0xFFFFFFFF),
        chunk(b"LIST", b"what stands behind the samples is none"),
        head=b"RF64",
    )
    plain = load([simple(tmp_path / "c.wav", tone())]).wave
    for path in (extensible, rf64):
        np.testing.assert_array_equal(load([path]).wave, plain)


DATA = chunk(b"data", pcm16(tone()))
FORM = chunk(b"fmt ", form())
BROKEN: dict[str, tuple[str, bytes]] = {
    "empty": ("file.empty", b""),
    "text": ("audio.format", b"time,volume\n0,1\n" * 9),
    "big endian": ("audio.format", b"RIFX" + bytes(4) + b"WAVE" + FORM + DATA),
    "no samples": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + FORM),
    "no form": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + DATA),
    "mp3": ("audio.codec", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(tag=0x55)) + DATA),
    "mu-law": ("audio.codec", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(tag=7, bits=8)) + DATA),
    "12 bits": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(bits=12, block=2)) + DATA),
    "no channel": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(channels=0)) + DATA),
    "block": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(block=3)) + DATA),
    "rate": ("audio.header", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(rate=7)) + DATA),
    "cut off": ("audio.truncated", b"RIFF" + bytes(4) + b"WAVE" + FORM + DATA[:-200]),
    "16 channels": ("audio.channels", b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(channels=16)) + DATA),
    "a click": ("audio.too_short", b"RIFF" + bytes(4) + b"WAVE" + FORM + chunk(b"data", pcm16(tone(0.05)))),
    "silence": ("audio.silent", b"RIFF" + bytes(4) + b"WAVE" + FORM + chunk(b"data", pcm16(0 * tone()))),
    "a mean is no sound": (
        "audio.silent",
        b"RIFF" + bytes(4) + b"WAVE" + FORM + chunk(b"data", pcm16(0 * tone() + 0.5)),
    ),
    "clipped": (
        "audio.clipped",
        b"RIFF" + bytes(4) + b"WAVE" + FORM + chunk(b"data", pcm16(np.clip(9 * tone(), -1, 1))),
    ),
    "not numbers": (
        "audio.not_finite",
        b"RIFF" + bytes(4) + b"WAVE" + chunk(b"fmt ", form(tag=3, bits=32)) + chunk(b"data", b"\xff" * 8000),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_heard_is_refused_by_name(tmp_path: Path, name: str) -> None:
    code, content = BROKEN[name]
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(EvidenceError) as caught:
        load([tmp_path / "a.wav"])
    assert caught.value.code == code
    assert caught.value.mend


def test_any_changed_bytes_end_in_a_sound_or_a_refusal(tmp_path: Path) -> None:
    whole, rng = simple(tmp_path / "a.wav", tone(0.3)).read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        broken = bytearray(whole)
        for at in rng.integers(0, 60, int(rng.integers(1, 5))):
            broken[at] = int(rng.integers(256))
        (tmp_path / "b.wav").write_bytes(bytes(broken[: int(rng.integers(8, len(whole) + 1))]))
        try:
            assert np.isfinite(load([tmp_path / "b.wav"]).wave).all()
        except EvidenceError:
            refused += 1
    assert 100 < refused < 400


def test_reservations_are_flagged(tmp_path: Path) -> None:
    peaks = np.where(np.arange(RATE) % 400 < 8, 1.0, tone())
    assert codes(load([simple(tmp_path / "a.wav", peaks)])) == ["audio.clipped"]
    assert codes(load([simple(tmp_path / "b.wav", tone(height=0.1) + 0.3)])) == ["audio.dc"]
    assert codes(load([simple(tmp_path / "c.wav", np.where(np.arange(RATE) < 1600, 0.0, tone()))])) == [
        "audio.dropouts"
    ]
    one = load([simple(tmp_path / "d.wav", 0 * tone(), tone())])
    assert codes(one) == ["audio.silent_channel"]
    np.testing.assert_allclose(one.wave, tone(), atol=1e-4)
    wavfile.write(tmp_path / "e.wav", RATE, (3 * tone()).astype(np.float32))
    assert codes(load([tmp_path / "e.wav"])) == ["audio.beyond_full_scale"]
    open_end = wav(tmp_path / "f.wav", FORM, chunk(b"data", pcm16(tone()), 0xFFFFFFFF))
    assert codes(load([open_end])) == ["audio.open_ended"]
    assert codes(load([simple(tmp_path / "g.wav", tone())])) == []


def test_a_peak_is_no_plateau() -> None:
    assert clipped_share(np.array([0, 1, 1, 0, -1, -1, 0], np.float32)) == 0
    assert clipped_share(np.array([0, 1, 1, 1, 0, -1], np.float32)) == 0.5
    assert dead_share(np.array([1, 1, 1, 1, 2, 3, 4, 5], np.float32), 40.0) == 0.5


def test_a_folder_gives_one_finding_each_dated_where_the_recorder_did(tmp_path: Path) -> None:
    bext = bytes(320) + b"2026-03-01" + b"08:30:00" + bytes(264)
    dated = wav(tmp_path / "a.wav", chunk(b"bext", bext), FORM, DATA)
    undated, broken = simple(tmp_path / "b.wav", tone()), wav(tmp_path / "c.wav", FORM)
    found = list(find_audio(tmp_path, "r", [dated, undated, broken], ZoneInfo("Europe/Berlin")))
    one, other, refused = (each.finding for each in found)
    assert isinstance(one, Evidence)
    assert isinstance(other, Evidence)
    assert isinstance(refused, Rejected)
    assert one.acquired_at == datetime(2026, 3, 1, 7, 30, tzinfo=UTC)
    assert (other.acquired_at, other.meta) == (None, {"sfreq_hz": RATE, "duration_s": 1.0})
    assert refused.code == "audio.header"
    assert {each.patient_id for each in found} == {""}, "a WAV file names no patient"


def test_a_header_is_read_without_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(b"RIFF" + bytes(4) + b"WAVE" + FORM + b"data" + struct.pack("<I", 2**31))
        file.truncate(2**31 + 100)  # sparse
    assert read_wav(path).frames == 2**30
    with pytest.raises(EvidenceError) as caught:
        load([path])
    assert caught.value.code == "audio.too_long"


SCIPYS = sorted((Path(wavfile.__file__).parent / "tests" / "data").glob("*.wav"))
FULL = {"uint8": 128.0, "int16": 2.0**15, "int32": 2.0**31, "float32": 1.0, "float64": 1.0}


@pytest.mark.skipif(not SCIPYS, reason="scipy came without its test files")
@pytest.mark.filterwarnings("ignore::scipy.io.wavfile.WavFileWarning")
def test_files_of_others_are_what_scipy_reads_or_refused() -> None:
    read, refused = [], set()
    for path in SCIPYS:
        try:
            wav = read_wav(path)
        except EvidenceError as fault:
            refused.add(fault.code)
            continue
        rate, known = wavfile.read(path)
        zero = 128.0 if known.dtype == np.uint8 else 0.0
        assert wav.sfreq_hz == rate
        np.testing.assert_allclose(wav.samples().T.squeeze(), (known.astype(float) - zero) / FULL[str(known.dtype)])
        read.append(path.stem)
    assert {"test-8000Hz-le-3ch-5S-24bit", "test-8000Hz-le-3ch-5S-24bit-rf64", "test-8000Hz-le-2ch-1byteu"} <= set(read)
    assert refused == {"audio.format", "audio.codec", "audio.header", "audio.truncated"}
