"""The same for fusions that read tokens, times and opinions: attention and layer norms as loops over plain numbers."""

from collections.abc import Callable
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy import ndarray as Array
from torch import nn

from clinic_mm.fusion.base import Fusion
from tests.fusion.plain import doubled, gelu, linear, moved, names_of, numbers
from tests.laws.said import outputs_of, patterns

Vector = list[float]


class Told(NamedTuple):
    """What one present modality says of one case: real tokens alone."""

    tokens: list[Vector]
    times: Vector
    summary: Vector
    log_p: Vector


def agrees(name: str, n: int, evidence: Callable[[Fusion, dict[int, Told]], Vector]) -> None:
    """Every subset of n modalities, each case by the plain loop."""
    fusion, present = moved(name, n), patterns(n)[1:]
    outputs = doubled(outputs_of(names_of(n), len(present)))
    with torch.no_grad():
        word = (fusion(outputs, present) - fusion.prior).numpy()
    for row, here in enumerate(present):
        told = {}
        for m in range(n):
            o = outputs[f"m{m}"]
            real = o.token_mask[row]
            if here[m]:
                parts = (o.tokens[row][real], o.time_h[row][real], o.summary[row], o.logits[row].log_softmax(0))
                told[m] = Told(*(part.tolist() for part in parts))
        np.testing.assert_allclose(word[row], evidence(fusion, told), rtol=1e-5, atol=1e-8, err_msg=str(here.tolist()))


def add(*several: Vector) -> Vector:
    return [sum(values) for values in zip(*several, strict=True)]


def times(weight: float, x: Vector) -> Vector:
    return [weight * v for v in x]


def mean(several: list[Vector]) -> Vector:
    return times(1 / len(several), add(*several))


def norm(layer: nn.Module, x: Vector) -> Vector:
    middle = sum(x) / len(x)
    spread = sqrt(sum((v - middle) ** 2 for v in x) / len(x) + 1e-5)
    return [
        w * (v - middle) / spread + b for v, w, b in zip(x, numbers(layer.weight), numbers(layer.bias), strict=True)
    ]


def softmax(scores: Vector) -> Vector:
    grown = [exp(s - max(scores)) for s in scores]
    return [g / sum(grown) for g in grown]


def part(weight: Array, bias: Array, k: int, x: Vector) -> Vector:
    """The k-th of three projections that stand below each other in one matrix."""
    width = len(x)
    rows = range(k * width, (k + 1) * width)
    return [bias[r] + sum(weight[r, i] * x[i] for i in range(width)) for r in rows]


def attention(projection: tuple[Array, Array], heads: int, query: Vector, keys: list[Vector]) -> Vector:
    """softmax(q K' / sqrt d) V by head, before the last projection."""
    width = len(query)
    q = part(*projection, 0, query)
    ks, vs = [part(*projection, 1, key) for key in keys], [part(*projection, 2, key) for key in keys]
    out: Vector = []
    for h in range(heads):
        mine = range(h * width // heads, (h + 1) * width // heads)
        shares = softmax([sum(q[i] * k[i] for i in mine) / sqrt(len(mine)) for k in ks])
        out += [sum(share * v[i] for share, v in zip(shares, vs, strict=True)) for i in mine]
    return out


def think(norm_layer: nn.Module, mlp: nn.Module, x: Vector) -> Vector:
    return add(x, linear(mlp[2], gelu(linear(mlp[0], norm(norm_layer, x)))))


def layer(block: nn.Module, heads: int, query: Vector, keys: list[Vector]) -> Vector:
    """One round of `fusion.tokens.Layer` for one query."""
    projection = (numbers(block.attend.in_proj_weight), numbers(block.attend.in_proj_bias))
    heard = attention(projection, heads, norm(block.query_norm, query), [norm(block.key_norm, k) for k in keys])
    return think(block.mlp_norm, block.mlp, add(query, linear(block.attend.out_proj, heard)))


def marked(fusion: Fusion, m: int, told: Told) -> list[Vector]:
    """Tokens with whose and when."""
    whose = numbers(fusion.whose)[m].tolist()
    return [
        add(norm(fusion.token_norm, token), whose, linear(fusion.when, [float(np.log1p(abs(t / 24)))]))
        for token, t in zip(told.tokens, told.times, strict=True)
    ]
