"""What a network costs: its parameters and the multiply-adds of one case with every modality.

In:  a module, or anything that runs tensors. Out: counts. Products are counted where they happen, whoever wrote them:
matrix products, attention, convolutions, products number by number. Sums, norms and activations are not.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.joined import Cost

Shape = Sequence[int]


def parameters(module: nn.Module) -> int:
    """Numbers that are fitted."""
    return sum(p.numel() for p in module.parameters())


def multiply_adds(run: Callable[[], object]) -> int:
    """Multiply-adds of one run, forward only."""
    counter = FlopCounterMode(display=False, custom_mapping=dict(_MORE))
    with counter, torch.enable_grad():  # without gradients torch may take fused paths that nobody can count
        run()
    return int(counter.get_total_flops()) // 2


def fusion_cost(fusion: Fusion, tokens: Mapping[str, int]) -> Cost:
    """What a way of joining costs beyond the encoders.

    Args:
        fusion: In the mode that it is used in.
        tokens: How many tokens each modality says of a case.
    """
    outputs = {name: _anything(tokens[name], fusion.width, len(fusion.prior)) for name in fusion.names}
    present = torch.ones(1, len(fusion.names), dtype=torch.bool)
    return Cost(parameters(fusion), multiply_adds(lambda: fusion(outputs, present)))


def _anything(n_tokens: int, width: int, n_classes: int) -> ModalityOutput:
    mask = torch.ones(1, n_tokens, dtype=torch.bool)
    return ModalityOutput(
        torch.randn(1, n_tokens, width), mask, torch.ones(1, n_tokens), torch.randn(1, width), torch.zeros(1, n_classes)
    )


def _number_by_number(*_: object, out_shape: Shape, **__: object) -> int:
    return 2 * prod(out_shape)


def _product_along(given: Shape, *_: object, out_shape: Shape, **__: object) -> int:
    return 2 * (prod(given) - prod(out_shape))


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    scores = prod(query[:-1]) * key[-2]
    return 2 * scores * (query[-1] + value[-1])


_ATEN = torch.ops.aten
_MORE: Final = {
    _ATEN.mul: _number_by_number,
    _ATEN.mul_: _number_by_number,
    _ATEN.prod: _product_along,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
}
"""What torch's own counter leaves out, in its unit: two operations for one multiply-add."""
