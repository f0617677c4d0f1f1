"""A fusion with no parameter at its first value, in double precision, held against a loop over plain numbers."""

from collections.abc import Callable
from math import erf, sqrt

import numpy as np
import pytest
import torch
from numpy import ndarray as Array
from torch import nn

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion, make_fusion
from tests.laws.said import CLASSES, WIDTH, outputs_of, patterns

each_number = pytest.mark.parametrize("n", [1, 2, 3, 4])
Said = dict[int, Array]
"""Summaries of the present modalities of one case, by column."""
PRIOR = torch.tensor([0.5, 0.3, 0.2])


def names_of(n: int) -> tuple[str, ...]:
    return tuple(f"m{k}" for k in range(n))


def moved(name: str, n: int) -> Fusion:
    """A fusion whose parameters all differ from where they start."""
    torch.manual_seed(3)
    fusion = make_fusion(name, names_of(n), WIDTH, PRIOR).eval().double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return fusion


def doubled(outputs: dict[str, ModalityOutput]) -> dict[str, ModalityOutput]:
    return {
        name: ModalityOutput(o.tokens.double(), o.token_mask, o.time_h.double(), o.summary.double(), o.logits.double())
        for name, o in outputs.items()
    }


def agrees(name: str, n: int, evidence: Callable[[Fusion, Said], list[float]]) -> None:
    """Every subset of n modalities, each case by the plain loop."""
    fusion, present = moved(name, n), patterns(n)[1:]
    outputs = doubled(outputs_of(names_of(n), len(present)))
    with torch.no_grad():
        word = (fusion(outputs, present) - fusion.prior).numpy()
    for row, here in enumerate(present):
        said = {m: outputs[f"m{m}"].summary[row].numpy() for m in range(n) if here[m]}
        np.testing.assert_allclose(word[row], evidence(fusion, said), rtol=1e-5, atol=1e-8, err_msg=str(here.tolist()))


def numbers(tensor: torch.Tensor | None) -> Array:
    assert tensor is not None
    return tensor.detach().numpy()


def linear(layer: nn.Module, x: list[float]) -> list[float]:
    weight, bias = numbers(layer.weight), numbers(layer.bias)
    return [bias[o] + sum(weight[o, i] * x[i] for i in range(len(x))) for o in range(len(bias))]


def own(layer: nn.Module, m: int, z: Array) -> list[float]:
    """W_m z_m + b_m."""
    weight, bias = numbers(layer.weight)[m], numbers(layer.bias)[m]
    return [bias[k] + sum(weight[d, k] * z[d] for d in range(len(z))) for k in range(len(bias))]


def gelu(x: list[float]) -> list[float]:
    return [0.5 * v * (1 + erf(v / sqrt(2))) for v in x]


def f(head: nn.Module, x: list[float]) -> list[float]:
    """The network after joining."""
    return linear(head[2], gelu(linear(head[0], x)))


def class_numbers() -> range:
    return range(CLASSES)
