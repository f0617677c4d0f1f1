"""Laws of a shared space for two to six modalities, however it was fitted, and what it finds where views agree."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
import torch
from numpy import ndarray as Array

from clinic_mm.colearning.contrast import Contrast, alike
from clinic_mm.colearning.deep_cca import deep_cca_loss
from clinic_mm.colearning.embedding import Embedding
from clinic_mm.colearning.shared_space import Projector, SharedSpace, View
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.retrieval import ranked, scores
from clinic_mm.fusion.adapters import fit_features
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import restored
from clinic_mm.predict.coordinated import Coordinated
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.coordinated import fit
from tests import made

SPACES = ("cca", "deep_cca", "contrast")
N = 160


def cases(m: int, n: int = N, *, noise: float = 0.3, missing: float = 0.25, seed: int = 0) -> tuple[Heard, Array]:
    """Views that are noisy turns of six numbers of each case; the class is the sign of one of them."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 6))
    present = rng.random((n, m)) >= missing
    present[~present.any(axis=1), 0] = True
    names = tuple(f"m{k}" for k in range(m))
    turns = np.random.default_rng(99)
    plain = {
        name: np.where(
            present[:, [k]], common @ turns.normal(size=(6, 7 + k)) + noise * rng.normal(size=(n, 7 + k)), np.nan
        ).astype(np.float32)
        for k, name in enumerate(names)
    }
    row = {name: np.where(present[:, k], present[:, k].cumsum() - 1, -1) for k, name in enumerate(names)}
    opinions = np.full((n, m, 2), 0.5)
    return Heard(names, plain, opinions, present, np.zeros((n, m)), row), (common[:, 0] > 0).astype(int)


def lesson(heard: Heard, labels: Array, rows: Array) -> Lesson:
    return Lesson(
        heard, labels, np.arange(len(heard)), np.array([0.5, 0.5]), rows, made.task(("record", "note")), seed=0
    )


@cache
def fitted(space: str, m: int, steps: int = 20, noise: float = 0.3, soft: float = 0.5) -> tuple[Coordinated, Heard]:
    heard, labels = cases(m, noise=noise)
    return fit(lesson(heard, labels, np.arange(N)), {"space": space, "steps": steps, "soft": soft}), heard


def all_subsets(heard: Heard, n: int = 12) -> tuple[Array, Array]:
    m = len(heard.names)
    masks = np.array(list(np.ndindex(*(2,) * m)), bool)
    case = np.repeat(np.arange(n), len(masks))
    present = np.tile(masks, (n, 1)) & heard.present[case]
    return case, present


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("space", SPACES)
def test_every_subset_has_a_point_that_only_the_present_decide(space: str, m: int) -> None:
    joined, heard = fitted(space, m)
    assert isinstance(joined, Embedding)
    case, present = all_subsets(heard)
    points = joined.embed(heard, case, present)
    some = present.any(axis=1)
    np.testing.assert_allclose(np.linalg.norm(points[some], axis=1), 1, atol=1e-9)
    assert not points[~some].any()
    for row in (0, 5, len(case) - 1):
        one = joined.embed(heard, case[[row]], present[[row]])
        np.testing.assert_allclose(one[0], points[row], rtol=1e-5, atol=1e-5)
    for column, name in enumerate(heard.names):
        junk = {**heard.plain, name: np.full_like(heard.plain[name], 1e9)}
        other = Heard(heard.names, junk, heard.opinions, heard.present, heard.time_h, heard.row)
        silent = ~present[:, column]
        np.testing.assert_allclose(joined.embed(other, case, present)[silent], points[silent], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_what_is_saved_gives_the_same_bits(space: str) -> None:
    joined, heard = fitted(space, 3)
    again = restored(joined.kind, *joined.to_state())
    case, present = all_subsets(heard)
    assert isinstance(again, Coordinated)
    np.testing.assert_array_equal(again.embed(heard, case, present), joined.embed(heard, case, present))
    np.testing.assert_array_equal(again.logits(heard, case, present), joined.logits(heard, case, present))


@pytest.mark.parametrize(("space", "m"), [("cca", 2), ("cca", 6), ("deep_cca", 3), ("contrast", 3)])
def test_views_that_agree_find_each_other_among_cases_never_seen(space: str, m: int) -> None:
    """From one view to another, and from one to all the others: R@1 far above the chance of 1 / 60."""
    joined, _ = fitted(space, m, 100, 0.1, 0.0)
    heard, _ = cases(m, 60, noise=0.1, missing=0.0, seed=1)
    everyone, mine = np.arange(60), np.eye(60, dtype=bool)
    first = np.tile(np.arange(m) == 0, (60, 1))
    for other in (np.tile(np.arange(m) == 1, (60, 1)), ~first):
        queries, gallery = joined.embed(heard, everyone, first), joined.embed(heard, everyone, other)
        found = {one.name: one for one in scores(ranked(queries, gallery, mine), everyone, n=50)}
        assert found["R@1"].low > 0.6
        assert found["MAP"].value > 0.8


def test_views_that_share_nothing_find_nothing() -> None:
    rng = np.random.default_rng(0)
    heard, labels = cases(2, 300, missing=0.0)
    plain = {**heard.plain, "m1": heard.plain["m1"][rng.permutation(300)]}
    torn = Heard(heard.names, plain, heard.opinions, heard.present, heard.time_h, heard.row)
    joined = fit(lesson(torn, labels, np.arange(200)), {"space": "cca"})
    held, only = np.arange(200, 300), np.eye(2, dtype=bool)
    queries, gallery = (joined.embed(torn, held, np.tile(side, (100, 1))) for side in only)
    found = {one.name: one for one in scores(ranked(queries, gallery, np.eye(100, dtype=bool)), held)}
    assert found["MAP"].low < found["MAP"].chance < found["MAP"].high


@pytest.mark.parametrize("space", SPACES)
def test_the_head_reads_the_space(space: str) -> None:
    joined, _ = fitted(space, 3, 100, 0.1, 0.0)
    heard, labels = cases(3, 200, noise=0.1, seed=2)
    logits = joined.logits(heard, np.arange(200), heard.present)
    assert ((logits[:, 1] > logits[:, 0]) == labels).mean() > 0.75


def test_nobody_with_two_modalities_is_refused_with_the_mend() -> None:
    heard, labels = cases(2, 60, missing=0.0)
    alone = np.eye(2, dtype=bool)[np.arange(60) % 2]
    torn = Heard(heard.names, heard.plain, heard.opinions, alone, heard.time_h, heard.row)
    with pytest.raises(TaskError, match="nothing to align"):
        fit(lesson(torn, labels, np.arange(60)), {"space": "contrast"})


@pytest.mark.parametrize("unit", [False, True])
def test_every_parameter_has_a_gradient_and_is_saved(unit: bool) -> None:
    heard, labels = cases(3, missing=0.0)
    torch.manual_seed(0)
    features = {name: fit_features(torch.from_numpy(x)) for name, x in heard.plain.items()}
    views = [View(name, "plain", features[name], 0) for name in heard.names]
    space = SharedSpace(views, [Projector(view.width, 5, 4) for view in views], unit=unit)
    points = [space.project(k, view(heard, np.arange(N))) for k, view in enumerate(views)]
    present, contrast = torch.from_numpy(heard.present), Contrast()
    same = alike(torch.from_numpy(labels), torch.arange(N))
    (contrast(points, present, same) if unit else deep_cca_loss(points, present)).backward()
    for name, parameter in space.named_parameters():
        assert parameter.grad is not None, name
        # A correlation does not see where the scores are centred, so the biases alone stay at rest.
        assert parameter.grad.abs().max() > (0 if unit or not name.endswith("straight.bias") else -1), name
    told, arrays = space.to_state()
    assert {name for name, _ in space.named_parameters()} <= set(arrays)
    assert isinstance(told, Mapping)


def test_opinions_and_encoders_are_views_where_the_task_asks_for_models() -> None:
    from clinic_mm.encoders.run import Spoken

    heard, labels = cases(2)
    said = torch.randn(int(heard.present[:, 0].sum()), 5, generator=torch.Generator().manual_seed(0))
    spoken = {"m0": Spoken(said[:, None], said, said[:, :2])}
    full = Heard(heard.names, heard.plain, heard.opinions, heard.present, heard.time_h, heard.row, spoken)
    task = made.task(("record", "note"), fusion={"learning": "model"})
    given = Lesson(full, labels, np.arange(N), np.array([0.5, 0.5]), np.arange(N), task, seed=0)
    joined = fit(given, {"space": "cca"})
    told = joined.space.to_state()[0]["views"]
    assert [(view["source"], view["opinion"]) for view in told] == [("spoken", 2), ("plain", 2)]
    assert np.isfinite(joined.logits(full, np.arange(N), full.present)).all()
