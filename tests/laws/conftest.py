"""A whole model with networks, and cases for it, for the laws of what is deployed."""

import numpy as np
import pytest
import torch

from clinic_mm.encoders.base import WIDTH, make_encoder
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.pool import LogPool
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds, single
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.heads import Head
from clinic_mm.predict.joint import concatenated
from clinic_mm.predict.model import Model, heard_of
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.heads import fit_prior, fit_ridge
from tests import made

NAMES = ("note", "eeg", "record")
PAIR = ("eeg", "record")


@pytest.fixture(scope="module")
def cases() -> PreparedCases:
    return made.prepared(NAMES, 24, missing=0.4)


@pytest.fixture(scope="module")
def model(cases: PreparedCases) -> Model:
    """All that a model may hold, without training a network: random weights keep the laws as well as fitted ones."""
    torch.manual_seed(0)
    rng, task, y = np.random.default_rng(0), made.task(NAMES), cases.labels
    recipe = made.recipe(NAMES)
    networks = {n: make_encoder(n, recipe.preps[n].shape, 2, "tiny").eval() for n in NAMES}
    heads: dict[str, Head] = {
        "note": fit_ridge(cases.plain["note"][cases.present[:, 0]], y[cases.present[:, 0]], 2, seed=0),
        "record": fit_prior(cases.x["record"], y, 2, seed=0),
    }
    prior = np.array([0.7, 0.3])
    return Model(
        task=task,
        recipe=recipe,
        experts=(
            Expert("note", "note", "plain ridge", heads["note"], networks["note"]),
            Expert("eeg", "eeg", "network", None, networks["eeg"]),
            Expert("record", "record", "learned ridge", heads["record"], networks["record"]),
        ),
        pool=LogPool(NAMES, prior, rng.normal(size=3), rng.normal(size=3), {PAIR: rng.normal(size=3)}, {}),
        residual=Bottleneck(NAMES, WIDTH["tiny"], torch.tensor([0.7, 0.3])).eval(),
        temperatures=Temperatures(NAMES, 0.1, rng.normal(size=3) / 3, {PAIR: 0.2}),
        thresholds=Thresholds(NAMES, 0.9, {PAIR: single(0.61, 40)}, {1: single(1 / 3, 90)}, single(0.7, 200), (0.9,)),
        concat=fit_ridge(concatenated(heard_of(cases, np.zeros((len(cases), len(cases.names), 2)), {})), y, 2, seed=0),
        share=0.5,
        facts={
            "n_cases": 24,
            "n_patients": 21,
            "classes": {"negative": 12, "positive": 12},
            "patterns": {"eeg": 3},
            "threads": 1,
            "clinic_mm": "0",
            "torch": "0",
            "experts": {},
            "verdict": {"words": "None", "rows": []},
        },
    )
