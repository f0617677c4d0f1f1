"""The plain rivals of the deep Boltzmann machine say what their textbook and scikit-learn say."""

import numpy as np
import pytest
from numpy import ndarray as Array
from scipy.sparse import csr_matrix
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from clinic_mm.errors import TaskError
from clinic_mm.fusion.pool import softmax
from clinic_mm.predict.topics import Topics, Vocabulary
from clinic_mm.prep.note import hashed, word_counts
from clinic_mm.training.heads import inner_folds
from clinic_mm.training.methods import lda, svm
from clinic_mm.training.methods.base import Lesson, methods
from tests.laws import test_methods


def _rows(n_classes: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = np.arange(150) % n_classes
    z = rng.normal(size=(150, 12)) + rng.normal(size=(n_classes, 12))[y] * 0.7
    return z, y


def _answers(z: Array, weights: Array, bias: Array) -> Array:
    raw = z @ weights.T + bias
    return softmax(np.hstack([np.zeros_like(raw), raw]) if raw.shape[1] == 1 else raw)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_support_vector_probabilities_are_those_of_scikit_learn(
    n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, y = _rows(n_classes)
    monkeypatch.setattr(svm, "PENALTIES", (0.01,))
    folds = inner_folds(y, n_classes, None, 0, 3)
    weights, bias = svm.svm_weights(z, y, folds)
    machine = LinearSVC(C=0.01, dual=True, max_iter=2000, random_state=0)
    unseen = np.concatenate([machine.fit(z[f.fit], y[f.fit]).decision_function(z[f.held]) for f in folds])
    held = np.concatenate([f.held for f in folds])
    platt = LogisticRegression(C=svm.PLATT, max_iter=1000).fit(unseen.reshape(len(z), -1), y[held])
    values = machine.fit(z, y).decision_function(z).reshape(len(z), -1)
    np.testing.assert_allclose(_answers(z, weights, bias), platt.predict_proba(values), atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_discriminant_is_bayes_rule_for_classes_of_one_shape(n_classes: int) -> None:
    z, y = _rows(n_classes)
    prior = np.array([0.6, 0.3, 0.1])[:n_classes] / np.array([0.6, 0.3, 0.1])[:n_classes].sum()
    weights, bias = lda.discriminant(z, y, prior)
    means = [z[y == c].mean(axis=0) for c in range(n_classes)]
    within = LedoitWolf(assume_centered=True).fit(z - np.stack(means)[y]).covariance_
    log_joint = [np.log(p) + multivariate_normal(m, within).logpdf(z) for p, m in zip(prior, means, strict=True)]
    np.testing.assert_allclose(_answers(z, weights, bias), softmax(np.stack(log_joint, axis=1)), atol=1e-9)


def test_topic_shares_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 2.0, (60, 40))) * 1.0
    counts[3] = 0.0
    model = LatentDirichletAllocation(5, random_state=0, max_iter=4).fit(csr_matrix(counts))
    topics = Topics((), (), model.exp_dirichlet_component_, 0.2)
    np.testing.assert_allclose(topics.shares(counts), model.transform(csr_matrix(counts)), atol=1e-6)


def test_a_missing_summary_is_no_word_and_levels_are_thirds() -> None:
    plain = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]])
    words = lda.vocabulary(plain, counted=False).counts(plain)
    np.testing.assert_array_equal(words, [[1, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 1]])
    assert lda.vocabulary(plain, counted=False).size == 6


def test_counts_come_back_from_the_shares_of_hashed_words() -> None:
    shares = np.stack([hashed("fever and cough and fever and fever", 256), hashed("calm", 256)])
    counts = word_counts(shares)
    assert sorted(counts[0][counts[0] > 0].tolist()) == [1, 1, 1, 2, 2, 3, 3]
    assert counts[1].sum() == 1
    assert word_counts(np.zeros((1, 4))).sum() == 0
    assert Vocabulary(np.zeros((0, 0)), np.flatnonzero(counts[0])).counts(shares)[0].sum() == counts[0].sum()


@pytest.mark.parametrize("name", ["svm", "lda_discriminant", "lda_dirichlet", "boltzmann"])
def test_a_class_without_a_case_is_refused(name: str) -> None:
    given = test_methods.lesson()
    one = Lesson(given.heard, np.zeros_like(given.labels), given.patients, given.prior, given.rows, given.task, seed=0)
    with pytest.raises(TaskError, match="No training case has class 1"):
        methods()[name].learn(one)
