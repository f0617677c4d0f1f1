"""Turn a fitted encoder into an OpenVINO graph of fixed shapes, as bytes.

In:  an encoder. Out: `Graph`, the same on every machine with the same versions; no pickle, nothing of it is code.

A graph takes one row. Batches gain nothing on a CPU: their maps leave its cache, and the last is seldom full. With
shapes that hang on the batch, or on values, the library chooses its ways of computing as it goes, and a case's numbers
would hang on the cases before it.
"""

import tempfile
import warnings
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from safetensors.numpy import load, save
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.runtime.library import openvino
from clinic_mm.errors import ClinicError

FORM: Final = 2
"""Of the graphs that are made here: what is kept of another form is made anew."""


class NotFixedError(ClinicError):
    """The graph has shapes that hang on values: it stays with PyTorch."""


@dataclass(frozen=True, slots=True)
class Graph:
    """An encoder for OpenVINO: its intermediate representation and weights."""

    xml: bytes
    weights: bytes

    @property
    def has_group_norm(self) -> bool:
        """Whether a group normalisation is in it: called as a function, or kept from before they were taken out."""
        return b'type="GroupNormalization"' in self.xml

    def to_bytes(self) -> bytes:
        """One file of two arrays."""
        return save({"xml": np.frombuffer(self.xml, np.uint8), "weights": np.frombuffer(self.weights, np.uint8)})

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            SafetensorError, KeyError: If it is something else.
        """
        arrays = load(content)
        return cls(arrays["xml"].tobytes(), arrays["weights"].tobytes())


class _Speaks(nn.Module):
    """An encoder whose forward is `speak`: what stands in absent rows is no part of a graph."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        said: tuple[Tensor, Tensor, Tensor] = self.encoder.speak(x)
        return said


class _GroupNorm(nn.Module):
    """`nn.GroupNorm` of means over places, then over the channels of a group: the same numbers but for rounding.

    OpenVINO 2026.4 turns its own GroupNormalization into a kernel of which it dies (SIGSEGV) while compiling a
    ResNet with two blocks a stage. A layer norm of each group it compiles, but that asks for channels first, where its
    convolutions have them last: half of the time went into turning every map over and back.
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        each = (1, -1, *[1] * (x.ndim - 2))
        away = x - self._of_groups(x)
        even = away * torch.rsqrt(self._of_groups(away.square()) + self.norm.eps)
        return even * self.norm.weight.reshape(each) + self.norm.bias.reshape(each) if self.norm.affine else even

    def _of_groups(self, x: Tensor) -> Tensor:
        """The mean of each group of channels, for each of its channels."""
        channels = x.mean(tuple(range(2, x.ndim)))
        groups = channels.reshape(len(x), self.norm.num_groups, -1)
        means = groups.mean(2, keepdim=True).expand_as(groups)
        return means.reshape(len(x), -1, *[1] * (x.ndim - 2))


def _without_group_norms(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _GroupNorm(child) if isinstance(child, nn.GroupNorm) else _without_group_norms(child))
    return module


def graph_of(encoder: Encoder) -> Graph:
    """Trace an encoder, convert it, and write it down; some seconds.

    Raises:
        NotFixedError: If some shape hangs on values.
        Exception: Whatever the libraries raise for a network that they cannot take.
    """
    example = torch.zeros(1, *encoder.shape)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # PyTorch's own
        speaks = _without_group_norms(_Speaks(deepcopy(encoder)))
        traced = torch.export.export(speaks.eval(), (example,))
        model = openvino().convert_model(traced)
    model.reshape(list(example.shape))  # the conversion leaves the shape of the input open
    if any(out.get_partial_shape().is_dynamic for node in model.get_ordered_ops() for out in node.outputs()):
        raise NotFixedError("The shapes of this network hang on values")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        openvino().save_model(model, path, compress_to_fp16=False)
        return Graph(path.read_bytes(), path.with_suffix(".bin").read_bytes())
