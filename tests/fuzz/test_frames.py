"""3,000 damaged compressed frames per decoder: a decoder may refuse or give values, never end, hang or lie about size.

A codestream has no checksum: where damage leaves as many valid codes, another picture comes out and no one can tell.
Those are counted. The shape of a picture never changes.
"""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pytest

from clinic_mm.sources.dicom import pixels
from clinic_mm.sources.dicom.decoder_process import DECODER
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.stream import open_dicom
from tests.fuzz.frames import ENCODERS, EXTRA, damage, frame_of
from tests.fuzz.gate import Gate, Verdict, apart, check

OTHER_CODES: Final = "codestream: other valid codes (it has no checksum)"
UNNOTICEABLE: Final = frozenset({OTHER_CODES})
OTHER_SHAPE: Final = "the shape changed"


def here() -> list[str]:
    """The decoders that can be fed on this machine."""
    return [name for name in ENCODERS if name not in EXTRA or find_spec("imagecodecs")]


def run(n: int, seed: int) -> dict[str, Any]:
    """`n` damaged frames for every decoder; their results under `by_decoder`, and the sum."""
    whole, parts = Gate(), {}
    rng = np.random.default_rng(seed)
    for decoder in here():
        gate = Gate()
        data, codestream = frame_of(decoder)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "frame.dcm"
            before = read(path, data)
            for number in range(n):
                name, hurt = damage(rng, data, codestream)
                gate.attempt(f"{name}: {decoder} (number {number})", partial(judge, path, hurt, before))
        parts[decoder] = gate.result()
        whole.add(gate)
    DECODER.close()
    return {**whole.result(), "by_decoder": parts}


def read(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    opened = open_dicom(path)
    return pixels.decode(opened.stream, header_of(path, opened).pixels)[0]


def judge(path: Path, hurt: bytes, before: np.ndarray) -> Verdict:
    after = read(path, hurt)
    if after.shape != before.shape or after.dtype != before.dtype:
        return "quiet", OTHER_SHAPE
    return ("equal", "") if np.array_equal(after, before) else ("quiet", OTHER_CODES)


def test_100_damaged_frames_per_decoder() -> None:
    check(apart("tests.fuzz.test_frames", 100, 1), 100 * len(here()), UNNOTICEABLE)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_3000_damaged_frames_per_decoder() -> None:
    check(apart("tests.fuzz.test_frames", 3000, 2, seconds=1700), 3000 * len(here()), UNNOTICEABLE)


def test_a_worker_that_is_ended_again_and_again_leaves_nothing_behind(tmp_path: Path) -> None:
    data, _ = frame_of("RLE (pylibjpeg-rle)")
    path = tmp_path / "frame.dcm"
    read(path, data)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(8):
        process = DECODER.process
        assert process is not None
        process.kill()
        process.wait()
        read(path, data)
        assert DECODER.process is not process
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
