"""Deployed networks say what PyTorch says, of each row alone, and nothing about it goes out or is left in pieces."""

import os
import subprocess
import sys
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder, make_encoder
from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.encoders.runtime.gpu import DeviceSession, check_device, rows_at_once
from clinic_mm.encoders.runtime.graph import Graph, _GroupNorm, graph_of
from clinic_mm.encoders.runtime.opened import Shelf, open_session
from clinic_mm.encoders.runtime.session import CLOSE, CpuSession, parts
from clinic_mm.encoders.runtime.setting import Runtime, runtime_of
from clinic_mm.errors import InputError, UsageError
from clinic_mm.modalities import table
from clinic_mm.prep.base import Prep
from clinic_mm.signals import Signal
from clinic_mm.task import ModalityTask
from tests.laws.said import CLASSES, ENCODERS, encoder_of, rows_of

NOWHERE = Shelf(None, "")
EXACT, TORCH = Runtime(), Runtime(engine="torch")
each_encoder = pytest.mark.parametrize("kind", ENCODERS)


@cache
def _graph(kind: str) -> Graph:
    return graph_of(encoder_of(kind))


def _session(kind: str, runtime: Runtime = EXACT) -> CpuSession:
    return CpuSession(encoder_of(kind), _graph(kind), runtime)


def _rows(kind: str, n: int) -> np.ndarray:
    """As in the laws, and one row with nothing measured where a modality may have gaps."""
    x = rows_of(kind, n).numpy()
    if n > 1 and np.isnan(x).any():
        x[1] = np.nan
    return x


def _differs(one: Spoken, other: Spoken) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(parts(one), parts(other), strict=True))


def _same(one: Spoken, other: Spoken) -> bool:
    return all(torch.equal(a, b) for a, b in zip(parts(one), parts(other), strict=True))


@each_encoder
@pytest.mark.parametrize("n", [1, 5])
def test_openvino_says_what_pytorch_says_of_one_row_and_of_several(kind: str, n: int) -> None:
    x = _rows(kind, n)
    said = _session(kind)(x)
    assert _differs(said, run_encoder(encoder_of(kind), x)) < CLOSE
    assert len(said.logits) == n


@each_encoder
def test_what_is_said_of_a_row_hangs_on_that_row_alone_to_the_bit(kind: str) -> None:
    session, x = _session(kind), _rows(kind, 5)
    order = np.random.default_rng(1).permutation(len(x))
    together = session(x)
    for index in (0, 1, len(x) - 1):
        alone = session(x[[index]])
        assert all(torch.equal(a[0], b[index]) for a, b in zip(parts(alone), parts(together), strict=True))
    turned = session(x[order])
    assert all(torch.equal(a, b[order]) for a, b in zip(parts(turned), parts(together), strict=True))


@each_encoder
def test_another_session_says_the_same_to_the_bit(kind: str) -> None:
    x = _rows(kind, 5)
    read = CpuSession(encoder_of(kind), Graph.from_bytes(_graph(kind).to_bytes()), EXACT)
    read(_rows(kind, 3))  # what was asked before leaves nothing behind
    assert _same(read(x), _session(kind)(x))


@each_encoder
def test_nobody_present_is_said_nothing_of(kind: str) -> None:
    said = _session(kind)(np.zeros((0, *encoder_of(kind).shape), np.float32))
    assert [part.shape[0] for part in parts(said)] == [0, 0, 0]
    assert _same(said, run_encoder(encoder_of(kind), np.zeros((0, *encoder_of(kind).shape), np.float32)))


@each_encoder
def test_float32_is_float32_and_bfloat16_is_not(kind: str) -> None:
    x = _rows(kind, 5)
    plain = run_encoder(encoder_of(kind), x)
    narrow = _session(kind, Runtime(precision="bfloat16"))(x)
    assert torch.isfinite(narrow.logits).all()
    if torch.backends.cpu.get_cpu_capability() == "AVX512" and "bf16" in Path("/proc/cpuinfo").read_text():
        assert CLOSE < _differs(narrow, plain) < 0.3


@pytest.mark.long
@each_encoder
@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_openvino_says_what_pytorch_says_at_every_size(kind: str, size: str) -> None:
    _says_the_same(kind, size)


def test_the_largest_network_of_radiographs_is_compiled() -> None:
    """Of which the library died, process and all, while group norms were its own."""
    _says_the_same("xray", "base")


def test_a_group_norm_called_as_a_function_stays_away_from_the_kernel_that_dies() -> None:
    torch.manual_seed(0)
    encoder = deepcopy(encoder_of("xray"))
    plain = graph_of(encoder)
    norm = next(one for one in encoder.modules() if isinstance(one, nn.GroupNorm))
    norm.__class__ = type("Called", (nn.Module,), {"forward": _called})
    graph = graph_of(encoder)
    assert graph.has_group_norm
    assert not plain.has_group_norm
    assert CpuSession(encoder, graph, EXACT).faithful()


def _called(self: nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
    return nn.functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


@pytest.mark.parametrize("places", [(7,), (6, 5), (4, 3, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_a_group_norm_of_means_is_a_group_norm_also_far_from_zero(places: tuple[int, ...], *, affine: bool) -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(3, 12, affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    for middle in (0.0, 300.0):
        x = middle + torch.randn(5, 12, *places)
        assert torch.allclose(_GroupNorm(norm)(x), norm.double()(x.double()).float(), atol=1e-3 if middle else 1e-6)
        norm.float()


def _says_the_same(kind: str, size: str) -> None:
    from clinic_mm.modalities import modality, resolve

    torch.manual_seed(0)
    shape = _shape(kind, size, resolve(modality(kind).prep))
    encoder = make_encoder(kind, shape, CLASSES, size).eval()
    x = torch.rand(4, *shape).numpy()
    session = CpuSession(encoder, graph_of(encoder), EXACT)
    assert _differs(session(x), run_encoder(encoder, x)) < CLOSE
    assert torch.equal(session(x[3:4]).logits[0], session(x).logits[3])


def _shape(kind: str, size: str, prep: type[Prep[Signal]]) -> tuple[int, ...]:
    """As a task of that size has it, where it hangs on the size; else as in the laws."""
    if kind in {"record", "omics", "note"}:
        return encoder_of(kind).shape
    return prep.plan(size, ModalityTask(kind=kind)).shape


def test_every_row_of_the_table_is_tried() -> None:
    assert set(ENCODERS) == set(table())


# --- what is kept beside the model


def _open(folder: Path | None, kind: str = "note", model_hash: str = "a" * 64) -> object:
    return open_session(kind, encoder_of(kind), EXACT, Shelf(folder, model_hash))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_graph_is_made_once_and_made_again_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Encoder] = []
    monkeypatch.setattr("clinic_mm.encoders.runtime.opened.graph_of", lambda e: (made.append(e), graph_of(e))[1])
    x = _rows("note", 5)
    said = [_open(tmp_path / "compiled")(x) for _ in range(2)]  # type: ignore[operator]
    (kept,) = _files(tmp_path)
    assert len(made) == 1
    kept.write_bytes(kept.read_bytes()[:-7] + b"garbage")
    said.append(_open(tmp_path / "compiled")(x))  # type: ignore[operator]
    assert len(made) == 2
    _open(tmp_path / "compiled", model_hash="b" * 64)
    assert len(made) == 3, "another model has graphs of its own"
    assert _same(said[0], said[1])
    assert _same(said[0], said[2])


def test_a_whole_graph_of_another_network_is_found_out_and_made_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "compiled", "a" * 64)
    other = encoder_of("note", seed=9)
    shelf.graph("note", lambda: graph_of(other))
    x = _rows("note", 3)
    session = open_session("note", encoder_of("note"), EXACT, shelf)
    assert isinstance(session, CpuSession)
    assert _differs(session(x), run_encoder(encoder_of("note"), x)) < CLOSE


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_may_only_be_read_serves_as_root_never_sees(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert isinstance(_open(tmp_path / "compiled"), CpuSession)


def test_a_folder_that_cannot_be_made_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "compiled").write_text("a file stands in the way")
    assert isinstance(_open(tmp_path / "compiled"), CpuSession)


class _Stubborn(Encoder):
    """Its shapes hang on values, as those of another's encoder may."""

    n_tokens = 1

    def encode(self, x: Tensor) -> Tensor:
        rows = x[x[:, 0] > 0]
        return (x.sum(dim=1, keepdim=True) + rows.sum())[:, :, None].expand(-1, 1, self.width)


def test_a_network_that_openvino_does_not_take_stays_with_pytorch() -> None:
    torch.manual_seed(0)
    encoder = _Stubborn((6,), CLASSES, "tiny").eval()
    session = open_session("other", encoder, EXACT, NOWHERE)
    x = np.random.default_rng(0).random((5, 6), np.float32)
    assert isinstance(session, DeviceSession)
    assert "PyTorch" in session.told
    assert _same(session(x), run_encoder(encoder, x))


# --- PyTorch on a device


@each_encoder
def test_the_way_of_the_gpu_says_the_same_on_a_cpu(kind: str) -> None:
    x = _rows(kind, 9)
    assert _differs(open_session(kind, encoder_of(kind), TORCH, NOWHERE)(x), run_encoder(encoder_of(kind), x)) < CLOSE


def test_a_device_that_runs_out_of_memory_gets_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, tried = encoder_of("note"), []
    speak = encoder.speak

    def narrow(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tried.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return speak(x)

    monkeypatch.setattr(encoder, "speak", narrow)
    x = _rows("note", 9)
    said = DeviceSession(encoder, TORCH)(x)
    assert tried[-1] <= 2 < tried[0]
    assert _differs(said, run_encoder(encoder_of("note"), x)) < CLOSE


def test_autocast_rounds_products_and_keeps_what_is_said_in_float32() -> None:
    x = _rows("xray", 3)
    said = DeviceSession(encoder_of("xray"), Runtime(engine="torch", precision="bfloat16"))(x)
    assert said.logits.dtype == torch.float32
    assert 0 < _differs(said, run_encoder(encoder_of("xray"), x)) < 0.3


def test_batches_are_as_large_as_half_of_free_memory_takes() -> None:
    assert rows_at_once(16 << 30, 64 << 20) == 128
    assert rows_at_once(17 << 30, 64 << 20) == 128, "small changes change nothing"
    assert rows_at_once(1, 64 << 20) == 1
    assert rows_at_once(80 << 30, 1000) == 1024


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_said_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"no GPU.*--device cpu"):
        open_session("note", encoder_of("note"), runtime_of("cuda"), NOWHERE)
    check_device("cuda", lambda: True)


@pytest.mark.parametrize(("device", "precision"), [("tpu", "float32"), ("cpu", "int8")])
def test_an_unknown_device_or_precision_is_answered_with_the_known_ones(device: str, precision: str) -> None:
    with pytest.raises(UsageError, match="Known: "):
        runtime_of(device, precision)


# --- nothing goes out

SILENT = """
import socket, sys
from pathlib import Path
tried = []
def never(*args): tried.append(args); raise OSError("nothing connects here")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = never
from clinic_mm.encoders.runtime.library import core, openvino
from clinic_mm.encoders.base import make_encoder
from clinic_mm.encoders.runtime.graph import graph_of
core()
graph_of(make_encoder("omics", (4,), 2, "tiny").eval())
assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
assert not tried, tried
assert not list(Path.home().iterdir()), list(Path.home().iterdir())
"""


def test_neither_import_nor_conversion_connects_or_writes_into_the_home_folder(tmp_path: Path) -> None:
    told = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    ran = subprocess.run([sys.executable, "-c", SILENT], env=told, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stderr[-2000:]
