"""Run an encoder by PyTorch on a device: rows go over from pinned memory, in batches as large as its memory takes.

In:  present rows as numpy. Out: `Spoken` on the CPU.

bfloat16 is PyTorch's autocast: products in bfloat16, sums and norms in float32. In float32 TensorFloat-32 is off, which
would round as much as bfloat16 does. On a GPU a row may differ in the last bits with the size of its batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import BATCH, Spoken, nothing_said
from clinic_mm.encoders.runtime.setting import Device, Runtime
from clinic_mm.errors import InputError

PROBE_ROWS: Final = 4
MOST_ROWS: Final = 1024
SHARE: Final = 0.5
"""Of free memory: other networks of the model, and other processes, use the same device."""


class DeviceSession:
    """An encoder on its device.

    Raises:
        InputError: If there is no such device.
    """

    def __init__(self, encoder: Encoder, runtime: Runtime) -> None:
        check_device(runtime.device)
        self.encoder, self.runtime, self.device = encoder.eval().to(runtime.device), runtime, runtime.device
        self._rows: int | None = None if self.device == "cuda" else BATCH

    @property
    def told(self) -> str:
        """What runs it, in words."""
        return f"PyTorch {torch.__version__} on {self.device}, {self.runtime.precision}"

    @torch.inference_mode()
    def __call__(self, x: Float[Array, "n ..."]) -> Spoken:
        """Tokens, summaries and logits of present rows."""
        if not len(x):
            return nothing_said(self.encoder)
        with self._numbers():
            said = list(self._said(x))
        tokens, summary, logits = (torch.cat([part[k] for part in said]) for k in range(3))
        return Spoken(tokens.clone(), summary.clone(), logits.clone())

    def _said(self, x: Array) -> Iterator[tuple[Tensor, ...]]:
        start = 0
        while start < len(x):
            rows = self._rows or PROBE_ROWS
            try:
                yield self._batch(x[start : start + rows])
            except torch.OutOfMemoryError:
                if rows == 1:
                    raise
                self._rows = rows // 2  # another process took memory meanwhile
                continue
            start += rows
            if self._rows is None:
                self._rows = rows_at_once(torch.cuda.mem_get_info()[0], torch.cuda.max_memory_allocated() // rows)

    def _batch(self, x: Array) -> tuple[Tensor, ...]:
        rows = torch.from_numpy(np.ascontiguousarray(x, np.float32))
        if self.device == "cuda":
            rows = rows.pin_memory()
        said = self.encoder.speak(rows.to(self.device, non_blocking=True))
        return tuple(part.float().cpu() for part in said)

    def _numbers(self) -> AbstractContextManager[object]:
        """How numbers are rounded inside."""
        how = ExitStack()
        if self.runtime.precision == "bfloat16":
            how.enter_context(torch.autocast(self.device, dtype=torch.bfloat16))
        elif self.device == "cuda":
            how.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
        return how


def rows_at_once(free_bytes: int, bytes_a_row: int) -> int:
    """Rows of a batch that take at most half of what is free: a power of two, so that small changes change nothing."""
    fit = int(SHARE * free_bytes) // max(bytes_a_row, 1)
    return min(MOST_ROWS, 1 << max(fit, 1).bit_length() - 1)


def check_device(device: Device, available: Callable[[], bool] = torch.cuda.is_available) -> None:
    """There is such a device.

    Raises:
        InputError: If it is a GPU, and PyTorch can use none.
    """
    if device == "cuda" and not available():
        built = torch.version.cuda or "none"
        mend = f"Use --device cpu, or install a driver and a build of PyTorch for CUDA (this one is built for: {built})"
        raise InputError("PyTorch finds no GPU that it can use", "--device cuda", mend)
