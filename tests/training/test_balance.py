"""What each modality can do alone inside a network is watched: who falls is frozen, who never rises is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.fusion.heard import Heard
from clinic_mm.predict.modelcard.build import _balance
from clinic_mm.predict.modelcard.content import Card
from clinic_mm.predict.modelcard.markdown import as_markdown
from clinic_mm.task import parse_task
from clinic_mm.training.balance import Held, Watch
from clinic_mm.training.methods import network
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.network import fit
from clinic_mm.training.steps import Fit
from clinic_mm.training.steps import descend as down

NAMES = ("record", "note")


def _probabilities(score: Array) -> Array:
    p = 1 / (1 + np.exp(-score))
    return np.stack([1 - p, p], axis=-1)


def _held(n: int = 300, absent: float = 0.0) -> tuple[Held, Array]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    evidence = rng.normal(size=(n, 2)) + 1.5 * y[:, None]
    present = rng.random((n, 2)) >= absent
    return Held(NAMES, y, np.arange(n), present, _probabilities(evidence)), evidence


def _network(evidence: Array, skill: dict[int, float]) -> Callable[[Array, Array], Array]:
    """Adds up the evidence of who speaks, each spoilt by noise in proportion."""
    noise = np.random.default_rng(1).normal(size=evidence.shape)
    spoilt = evidence + noise * np.array([skill[m] for m in range(evidence.shape[1])])
    return lambda case, present: _probabilities((spoilt[case] * present).sum(axis=1))


def test_a_modality_that_falls_below_its_expert_is_frozen_once_and_the_other_is_not() -> None:
    held, evidence = _held()
    frozen: list[str] = []
    watch = Watch(held, frozen.append)
    for step, noise in enumerate((3.0, 0.1, 0.1, 3.0, 3.0, 3.0)):
        watch.look(step, _network(evidence, {0: 0.1, 1: noise}))
        assert frozen == (["note"] if step >= 4 else []), "one dip freezes nothing"
    told = watch.told(5)
    assert told["modalities"]["note"]["state"] == "frozen"
    assert told["modalities"]["note"]["frozen_at"] == 4
    assert told["modalities"]["record"]["state"] == "even"
    assert [w for w in told["warnings"] if w.startswith("note fell below its own expert and was frozen at step 4")]
    assert orjson.loads(orjson.dumps(told)) == told


def test_use_is_how_far_the_answer_moves_when_a_modality_is_dropped() -> None:
    held, evidence = _held(absent=0.3)
    watch = Watch(held, lambda _: None)
    only_first = _network(evidence, {0: 0.1, 1: 0.1})
    watch.look(1, lambda case, present: only_first(case, present & np.array([True, False])))
    used = watch.looks[0]["use"]
    both = held.present.all(axis=1)
    moved = np.abs(only_first(np.arange(300), held.present & [True, False])[both, 1] - 0.5)
    assert used["note"] == 0
    assert used["record"] == pytest.approx(moved.mean(), abs=1e-4)


def test_what_cannot_be_judged_is_said_so() -> None:
    held, evidence = _held()
    held.present[:, 1] = False
    watch = Watch(held, lambda _: None)
    watch.look(1, _network(evidence, {0: 0.1, 1: 0.1}))
    assert watch.told(1)["modalities"]["note"] == {
        "skill": None,
        "expert": None,
        "state": "not judged",
        "frozen_at": None,
    }


def _lesson(n: int = 800) -> Lesson:
    """One modality that says all at once, and one whose word is the product of two numbers among thirty others."""
    rng = np.random.default_rng(3)
    y = np.arange(n) % 2
    sign = 2 * y - 1
    easy = 8.0 * sign[:, None] + rng.normal(size=(n, 1))
    one = rng.choice([-1, 1], n)
    other = one * sign * np.where(rng.random(n) < 0.95, 1, -1)
    hard = np.hstack([np.stack([one, other], 1) + 0.3 * rng.normal(size=(n, 2)), rng.normal(size=(n, 30))])
    experts = np.stack([_probabilities(easy[:, 0]), _probabilities(3 * hard[:, 0] * hard[:, 1])], axis=1)
    task = parse_task({"target": "ill", "modalities": list(NAMES)})
    row = dict.fromkeys(NAMES, np.arange(n))
    heard = Heard(NAMES, {"record": easy, "note": hard}, experts, np.ones((n, 2), bool), np.zeros((n, 2)), row)
    return Lesson(heard, y, np.arange(n), np.array([0.5, 0.5]), np.arange(n), task, seed=3)


@pytest.mark.long
def test_a_lazy_modality_is_seen_in_training_without_dropout_and_wakes_with_it() -> None:
    without, with_dropout = _lesson(), _lesson()
    fit(without, {"fusion": "concat", "dropout": False})
    fit(with_dropout, {"fusion": "concat"})
    seen, mended = (lesson.log["imbalance"]["modalities"]["note"] for lesson in (without, with_dropout))
    assert seen["state"] == "lazy"
    assert seen["skill"] < seen["expert"] - 0.1
    assert mended["skill"] > seen["skill"] + 0.05
    assert [w for w in without.log["imbalance"]["warnings"] if w.startswith("note never came up to its own expert")]
    assert without.log["imbalance"]["modalities"]["record"]["state"] == "even"


def test_a_frozen_modality_learns_no_more_and_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, kept = _lesson(200), []

    def look(self: Watch, step: int, answer: object) -> None:
        del answer
        if step == 8:
            self.freeze("note")

    monkeypatch.setattr(Watch, "look", look)
    monkeypatch.setattr(network, "descend", _remembering(kept))
    fit(lesson, {"fusion": "concat"})
    after = kept[8:]
    assert all(torch.equal(now["note"], after[0]["note"]) for now in after)
    assert not torch.equal(after[-1]["record"], after[0]["record"])
    assert not torch.equal(kept[0]["note"], after[0]["note"])


def _remembering(kept: list[dict[str, Tensor]]) -> Callable[..., None]:
    def descend(asked: Fit[Any], steps: int) -> None:
        look = asked.after

        def after(done: int) -> bool:
            adapters = dict(zip(NAMES, asked.module.adapters, strict=True))
            kept.append({name: a.embed[1].weight.detach().clone() for name, a in adapters.items()})
            return look is not None and look(done)

        asked.after = after
        down(asked, min(steps, 16))

    return descend


def test_the_card_of_a_model_shows_how_modalities_stood_and_warns() -> None:
    held, evidence = _held()
    watch = Watch(held, lambda _: None)
    for step in (1, 2):
        watch.look(step, _network(evidence, {0: 0.1, 1: 3.0}))
    lines = as_markdown(Card("", (), tuple(_balance({"log": {"imbalance": watch.told(2)}}))))
    assert "| note | 0." in lines
    assert "| lazy |" in lines
    assert "note never came up to its own expert" in lines
    assert "record never" not in lines
    assert _balance({"log": None}) == _balance({}) == []
