"""Whatever a decoder does, it costs one picture: each fault is injected into a real worker process."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from clinic_mm.errors import ClinicError, EvidenceError
from clinic_mm.sources.dicom import decoder_process, pixels
from clinic_mm.sources.dicom.codestream import Codestream
from clinic_mm.sources.dicom.decoder_process import DECODER, DecoderProcess
from clinic_mm.sources.dicom.layout import Layout
from clinic_mm.sources.xray import pictures
from tests.sources.dicom import faulty_worker
from tests.sources.dicom.test_pixels import FRAMES, layout_of, rle

LIMIT_BYTES = 500e6
LAYOUT = layout_of(np.zeros((4, 5), np.uint16))


@pytest.fixture
def worker() -> Iterator[DecoderProcess]:
    one = DecoderProcess(0.4, faulty_worker.MODULE)
    yield one
    one.close()


def ask(worker: DecoderProcess, command: str) -> int:
    """The value that the frame is filled with: the length of the command."""
    frame = np.zeros((4, 5), np.uint16)
    worker.decode(command.encode(), Codestream(4, 5, 1, 16), LAYOUT, frame)
    assert np.ptp(frame) == 0
    return int(frame[0, 0])


def memory_of(worker: DecoderProcess) -> dict[str, int]:
    assert worker.process is not None
    lines = Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("segfault", "dicom.decoder_died"),
        ("abort", "dicom.decoder_died"),
        ("loop", "dicom.decoder_died"),
        ("sleep", "dicom.decoder_died"),
        ("leave", "dicom.undecodable"),
        ("panic", "dicom.undecodable"),
        ("greed", "dicom.undecodable"),
        ("leak", "dicom.undecodable"),
    ],
)
def test_a_fault_costs_one_picture(worker: DecoderProcess, command: str, code: str) -> None:
    started = time.monotonic()
    assert ask(worker, "before") == 6
    with pytest.raises(EvidenceError) as caught:
        ask(worker, command)
    assert caught.value.code == code
    assert ask(worker, "the next answer") == 15
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("command", ["deaf", "stop"])
def test_a_worker_that_cannot_end_itself_is_ended(
    worker: DecoderProcess, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_process, "GRACE_S", 0.2)
    with pytest.raises(EvidenceError, match="too long"):
        ask(worker, command)
    assert ask(worker, "alive") == 5


def test_a_picture_file_that_ends_the_decoder_is_refused(
    worker: DecoderProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "DECODER", worker)
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pytest.raises(EvidenceError, match="crashed") as caught:
        pictures.load_picture(tmp_path / "a.png")
    assert caught.value.code == "picture.unreadable"


def test_what_a_library_prints_is_in_no_answer(worker: DecoderProcess) -> None:
    assert ask(worker, "print") == 5
    assert ask(worker, "afterwards") == 10


def test_what_one_picture_broke_costs_no_other(worker: DecoderProcess) -> None:
    assert ask(worker, "spoil") == 5
    assert ask(worker, "innocent") == 8


def test_a_greedy_decoder_meets_its_limit(worker: DecoderProcess) -> None:
    for command in ("greed", "leak"):
        with pytest.raises(EvidenceError):
            ask(worker, command)
        assert memory_of(worker)["VmHWM"] < LIMIT_BYTES
    assert memory_of(worker)["VmPeak"] < 1.4 * LIMIT_BYTES


def test_a_worker_that_cannot_start_is_our_fault(tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(ClinicError, match="cannot be started") as caught:
        ask(DecoderProcess(1.0, "clinic_mm.no_such_worker"), "x")
    assert not isinstance(caught.value, EvidenceError)


def test_an_interrupted_request_cannot_answer_the_next(worker: DecoderProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(worker, "first") == 5

    def interrupt(*_: object) -> dict[str, str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoder_process, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            ask(worker, "interrupted")
    assert ask(worker, "next") == 4


def test_threads_get_their_own_answers(worker: DecoderProcess) -> None:
    wrong: list[int] = []

    def many(size: int) -> None:
        wrong.extend(size for _ in range(30) if ask(worker, "x" * size) != size)

    threads = [Thread(target=many, args=(size,)) for size in (3, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_killed_worker_is_started_again_and_none_is_left(worker: DecoderProcess) -> None:
    pids = set()
    for _ in range(3):
        assert ask(worker, "work") == 4
        assert worker.process is not None
        pids.add(worker.process.pid)
        os.kill(worker.process.pid, 9)
    worker.close()
    assert len(pids) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


PACKED = encapsulate([rle(frame) for frame in FRAMES])
PACKED_LAYOUT: Layout = layout_of(FRAMES, RLELossless, bits_stored=12)


def _decode_in_child(_: int) -> tuple[int, int, bool]:
    stored, _padding = pixels.decode(PACKED, PACKED_LAYOUT)
    assert DECODER.process is not None
    return os.getpid(), DECODER.process.pid, bool(np.array_equal(stored, FRAMES))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_a_worker_of_its_own_that_ends_with_it(method: str) -> None:
    _, ours, _ = _decode_in_child(0)
    with multiprocessing.get_context(method).Pool(1) as pool:
        child, theirs, equal = pool.apply(_decode_in_child, (0,))
    assert equal
    assert child != os.getpid()
    assert theirs != ours
    until = time.monotonic() + 5
    while Path(f"/proc/{theirs}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{theirs}").exists()
    assert _decode_in_child(0)[1:] == (ours, True)
