"""The contrastive loss: the equation row by row, CLIP and SupCon as its two ends, and its laws."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from clinic_mm.colearning.contrast import TAU, Contrast, alike, soft_targets
from clinic_mm.colearning.contrast import cross_entropy as cross_entropy_of

N = 12


def batch(m: int, missing: float = 0.3) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(m)
    views = [normalize(torch.randn(N, 5, generator=generator), dim=1) for _ in range(m)]
    present = torch.rand(N, m, generator=generator) >= missing
    labels = torch.arange(N) % 3
    labels[-1] = -1
    return views, present, alike(labels, torch.arange(N))


def plain(views: list[Tensor], present: Tensor, same: Tensor, tau: float, soft: float) -> float:
    """The equation, one pair of modalities, one row, one column at a time."""
    pairs = []
    for a in range(len(views)):
        for b in range(len(views)):
            rows = [i for i in range(N) if present[i, a] and present[i, b]]
            if a == b or len(rows) < 2:
                continue
            lost = 0.0
            for i in rows:
                score = {j: float(views[a][i] @ views[b][j]) / tau for j in rows}
                norm = math.log(sum(math.exp(s) for s in score.values()))
                positives = [j for j in rows if same[i, j]]
                for j in rows:
                    q = (1 - soft) * (i == j) + soft * (j in positives) / len(positives)
                    lost -= q * (score[j] - norm)
            pairs.append(lost / len(rows))
    return sum(pairs) / len(pairs)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("soft", [0.0, 0.5, 1.0])
def test_it_is_the_equation(m: int, soft: float) -> None:
    views, present, same = batch(m)
    found = Contrast(soft)
    expected = plain(views, present, same, found.tau.item(), soft)
    assert found(views, present, same).item() == pytest.approx(expected, abs=1e-5)


def test_without_softness_it_is_the_loss_of_clip() -> None:
    views, _, same = batch(2)
    loss = Contrast(0.0)
    scores = views[0] @ views[1].T / loss.tau
    clip = (cross_entropy(scores, torch.arange(N)) + cross_entropy(scores.T, torch.arange(N))) / 2
    torch.testing.assert_close(loss(views, torch.ones(N, 2, dtype=torch.bool), same), clip)


@pytest.mark.parametrize(("soft", "pushed"), [(0.0, True), (0.5, False), (1.0, False)])
def test_another_case_of_the_same_diagnosis_is_not_pushed_away(soft: float, pushed: bool) -> None:
    same = alike(torch.tensor([0, 0, 1, 1]), torch.arange(4))
    scores = torch.zeros(4, 4, requires_grad=True)
    cross_entropy_of(scores, soft_targets(same, soft)).backward()
    assert (scores.grad[0, 1] > 0) == pushed
    assert scores.grad[0, 0] < 0  # the own case is drawn near
    assert scores.grad[0, 2] > 0  # a stranger is pushed away


def test_unknown_labels_are_like_nobody_and_a_patient_is_like_itself() -> None:
    same = alike(torch.tensor([-1, -1, 0, 1]), torch.tensor([0, 1, 2, 2]))
    assert same.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_the_temperature_is_learnt_and_stays_within_its_bounds() -> None:
    views, present, same = batch(3)
    loss = Contrast()
    loss(views, present, same).backward()
    assert loss.log_tau.grad.abs() > 0
    assert "log_tau" in loss.state_dict()
    for far in (-50.0, 50.0):
        loss.log_tau.data.fill_(far)
        assert TAU[0] * (1 - 1e-6) <= loss.tau.item() <= TAU[1] * (1 + 1e-6)
        assert torch.isfinite(loss(views, present, same))


@pytest.mark.parametrize("junk", [float("nan"), 1e9])
def test_absent_rows_reach_neither_loss_nor_gradient(junk: float) -> None:
    views, present, same = batch(3)
    seen = []
    for filler in (0.0, junk):
        given = [
            torch.where(here[:, None], v, filler).requires_grad_() for v, here in zip(views, present.T, strict=True)
        ]
        loss = Contrast()(given, present, same)
        loss.backward()
        seen.append((loss.detach(), *(g.grad for g in given)))
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)


def test_a_batch_where_nobody_has_two_is_no_loss() -> None:
    views, _, same = batch(2)
    assert Contrast()(views, torch.eye(2, dtype=torch.bool)[torch.arange(N) % 2], same).item() == 0.0
