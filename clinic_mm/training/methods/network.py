"""Fit a fusion network on what was heard, with modality dropout over all subsets (METHODS §1.3, §3).

In:  a lesson; settings: `fusion` (a name of fusion.base), `colearning` (bridges and terms), `dropout`: true for
     subsets of each case's own (the default), "pattern" for one pattern per step, false for none.
Out: JoinedNetwork, the same bytes for the same seed and threads.

Loss: cross-entropy on a random subset of what is present and on a smaller one inside it, a ranking loss (more evidence
must not hurt), the fusion's own penalty, and the terms of co-learning. A share of the patients is kept aside, and the
weights that served them best are taken: small cohorts are overfitted within a few passes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from clinic_mm.cohort.split import UNLABELLED
from clinic_mm.colearning.bridge import Bridge
from clinic_mm.colearning.dropout import drawn_pattern, drawn_subset
from clinic_mm.colearning.moment import Moment
from clinic_mm.colearning.registry import BRIDGES, check_colearning, make_term
from clinic_mm.encoders.base import WIDTH, ModalityOutput
from clinic_mm.fusion.adapters import Features, LiveAdapter, PlainAdapter, fit_features
from clinic_mm.fusion.joined import Joined
from clinic_mm.fusion.pool import softmax
from clinic_mm.predict.network import JoinedNetwork, Network, given_of
from clinic_mm.training.balance import Held, Watch
from clinic_mm.training.best import LOOKS, Best, held_patients
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, Stateful, descend

Draw = Callable[[Bool[Array, "b M"], np.random.Generator], Bool[Array, "b M"]]

Drawn = tuple[Int[Array, " b"], tuple[Tensor, Tensor] | None]
"""Cases of a step, and two nested subsets of what each has."""

BATCH: Final = 64
STEPS_PER_ROW: Final = 0.15
FEWEST_STEPS, MOST_STEPS = 80, 320
LEARNING_RATE: Final = 2e-3
WEIGHT_DECAY: Final = 0.05
RANKING: Final = 0.1


def fit(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Joined:
    """Fit one network."""
    wanted = (*cast(Sequence[str], settings.get("colearning", ())), *lesson.task.fusion.colearning)
    check_colearning(wanted)
    features = _features(lesson)
    told = _told(lesson, features, str(settings["fusion"]), [name for name in wanted if name in BRIDGES])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        network = Network(told, torch.from_numpy(lesson.prior.astype(np.float32)))
        _fit_inputs(network, lesson, features)
        width = WIDTH[lesson.task.size]
        terms = nn.ModuleList(make_term(name, network.names, width) for name in wanted if name not in BRIDGES)
        asked = settings.get("dropout", True) if lesson.task.fusion.dropout else False
        _train(network, terms, lesson, [told, wanted], drawn=_drawn(asked))
    return JoinedNetwork(told, network)


def _features(lesson: Lesson) -> dict[str, Features]:
    """How the plain summaries of each modality are scaled, from the rows that may be learnt from."""
    heard, level = lesson.heard, lesson.task.fusion.learning
    if level == "joint":
        return {}
    made = {}
    for column, name in enumerate(heard.names):
        if level == "feature" or name not in heard.spoken:
            rows = lesson.rows[heard.present[lesson.rows, column]]
            made[name] = fit_features(torch.from_numpy(heard.plain[name][rows].astype(np.float32)))
    return made


def _told(lesson: Lesson, features: Mapping[str, Features], fusion: str, bridges: list[str]) -> dict[str, JsonValue]:
    """Everything that makes the network's shape, as JSON."""
    return {
        "fusion": fusion,
        "bridges": list[JsonValue](bridges),
        "width": WIDTH[lesson.task.size],
        "n_classes": len(lesson.prior),
        "names": list[JsonValue](lesson.heard.names),
        "adapters": {name: _adapter_told(lesson, name, features.get(name)) for name in lesson.heard.names},
    }


def _adapter_told(lesson: Lesson, name: str, features: Features | None) -> dict[str, JsonValue]:
    heard, task = lesson.heard, lesson.task
    if task.fusion.learning == "joint":
        shape = list[JsonValue](heard.x[name].shape[1:])
        return {"level": "joint", "kind": task.kind_of(name), "shape": shape, "size": task.size}
    if features is None:
        said = heard.spoken[name]
        return {"level": "spoken", "encoder_width": said.summary.shape[1], "n_tokens": said.tokens.shape[1]}
    opinion = task.fusion.learning == "model"
    return {"level": "plain", "features": list[JsonValue](features.shape), "opinion": opinion}


def _fit_inputs(network: Network, lesson: Lesson, features: Mapping[str, Features]) -> None:
    for column, (name, adapter) in enumerate(zip(network.names, network.adapters, strict=True)):
        if isinstance(adapter, PlainAdapter):
            adapter.features.load_state_dict(features[name].state_dict())
        elif isinstance(adapter, LiveAdapter):
            rows = lesson.rows[lesson.heard.present[lesson.rows, column]]
            x = lesson.heard.x[name][lesson.heard.row[name][rows]]
            adapter.encoder.fit_input(torch.from_numpy(x.astype(np.float32)))


def _drawn(dropout: JsonValue) -> Draw | None:
    """How subsets are drawn, None for no dropout."""
    if dropout == "pattern":
        return drawn_pattern
    return drawn_subset if dropout else None


def _train(
    network: Network, terms: nn.ModuleList, lesson: Lesson, told: Sequence[object], *, drawn: Draw | None
) -> None:
    """Fit the weights; `told` is what the network and its terms are, for the identity of the fit."""
    generator = np.random.default_rng(lesson.seed)
    fit_rows, held = _parted(lesson, generator)
    if len(terms) + len(network.bridges):  # cross-entropy alone learns nothing from a case without a label
        fit_rows = np.concatenate([fit_rows, lesson.unlabelled])
    n_steps = int(np.clip(STEPS_PER_ROW * len(fit_rows), FEWEST_STEPS, MOST_STEPS))
    parameters = [*network.parameters(), *terms.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2 * LEARNING_RATE, total_steps=n_steps)
    look = _Look(network, lesson, held, generator)

    def draw() -> Drawn:
        cases = _batch(lesson, fit_rows, generator)
        return cases, None if drawn is None else _nested(lesson.heard.present[cases], drawn, generator)

    def after(done: int) -> bool:
        if done % max(1, n_steps // LOOKS) == 0:
            look(done)
        return False

    part = Part.of(
        "fusion network",
        *(lesson.heard, lesson.labels, lesson.patients, lesson.prior, lesson.rows, lesson.unlabelled),
        *(lesson.task, lesson.seed, *told, network, "" if drawn is None else drawn.__name__),
    )

    def loss(batch: Drawn) -> Tensor:
        return _loss(network, terms, lesson, *batch)

    more: dict[str, Stateful] = {"terms": terms, "look": look}
    descend(Fit(part, network, optimiser, draw, loss, schedule, generator, more, after), n_steps)
    look.take_best()


def _parted(lesson: Lesson, generator: np.random.Generator) -> tuple[Int[Array, " k"], Int[Array, " h"]]:
    """Rows to fit on and rows of other patients to look at; none of the latter where there are few."""
    known = lesson.labels[lesson.rows] >= 0
    away = np.isin(lesson.patients[lesson.rows], held_patients(lesson.patients[lesson.rows[known]], generator))
    return lesson.rows[~away], lesson.rows[away & known]


def _batch(lesson: Lesson, rows: Int[Array, " k"], generator: np.random.Generator) -> Int[Array, " b"]:
    """Cases of one step. Where some have no label they are at most half: co-learning alone learns from those."""
    size, known = min(BATCH, len(rows)), lesson.labels[rows] >= 0
    if known.all():
        return generator.choice(rows, size, replace=False)
    n_known = min(int(known.sum()), max(size // 2, size - int((~known).sum())))
    parts = ((rows[known], n_known), (rows[~known], size - n_known))
    return np.concatenate([generator.choice(part, n, replace=False) for part, n in parts])


def _loss(
    network: Network,
    terms: nn.ModuleList,
    lesson: Lesson,
    cases: Int[Array, " b"],
    nested: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """Loss of one batch on two nested subsets of each case; without any, of the cases as they are."""
    present, target = lesson.heard.present[cases], torch.from_numpy(lesson.labels[cases])
    outputs = network.hear(given_of(lesson.heard, cases))
    if nested is None:
        subset = torch.from_numpy(present)
        logits = network.answer(outputs, subset)
        loss = cross_entropy(logits, target, reduction="none", ignore_index=UNLABELLED)
    else:
        subset, smaller = nested
        # Both subsets in one pass: the price of a small network is in its steps, not in its rows.
        both = network.answer(outputs, torch.cat([subset, smaller]), torch.arange(len(target)).repeat(2))
        more, less = cross_entropy(both, target.repeat(2), reduction="none", ignore_index=UNLABELLED).chunk(2)
        logits, loss = both[: len(target)], more + less + RANKING * (more - less).relu()
    moment = Moment(outputs, torch.from_numpy(present), subset, logits, target, network.answer)
    extra = [*(term(moment) for term in terms), *(cast(Bridge, bridge).loss(moment) for bridge in network.bridges)]
    own = [_opinions(outputs[name], moment.present[:, column], target) for column, name in _live(network)]
    answered = loss.sum() / (target != UNLABELLED).sum().clamp(min=1)
    return torch.stack([answered, network.fusion.penalty(), *extra, *own]).sum()


def _nested(present: Bool[Array, "b M"], drawn: Draw, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    larger = drawn(present, generator)
    return torch.from_numpy(larger), torch.from_numpy(drawn(larger, generator))


def _live(network: Network) -> list[tuple[int, str]]:
    return [(c, n) for c, n in enumerate(network.names) if isinstance(network.adapters[c], LiveAdapter)]


def _opinions(output: ModalityOutput, here: Tensor, target: Tensor) -> Tensor:
    """Loss of the own opinion of an encoder that learns, so that none leans on the others."""
    missed = cross_entropy(output.logits[here], target[here], reduction="sum", ignore_index=UNLABELLED)
    return missed / (target != UNLABELLED).sum().clamp(min=1)


class _Look:
    """Asks the held patients now and then, and remembers the weights that served them best."""

    def __init__(
        self, network: Network, lesson: Lesson, held: Int[Array, " h"], generator: np.random.Generator
    ) -> None:
        self.network, self.lesson, self.held = network, lesson, held
        self.subset: Bool[Array, "h M"] = drawn_subset(lesson.heard.present[held], generator)
        self.best = Best()
        heard = lesson.heard
        asked = Held(heard.names, lesson.labels[held], lesson.patients[held], heard.present[held], heard.opinions[held])
        self.watch = Watch(asked, self._freeze)

    def __call__(self, done: int) -> None:
        """NLL of the held cases, as they are and with less; then how the modalities stand."""
        if not len(self.held):
            return
        asked = JoinedNetwork({}, self.network)
        cases = np.concatenate([self.held, self.held])
        present = np.concatenate([self.lesson.heard.present[self.held], self.subset])
        logits = torch.from_numpy(asked.logits(self.lesson.heard, cases, present))
        loss = float(cross_entropy(logits, torch.from_numpy(self.lesson.labels[cases])))
        self.best.saw(loss, done, self.network)
        self.watch.look(done, lambda case, of: softmax(asked.logits(self.lesson.heard, self.held[case], of)))

    def state_dict(self) -> Mapping[str, Any]:
        """What it has seen."""
        return {"best": self.best.state_dict(), "subset": self.subset, "watch": self.watch.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on looking."""
        self.best.load_state_dict(state_dict["best"])
        self.subset = state_dict["subset"]
        self.watch.load_state_dict(state_dict["watch"])

    def take_best(self) -> None:
        """Go back to the best weights, the last ones where nobody was held; tell how the modalities stand there."""
        if self.best.take(self.network):
            self.lesson.log["imbalance"] = self.watch.told(self.best.step)

    def _freeze(self, name: str) -> None:
        self.network.adapters[self.network.names.index(name)].requires_grad_(False)
