"""Fit both meanings of LDA: Fisher's linear discriminant, and latent Dirichlet allocation.

In:  a lesson. Out: for the discriminant `predict.headed.Headed` on all plain summaries side by side; for Dirichlet
`predict.topics.JoinedTopics`: a ridge head on topic shares.

What stands for an absent modality: for the discriminant the training median of each summary, and a flag; for Dirichlet
nothing at all: its words are not in the document, and the topics are inferred from those that are.

Source: Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x, covariance shrunk after Ledoit & Wolf 2004,
doi:10.1016/S0047-259X(03)00096-4; Blei, Ng & Jordan 2003, JMLR 3:993-1022, fitted by stochastic variational inference,
Hoffman et al. 2013, arXiv 1206.7051, as scikit-learn has it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from scipy.linalg import solve
from scipy.sparse import csr_matrix
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import LatentDirichletAllocation
from threadpoolctl import threadpool_limits

from clinic_mm.colearning.boltzmann.views import Words
from clinic_mm.predict.headed import Headed, table
from clinic_mm.predict.topics import JoinedTopics, Topics, Vocabulary, judged_by
from clinic_mm.training.heads import blank, check_rows, fit_ridge
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.boltzmann import both_ways, counted
from clinic_mm.training.methods.late import labelled

TOPICS: Final = 20
PASSES: Final = 4
BATCH: Final = 256
FIT_STEPS: Final = 15
"""Steps for one document while topics are still moving; a fitted model takes more."""
LEVELS: Final = 3
"""Words per real summary: low, middle, high, by thirds of the training rows."""


def fit_discriminant(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Closed form: no choice, no iteration.

    Raises:
        TaskError: If a class has no case.
    """
    del settings
    rows = labelled(lesson)
    x = table("plain", lesson.heard, lesson.prior, rows, lesson.heard.present[rows])
    check_rows(x, lesson.labels[rows], len(lesson.prior))
    empty = blank(x)
    with threadpool_limits(1, user_api="blas"):
        weights, bias = discriminant(empty.features(x), lesson.labels[rows], lesson.prior)
    return Headed(lesson.heard.names, lesson.prior, "plain", replace(empty, coef=weights, intercept=bias))


def discriminant(
    z: Float64[Array, "n f"], y: Int[Array, " n"], prior: Float64[Array, " C"]
) -> tuple[Float64[Array, "k f"], Float64[Array, " k"]]:
    """Weights and bias of the logits log p_c + mu_c S^-1 z - mu_c S^-1 mu_c / 2, one shared covariance S, shrunk.

    With two classes the log-odds of the second.
    """
    mean = np.stack([z[y == c].mean(axis=0) for c in range(len(prior))])
    within, _ = ledoit_wolf(z - mean[y], assume_centered=True)
    weights = solve(within, mean.T, assume_a="pos").T
    bias = np.log(prior) - 0.5 * (weights * mean).sum(axis=1)
    if len(prior) == 2:
        return weights[1:] - weights[:1], bias[1:] - bias[:1]
    return weights, bias


def fit_dirichlet(lesson: Lesson, settings: Mapping[str, JsonValue]) -> JoinedTopics:
    """Fit topics on all cases, whatever their label, and a head on the shares of whatever is present.

    Settings: `topics`, and `counts` as `training.methods.boltzmann` has it.
    """
    rng = np.random.default_rng(lesson.seed)
    heard, rows = lesson.heard, lesson.rows
    counts = counted(lesson.task, heard.names, settings)
    vocabularies = tuple(
        vocabulary(heard.plain[name][rows[heard.present[rows, column]]], counted=name in counts)
        for column, name in enumerate(heard.names)
    )
    n_topics = cast(int, settings.get("topics", TOPICS))
    with threadpool_limits(1, user_api="blas"):
        nothing = Topics(heard.names, vocabularies, np.zeros((n_topics, 0)), 1.0 / n_topics)
        topics = replace(
            nothing, words=_words(nothing.documents(heard, rows, heard.present[rows]), n_topics, lesson.seed)
        )
        case, present = both_ways(heard.present, labelled(lesson), rng)
        seen = judged_by(topics, heard, case, present)
        y, patients = lesson.labels[case], lesson.patients[case]
        head = fit_ridge(seen, y, len(lesson.prior), seed=lesson.seed, groups=patients)
    return JoinedTopics(topics, head, np.log(lesson.prior))


def vocabulary(plain: Float[Array, "k p"], *, counted: bool) -> Vocabulary:
    """The words of one modality, from training rows where it is there."""
    if counted:
        return Vocabulary(np.zeros((0, 0)), Words.fit(plain).places)
    known = np.where(np.isfinite(plain), plain, np.nan).astype(np.float64)
    known[:, np.isnan(known).all(axis=0)] = 0.0
    return Vocabulary(np.nanquantile(known, np.arange(1, LEVELS) / LEVELS, axis=0).T, np.zeros(0, np.int64))


def _words(documents: Float64[Array, "n w"], n_topics: int, seed: int) -> Float64[Array, "K w"]:
    """Weights of words in fitted topics, exp E[log beta]."""
    model = LatentDirichletAllocation(
        n_topics,
        learning_method="online",
        batch_size=BATCH,
        max_iter=PASSES,
        max_doc_update_iter=FIT_STEPS,
        random_state=seed,
    )
    model.fit(csr_matrix(documents))
    words: Array = model.exp_dirichlet_component_
    return words
