"""The recurrent fusion equals its equation, and reads in the order of acquisition."""

from math import exp, tanh

import numpy as np
import torch

from clinic_mm.fusion.base import Fusion
from clinic_mm.fusion.recurrent import Recurrent, reading_order
from tests.fusion.plain import each_number, linear, names_of, numbers
from tests.fusion.plain_tokens import Told, Vector, add, agrees, norm, part, softmax, times
from tests.laws.said import WIDTH, outputs_of


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def _gru(gru: torch.nn.Module, x: Vector, h: Vector) -> Vector:
    """torch's order of gates: reset, update, new."""
    own = (numbers(gru.weight_ih_l0), numbers(gru.bias_ih_l0))
    past = (numbers(gru.weight_hh_l0), numbers(gru.bias_hh_l0))
    r = [_sigmoid(v) for v in add(part(*own, 0, x), part(*past, 0, h))]
    u = [_sigmoid(v) for v in add(part(*own, 1, x), part(*past, 1, h))]
    new = [tanh(a + b * c) for a, b, c in zip(part(*own, 2, x), r, part(*past, 2, h), strict=True)]
    return [(1 - k) * a + k * b for k, a, b in zip(u, new, h, strict=True)]


def _evidence(fusion: Fusion, said: dict[int, Told]) -> Vector:
    latest = {m: min(told.times) for m, told in said.items()}
    h, states = [0.0] * WIDTH, []
    for m in sorted(said, key=lambda m: (-latest[m], m)):
        when = linear(fusion.when, [float(np.log1p(abs(latest[m] / 24)))])
        h = _gru(fusion.gru, add(norm(fusion.norm, said[m].summary), numbers(fusion.whose)[m].tolist(), when), h)
        states.append(h)
    last = numbers(fusion.attend[2].weight)[0]
    shares = softmax([sum(w * tanh(v) for w, v in zip(last, linear(fusion.attend[0], s), strict=True)) for s in states])
    return linear(fusion.head, add(*(times(share, s) for share, s in zip(shares, states, strict=True))))


@each_number
def test_a_gru_reads_from_the_oldest_to_the_latest_and_attention_weighs_its_states(n: int) -> None:
    agrees("recurrent", n, _evidence)


def test_the_oldest_is_read_first_ties_in_the_order_of_the_task_and_the_absent_last() -> None:
    time_h = torch.tensor([[1.0, 9.0, 5.0, 0.0], [2.0, 2.0, 7.0, 2.0], [0.0, 3.0, 0.0, 3.0]])
    present = torch.tensor([[True, True, True, True], [True, True, True, True], [True, True, False, True]])
    assert reading_order(time_h, present).tolist() == [[1, 2, 0, 3], [2, 0, 1, 3], [1, 3, 0, 2]]


def test_order_matters_and_a_time_that_is_not_known_is_the_decision_s_own() -> None:
    torch.manual_seed(0)
    fusion = Recurrent(names_of(2), WIDTH, torch.tensor([0.5, 0.5])).eval()
    outputs, present = outputs_of(names_of(2), 1), torch.ones(1, 2, dtype=torch.bool)

    def at(*hours: float) -> torch.Tensor:
        for output, hour in zip(outputs.values(), hours, strict=True):
            output.time_h[:] = hour
        answer: torch.Tensor = fusion(outputs, present)
        return answer

    assert not torch.allclose(at(10.0, 9.0), at(9.0, 10.0), atol=1e-4)
    torch.testing.assert_close(at(5.0, float("nan")), at(5.0, 0.0), rtol=0, atol=0)
