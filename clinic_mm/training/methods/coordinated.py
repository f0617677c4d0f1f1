"""Fit a shared space by CCA, deep CCA or contrast, and a ridge head on the points of whatever is present.

In:  a lesson; settings: `space` (cca | deep_cca | contrast), `dim`, `steps`, `soft` (contrast: share of the target that
goes to the same diagnosis). Out: Coordinated, the same bytes for the same seed and threads.

How far a dimension of CCA is believed is measured on patients that it was not fitted on: its scores are multiplied by
how well they agree there, which is nothing for a dimension that agrees by chance alone. (Gong et al. 2014, arXiv
1212.4522, weigh by powers of the agreement on the fitted rows.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from torch import Tensor, nn

from clinic_mm.colearning.cca import Canonical, canonical
from clinic_mm.colearning.contrast import SOFT, Contrast, alike
from clinic_mm.colearning.deep_cca import deep_cca_loss
from clinic_mm.colearning.dropout import drawn_subset
from clinic_mm.colearning.shared_space import Projector, SharedSpace, View
from clinic_mm.errors import TaskError
from clinic_mm.fusion.adapters import fit_features
from clinic_mm.predict.coordinated import Coordinated
from clinic_mm.predict.headed_space import judged_by
from clinic_mm.training.heads import fit_ridge
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, descend

DIM: Final = 16
HIDDEN: Final = 64
BATCH: Final = 256
STEPS_PER_ROW: Final = 0.15
FEWEST_STEPS, MOST_STEPS = 80, 160
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.1
HELD_FOLDS: Final = 3
SHRINKS: Final = (None, 0.3, 0.6, 0.9)
"""Tried on held-out patients; None is Ledoit and Wolf's."""
FEWEST_TOGETHER: Final = 8
"""Cases that must have two modalities at once, or there is nothing to align."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Views of the rows that may be learnt from.

    Attributes:
        cells: Of each modality, zeros where absent.
        present: Which modality each row has.
        labels: Classes.
        patients: Patient numbers.
    """

    cells: Sequence[Float[Tensor, "k q"]]
    present: Bool[Array, "k M"]
    labels: Int[Array, " k"]
    patients: Int[Array, " k"]


def fit(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Coordinated:
    """Fit a space and its head.

    Raises:
        TaskError: If hardly any case has two modalities.
    """
    views = [_view(lesson, column) for column in range(len(lesson.heard.names))]
    rows = _rows(lesson, views)
    _check(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        space = FITS[str(settings["space"])](views, rows, lesson.seed, settings).eval()
    generator = np.random.default_rng(lesson.seed)
    case = np.concatenate([lesson.rows, lesson.rows])
    native = lesson.heard.present[lesson.rows]
    present = np.concatenate([native, drawn_subset(native, generator)])
    points = judged_by(space, lesson.heard, case, present)
    head = fit_ridge(points, lesson.labels[case], len(lesson.prior), seed=lesson.seed, groups=lesson.patients[case])
    return Coordinated(dict(settings), space, head, np.log(lesson.prior))


def _view(lesson: Lesson, column: int) -> View:
    """One modality as the task's level of learning has it."""
    heard, learning = lesson.heard, lesson.task.fusion.learning
    name = heard.names[column]
    spoken = learning == "model" and name in heard.spoken
    cases = lesson.rows[heard.present[lesson.rows, column]]
    empty = View(name, "spoken" if spoken else "plain", fit_features(torch.zeros(0, 1)), 0)
    features = fit_features(empty.raw(heard, cases))
    return View(name, empty.source, features, len(lesson.prior) if learning == "model" else 0)


def _rows(lesson: Lesson, views: Sequence[View]) -> Rows:
    present = lesson.heard.present[lesson.rows]
    cells = []
    for view, here in zip(views, present.T, strict=True):
        spread = torch.zeros(len(here), view.width)
        spread[torch.from_numpy(here)] = view(lesson.heard, lesson.rows[here]).detach()
        cells.append(spread)
    patients = np.unique(lesson.patients[lesson.rows], return_inverse=True)[1]
    return Rows(cells, present, lesson.labels[lesson.rows], patients)


def _check(rows: Rows) -> None:
    if (rows.present.sum(axis=1) > 1).sum() < FEWEST_TOGETHER:
        what = f"Fewer than {FEWEST_TOGETHER} training cases have two modalities: there is nothing to align"
        raise TaskError(what, "fusion.method", "Take a late method, or modalities that cases have together")


def _fit_cca(views: Sequence[View], rows: Rows, seed: int, settings: Mapping[str, JsonValue]) -> SharedSpace:
    return SharedSpace(views, _linear(views, rows, seed, _dim(settings), n_hidden=0), unit=False)


def _fit_deep_cca(views: Sequence[View], rows: Rows, seed: int, settings: Mapping[str, JsonValue]) -> SharedSpace:
    """Networks by the loss, then linear CCA of what they say (Andrew et al. 2013, §3)."""
    space = SharedSpace(views, _linear(views, rows, seed, _dim(settings), HIDDEN), unit=False)
    present = torch.from_numpy(rows.present)
    steps = _steps(rows, settings)
    _descend(space, rows, steps, seed, lambda points, batch: deep_cca_loss(points, present[batch]), told=["deep_cca"])
    with torch.no_grad():
        said = [space.eval().project(m, cells).double().numpy() for m, cells in enumerate(rows.cells)]
    found, trust = trusted(said, rows.present, rows.patients, _dim(settings), seed)
    projectors = [cast(Projector, p) for p in space.projectors]
    turned = [
        p.turn(torch.from_numpy(mean).float(), torch.from_numpy(weights * trust).float())
        for p, mean, weights in zip(projectors, found.mean, found.weights, strict=True)
    ]
    return SharedSpace(views, turned, unit=False)


def _fit_contrast(views: Sequence[View], rows: Rows, seed: int, settings: Mapping[str, JsonValue]) -> SharedSpace:
    space = SharedSpace(views, _linear(views, rows, seed, _dim(settings), HIDDEN), unit=True)
    soft = cast(float, settings.get("soft", SOFT))
    contrast = Contrast(soft)
    present, labels, patients = (torch.from_numpy(a) for a in (rows.present, rows.labels, rows.patients))

    def loss(points: Sequence[Tensor], batch: Tensor) -> Tensor:
        lost: Tensor = contrast(points, present[batch], alike(labels[batch], patients[batch]))
        return lost

    _descend(space, rows, _steps(rows, settings), seed, loss, contrast, ["contrast", soft])
    return space


def _linear(views: Sequence[View], rows: Rows, seed: int, dim: int, n_hidden: int) -> list[Projector]:
    """CCA as projectors: all that CCA is, and where networks start from, with hidden units that say nothing yet."""
    cells = [c.double().numpy() for c in rows.cells]
    found, trust = trusted(cells, rows.present, rows.patients, dim, seed)
    made = []
    for view, mean, weights in zip(views, found.mean, found.weights, strict=True):
        projector = Projector(view.width, n_hidden, len(trust))
        with torch.no_grad():
            projector.straight.weight.copy_(torch.from_numpy(weights * trust).T)
            projector.straight.bias.copy_(torch.from_numpy(-mean @ (weights * trust)))
            if n_hidden:
                cast(nn.Linear, projector.bent[2]).weight.zero_()
        made.append(projector)
    return made


FITS: Final[dict[str, Callable[[Sequence[View], Rows, int, Mapping[str, JsonValue]], SharedSpace]]] = {
    "cca": _fit_cca,
    "deep_cca": _fit_deep_cca,
    "contrast": _fit_contrast,
}


def _dim(settings: Mapping[str, JsonValue]) -> int:
    return cast(int, settings.get("dim", DIM))


def _steps(rows: Rows, settings: Mapping[str, JsonValue]) -> int:
    by_rows = int(np.clip(STEPS_PER_ROW * len(rows.present), FEWEST_STEPS, MOST_STEPS))
    return cast(int, settings.get("steps", by_rows))


def _descend(
    space: SharedSpace,
    rows: Rows,
    steps: int,
    seed: int,
    loss: Callable[[Sequence[Tensor], Tensor], Tensor],
    beside: nn.Module | None = None,
    told: Sequence[object] = (),
) -> None:
    """Train the projectors, and what the loss learns beside them; `told` is what else the loss depends on."""
    several = np.flatnonzero(rows.present.sum(axis=1) > 1)
    generator = np.random.default_rng(seed)
    both = nn.ModuleList([space.projectors, *([beside] if beside else [])])
    optimiser = torch.optim.AdamW(both.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)

    def draw() -> Tensor:
        return torch.from_numpy(generator.choice(several, min(BATCH, len(several)), replace=False))

    def lost(batch: Tensor) -> Tensor:
        return loss([space.project(column, cells[batch]) for column, cells in enumerate(rows.cells)], batch)

    space.train()
    part = Part.of("shared space", rows, both, steps, seed, *told)
    descend(Fit(part, both, optimiser, draw, lost, schedule, generator), steps)


def trusted(
    views: Sequence[Float[Array, "n p"]], present: Bool[Array, "n M"], patients: Int[Array, " n"], dim: int, seed: int
) -> tuple[Canonical, Float[Array, " d"]]:
    """CCA with the shrinkage that agrees best on held-out patients, and how well each of its dimensions agrees there.

    Returns:
        The space fitted on all rows, and for each dimension the mean correlation between views of held-out patients;
        never below 0, never growing from one dimension to the next.
    """
    fold = np.random.default_rng(seed).permutation(patients.max() + 1)[patients] % HELD_FOLDS
    held = [_held_agreement(views, present, fold, dim, shrink) for shrink in SHRINKS]
    best = int(np.argmax([np.square(trust).sum() for trust in held]))
    found = canonical(views, present, dim, SHRINKS[best])
    trust = held[best][: len(found.agreement)]
    trust = trust if trust.any() else np.maximum(found.agreement - found.agreement[-1], 1e-3)[: len(trust)]
    kept = tuple(weights[:, : len(trust)] for weights in found.weights)
    return Canonical(found.mean, kept, found.agreement[: len(trust)]), trust


def _held_agreement(
    views: Sequence[Float[Array, "n p"]],
    present: Bool[Array, "n M"],
    fold: Int[Array, " n"],
    dim: int,
    shrink: float | None,
) -> Float[Array, " d"]:
    found = []
    for k in range(HELD_FOLDS):
        out, rest = fold == k, fold != k
        fitted = canonical([x[rest] for x in views], present[rest], dim, shrink)
        scores = [fitted.scores(m, x[out]) for m, x in enumerate(views)]
        for a, b in combinations(range(len(views)), 2):
            both = present[out][:, a] & present[out][:, b]
            if both.sum() > 2:
                found.append(_correlations(scores[a][both], scores[b][both]))
    # Small parts have fewer dimensions: only those that every part has can be believed.
    shortest = min((len(agreement) for agreement in found), default=0)
    mean = np.mean([agreement[:shortest] for agreement in found], axis=0) if shortest else np.zeros(dim)
    return np.minimum.accumulate(np.maximum(mean, 0.0))


def _correlations(a: Float[Array, "n d"], b: Float[Array, "n d"]) -> Float[Array, " d"]:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    size = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    found: Array = (a * b).sum(axis=0) / np.where(size > 0, size, 1.0)
    return found
