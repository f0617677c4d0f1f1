"""The ordering of Srivastava & Salakhutdinov 2012 where it holds: few labels, many cases (SIMULATED)."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.boltzmann_ordering import BOTH, REGIMES, TEST, TRAIN, answers, simulated_lesson
from clinic_mm.evaluate.bootstrap import paired_interval_repeats
from clinic_mm.evaluate.metrics import auroc


@pytest.mark.long
def test_with_few_labels_the_machine_beats_support_vectors_and_those_beat_both_ldas() -> None:
    world = next(iter(REGIMES.values()))
    runs, labels = [], np.zeros(0)
    for seed in (0, 1):
        lesson, labels = simulated_lesson(world, seed)
        runs.append(answers(lesson, {"counts": ["text"]}, np.arange(TRAIN, TRAIN + TEST)))
    p = {name: np.stack([run[name] for run in runs]) for name in runs[0]}

    def low(better: str, worse: str) -> float:
        return paired_interval_repeats(auroc, p[better], p[worse], labels[TRAIN:], np.arange(TEST), n=200).low

    for better, worse in pairwise(BOTH):
        assert low(better, worse) > 0, f"{better} > {worse}"
    assert low("image: generated, mean field", "image: zero") > 0
