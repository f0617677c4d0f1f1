"""The deep Boltzmann machine against the truth: machines so small that every state can be counted."""

from itertools import product

import numpy as np
import pytest
from numpy import ndarray as Array
from scipy.special import logsumexp

from clinic_mm.colearning.boltzmann.infer import Clamp, Means, generate, gibbs, mean_field
from clinic_mm.colearning.boltzmann.learn import Plan, as_float64, layered, learn, together
from clinic_mm.colearning.boltzmann.machine import Given, Machine, Units
from clinic_mm.colearning.boltzmann.rbm import Rbm, fit_rbm
from clinic_mm.colearning.boltzmann.units import Kind
from tests.colearning import tiny_boltzmann as tiny

BOTH: tuple[Kind, Kind] = ("gaussian", "counts")
ASKED = [(True, True), (True, False), (False, True), (False, False)]


def _rbm(kind: Kind, seed: int = 0) -> Rbm:
    rng = np.random.default_rng(seed)
    return Rbm(kind, rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=4))


@pytest.mark.parametrize("kind", ["gaussian", "counts", "binary"])
def test_free_energy_and_hidden_probabilities_are_those_of_all_hidden_states(kind: Kind) -> None:
    layer, rng = _rbm(kind), np.random.default_rng(1)
    v = {"gaussian": rng.normal(size=(5, 3)), "counts": rng.multinomial(6, [0.2, 0.3, 0.5], 5) * 1.0}.get(
        kind, (rng.random((5, 3)) < 0.5) * 1.0
    )
    length = v.sum(axis=1) if kind == "counts" else np.ones(5)
    states = np.array(list(product([0.0, 1.0], repeat=4)))
    weights = np.stack([-layer.energy(v, np.tile(h, (5, 1)), length) for h in states], axis=1)
    np.testing.assert_allclose(-layer.free_energy(v, length), logsumexp(weights, axis=1), rtol=1e-12)
    p = np.exp(weights - logsumexp(weights, axis=1, keepdims=True))
    np.testing.assert_allclose(layer.hidden(v, length), p @ states, rtol=1e-10)


def test_energy_is_the_sum_that_the_paper_writes() -> None:
    machine, v = tiny.machine(BOTH), tiny.visible(BOTH, 1)
    states = tiny.hidden_states(2)
    n = len(states.joint)
    units = Units([np.tile(x, (n, 1)) for x in v], states.first, states.second, states.joint)
    np.testing.assert_allclose(
        -machine.energy(units), tiny.log_weights(machine, v, 0, np.array([True, True])), rtol=1e-12
    )


@pytest.mark.parametrize("here", ASKED)
def test_mean_field_bounds_the_log_likelihood_from_below_and_each_sweep_tightens_it(here: tuple[bool, bool]) -> None:
    machine, v = tiny.machine(BOTH, scale=0.8), tiny.visible(BOTH, 3)
    clamp = Clamp(machine, tiny.given(machine, v, *here))
    exact = np.array([logsumexp(tiny.log_weights(machine, v, case, np.array(here))) for case in range(3)])
    units = mean_field(machine, tiny.given(machine, v, *here), sweeps=1)
    bounds = [_bound(machine, units, here)]
    for _ in range(30):
        units = clamp.sweep(units, Means())
        bounds.append(_bound(machine, units, here))
    assert (np.diff(bounds, axis=0) > -1e-10).all(), "coordinate steps never loosen the bound"
    assert (bounds[-1] <= exact + 1e-10).all()
    assert (exact - bounds[-1] < 0.7).all(), "and it is not far below"


def _bound(machine: Machine, units: Units, here: tuple[bool, bool]) -> Array:
    """E_q[-E] + H(q) for factorised q with these means; log p*(v) where only hidden units are free."""
    layers = [*units.first, *units.second, units.joint]
    entropy = sum(-(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(axis=1) for q in layers)
    total = -machine.energy(units) + entropy
    for m, path in enumerate(machine.paths):
        if here[m]:
            continue
        if path.kind == "gaussian":  # E|v - b|^2 / 2 of unit variance adds D / 2, entropy is D / 2 log(2 pi e)
            total = total + tiny.D / 2 * np.log(2 * np.pi)
        else:
            share = units.visible[m] / path.length
            total = total - path.length * (share * np.log(share)).sum(axis=1)
    return np.asarray(total)


@pytest.mark.parametrize("here", ASKED)
def test_a_long_gibbs_chain_has_the_exact_marginals(here: tuple[bool, bool]) -> None:
    machine, v = tiny.machine(BOTH), tiny.visible(BOTH, 1)
    exact = tiny.posterior(machine, v, 0, np.array(here))
    many = Given(tuple(np.tile(x, (2000, 1)) for x in v), np.tile(np.array(here), (2000, 1)))
    found = generate(machine, many, np.random.default_rng(0), burn=60, keep=30)
    for name in ("visible", "first", "second"):
        for mine, theirs in zip(getattr(found, name), getattr(exact, name), strict=True):
            np.testing.assert_allclose(mine.mean(axis=0), theirs[0], atol=0.03)
    np.testing.assert_allclose(found.joint.mean(axis=0), exact.joint[0], atol=0.03)


def test_what_is_clamped_stays_and_what_stands_in_an_absent_row_is_not_looked_at() -> None:
    machine, v = tiny.machine(BOTH), tiny.visible(BOTH, 4)
    here = np.array([[True, True], [True, False], [False, True], [False, False]])
    seen = []
    for junk in (0.0, np.nan, 1e9):
        filled = tuple(np.where(here[:, [m]], x, junk) for m, x in enumerate(v))
        units = gibbs(
            machine, Given(filled, here), mean_field(machine, Given(filled, here)), np.random.default_rng(0), 3
        )
        for m in range(2):
            np.testing.assert_array_equal(units.visible[m][here[:, m]], v[m][here[:, m]])
        seen.append(np.hstack([*units.visible, *units.first, *units.second, units.joint]))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


def test_the_two_phases_differ_by_the_gradient_of_the_log_likelihood() -> None:
    machine, v = tiny.machine(BOTH), tiny.visible(BOTH, 3)
    here, nobody = np.array([True, True]), np.array([False, False])
    data = [tiny.expected_statistics(machine, v, case, here) for case in range(3)]
    own = tiny.expected_statistics(machine, v, 0, nobody)
    for k, array in enumerate(machine.arrays):
        gradient = np.mean([one[k] for one in data], axis=0) - own[k]
        for place in np.ndindex(array.shape):
            kept, step = array[place], 1e-5
            array[place] = kept + step
            above = tiny.log_likelihood(machine, v, here)
            array[place] = kept - step
            below = tiny.log_likelihood(machine, v, here)
            array[place] = kept
            assert abs((above - below) / (2 * step) - gradient[place]) < 1e-7


def test_statistics_of_samples_approach_the_exact_expectation() -> None:
    machine, v = tiny.machine(BOTH), tiny.visible(BOTH, 1)
    many = Given(tuple(np.tile(x, (20000, 1)) for x in v), np.zeros((20000, 2), bool))
    chain = gibbs(machine, many, mean_field(machine, many), np.random.default_rng(0), 20)
    for mine, theirs in zip(
        machine.statistics(chain), tiny.expected_statistics(machine, v, 0, np.zeros(2, bool)), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=0.06)


def test_learning_raises_the_exact_log_likelihood_of_cases_it_did_not_see() -> None:
    truth, rng = tiny.machine(BOTH, seed=2, scale=1.8), np.random.default_rng(0)
    drawn = tiny.draw(truth, 800, rng)
    cases = Given(tuple(v[:600].astype(np.float32) for v in drawn), rng.random((600, 2)) < 0.9)
    unseen, both = tuple(v[600:] for v in drawn), np.array([True, True])
    plan = Plan(tiny.FIRST, tiny.SECOND, tiny.JOINT, epochs=20, joint_epochs=40, joint_rate=0.01)
    machine = layered(BOTH, cases, plan, rng)
    greedy = tiny.log_likelihood(as_float64(machine), unseen, both)
    together(machine, cases, plan, rng)
    nothing = learn(BOTH, cases, Plan(tiny.FIRST, tiny.SECOND, tiny.JOINT, epochs=0, joint_epochs=0), rng)
    independent = tiny.log_likelihood(as_float64(nothing), unseen, both)
    learnt, best = tiny.log_likelihood(as_float64(machine), unseen, both), tiny.log_likelihood(truth, unseen, both)
    assert learnt > greedy, "all layers together beat one after the other"
    assert (learnt - independent) > 0.5 * (best - independent), "most of what there was to learn"


@pytest.mark.parametrize("kind", ["gaussian", "counts", "binary"])
def test_a_single_layer_learns_what_goes_together(kind: Kind) -> None:
    """Two groups of units that are high together: the layer's hidden units tell the groups apart."""
    rng = np.random.default_rng(0)
    group = (rng.random(600) < 0.5)[:, None]
    pattern = np.where(group, [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1])
    if kind == "gaussian":
        v = (2 * pattern - 1) + 0.7 * rng.normal(size=(600, 6))
    elif kind == "counts":
        v = np.stack([rng.multinomial(10, p / p.sum()) for p in pattern + 0.3])
    else:
        v = rng.random((600, 6)) < np.where(pattern, 0.9, 0.1)
    v = v.astype(np.float32)
    length = v.sum(axis=1) if kind == "counts" else np.ones(600, np.float32)
    layer = fit_rbm(kind, v, length, 4, epochs=30, rate=0.02, rng=rng)
    tells = [abs(np.corrcoef(h, group[:, 0])[0, 1]) for h in layer.hidden(v, length).T]
    assert max(tells) > 0.9
