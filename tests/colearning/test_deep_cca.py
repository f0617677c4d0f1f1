"""The loss of deep CCA: the paper's own value and gradient, and no blow-up where singular values are equal."""

import numpy as np
import pytest
import torch
from torch import Tensor

from clinic_mm.colearning.deep_cca import deep_cca_loss, total_correlation

RIDGE = 1e-3


def inverse_root(s: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(s)
    return (vectors / np.sqrt(values)) @ vectors.T


def papers(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Value and gradient by the first view as Andrew et al. 2013 write them (§3)."""
    n = len(a)
    ca, cb = a - a.mean(axis=0), b - b.mean(axis=0)
    saa = ca.T @ ca / (n - 1) + RIDGE * np.eye(a.shape[1])
    sbb = cb.T @ cb / (n - 1) + RIDGE * np.eye(b.shape[1])
    ra, rb = inverse_root(saa), inverse_root(sbb)
    u, d, vt = np.linalg.svd(ra @ (ca.T @ cb / (n - 1)) @ rb, full_matrices=False)
    across = ra @ u @ vt @ rb
    within = -0.5 * ra @ u @ np.diag(d) @ u.T @ ra
    return d.sum(), (2 * ca @ within + cb @ across.T) / (n - 1)


def pair(n: int = 40, d: int = 4, e: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=generator, dtype=torch.float64)
    b = torch.randn(n, e, generator=generator, dtype=torch.float64)
    b[:, :2] += a[:, :2]
    return a, b


@pytest.mark.parametrize("e", [4, 3])
def test_value_and_gradient_are_the_papers(e: int) -> None:
    a, b = pair(e=e)
    a.requires_grad_()
    total = total_correlation(a, b, RIDGE)
    total.backward()
    value, gradient = papers(a.detach().numpy(), b.numpy())
    np.testing.assert_allclose(total.item(), value, atol=1e-9)
    if e == 4:  # the printed gradient is for views of one width
        np.testing.assert_allclose(a.grad.numpy(), gradient, atol=1e-9)


def test_equal_singular_values_and_equal_eigenvalues_give_a_finite_gradient() -> None:
    """Two views that are rotations of white noise: every singular value, and every eigenvalue, is the same."""
    white, _ = torch.linalg.qr(torch.randn(32, 4, generator=torch.Generator().manual_seed(1)))
    white = white - white.mean(dim=0)
    white, _ = torch.linalg.qr(white)
    a = (white * 31**0.5).requires_grad_()
    total = total_correlation(a, (white * 31**0.5).roll(1, dims=1))
    total.backward()
    assert total.item() == pytest.approx(4, rel=0.02)
    assert torch.isfinite(a.grad).all()
    assert a.grad.abs().max() < 1


@pytest.mark.parametrize("dead", [0.0, 1e-20])
def test_a_dead_or_repeated_unit_gives_a_finite_gradient(dead: float) -> None:
    a, b = pair()
    a[:, 0] = dead
    a[:, 2] = a[:, 1]
    a.requires_grad_()
    total_correlation(a, b, RIDGE).backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_the_loss_is_the_mean_over_pairs_that_both_have(m: int) -> None:
    generator = torch.Generator().manual_seed(2)
    scores = [torch.randn(60, 2, generator=generator, dtype=torch.float64) for _ in range(m)]
    present = torch.rand(60, m, generator=generator) < 0.7
    present[:20] = True
    by_hand = []
    for a in range(m):
        for b in range(a + 1, m):
            both = (present[:, a] & present[:, b]).numpy()
            by_hand.append(papers(scores[a].numpy()[both], scores[b].numpy()[both])[0] / 2)
    assert deep_cca_loss(scores, present, RIDGE).item() == pytest.approx(-np.mean(by_hand), abs=1e-9)


@pytest.mark.parametrize("junk", [float("nan"), 1e9])
def test_absent_rows_reach_neither_loss_nor_gradient(junk: float) -> None:
    a, b = pair()
    present = torch.ones(40, 2, dtype=torch.bool)
    present[:10, 0] = False
    seen = []
    for filler in (0.0, junk):
        given = a.clone()
        given[:10] = filler
        given.requires_grad_()
        loss = deep_cca_loss([given, b], present)
        loss.backward()
        seen.append((loss.detach(), given.grad))
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=0)


def test_nobody_with_two_views_is_no_loss() -> None:
    a, b = pair()
    assert deep_cca_loss([a, b], torch.eye(2, dtype=torch.bool)[torch.arange(40) % 2]).item() == 0.0
