"""A model with every part on, through its folder and back: the same bytes, the same parts, the same hash."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from clinic_mm.encoders.base import WIDTH, make_encoder
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.late import Weighted
from clinic_mm.predict.artifact import load_model, save_model
from clinic_mm.predict.model import Model
from clinic_mm.predict.outside import Guard
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.training.fit import fit_model
from tests import made
from tests.quick import without_trees

KINDS = ("xray", "record")
PRIOR = np.array([0.6, 0.4])
MADE_WHERE_IT_RUNS = {"shift"}
"""Parts of a model that are never kept."""
ROUNDED = ("model.thresholds", "model.drift", "model.calibration_cases.features")
"""Kept with fewer digits than they were fitted with: none is another number to six of them."""
AGAIN = """
import sys
from pathlib import Path
from clinic_mm.predict.artifact import load_model, save_model
print(save_model(load_model(Path(sys.argv[1]))[0], Path(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def model() -> Model:
    """Plain heads, guards, drift, bank, silence and calibration cases as fitted; the rest as large as it gets."""
    task = made.task(KINDS, train={"epochs": 0, "threads": 1}, sets={"shift": "weighted"})
    with without_trees():
        fitted = fit_model(made.prepared(KINDS, 110, planted=0.8), made.recipe(KINDS), task)
    torch.manual_seed(0)
    networks = {n: make_encoder(n, fitted.recipe.preps[n].shape, 2, "tiny").eval() for n in KINDS}
    first = replace(
        fitted.temperatures, own={KINDS: 0.1}, own_shift={KINDS: PRIOR / 3}, shift=PRIOR / 7, absent=np.eye(2) / 3
    )
    swapped = fitted.outside.guards["xray"].swapped
    guards = {
        **fitted.outside.guards,
        "xray": replace(fitted.outside.guards["xray"], wrong=swapped, regions={"chest": 80}),
    }
    return replace(
        fitted,
        experts=tuple(replace(expert, encoder=networks[expert.name]) for expert in fitted.experts),
        residual=Bottleneck(KINDS, WIDTH["tiny"], torch.tensor([0.6, 0.4])).eval(),
        joined=Weighted(KINDS, PRIOR, np.array([0.25, 0.75])),
        share=1 / 3,
        temperatures=replace(first, before=first),
        outside=replace(fitted.outside, guards=guards, silent={"note": "too few to tell"}),
    )


def test_every_part_is_on(model: Model) -> None:
    """Whoever adds a part to a model turns it on here, so that the laws below hold for it."""
    off = [
        f.name for f in fields(Model) if f.default is not MISSING and getattr(model, f.name) in (f.default, None, 0.0)
    ]
    assert set(off) == MADE_WHERE_IT_RUNS
    for part in fields(Guard):
        assert any(getattr(guard, part.name) for guard in model.outside.guards.values()), part.name


def test_what_is_loaded_is_saved_to_the_byte_and_loaded_again_to_the_bit(model: Model, tmp_path: Path) -> None:
    model_hash = save_model(model, tmp_path / "one")
    once, _ = load_model(tmp_path / "one")
    assert save_model(once, tmp_path / "two") == model_hash
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    twice, _ = load_model(tmp_path / "two")
    assert list(_differences(once, twice)) == []


def test_what_is_loaded_is_what_was_fitted_but_for_a_few_roundings(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    loaded, _ = load_model(tmp_path)
    assert [place for place in _differences(model, loaded) if not place.startswith(ROUNDED)] == []
    assert list(_differences(model, loaded, close=True)) == []


def test_answering_changes_nothing_that_is_kept(model: Model, tmp_path: Path) -> None:
    model_hash = save_model(model, tmp_path / "one")
    loaded, _ = load_model(tmp_path / "one")
    predict_cases(loaded, model_hash, made.prepared(KINDS, 12, seed=5))
    assert save_model(loaded, tmp_path / "two") == model_hash


def test_another_process_with_another_order_of_sets_writes_the_same(model: Model, tmp_path: Path) -> None:
    model_hash = save_model(model, tmp_path / "one")
    command = [sys.executable, "-c", AGAIN, str(tmp_path / "one"), str(tmp_path / "two")]
    told = subprocess.run(  # noqa: S603 - our own interpreter
        command, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == [model_hash]


def _differences(one: Any, two: Any, place: str = "model", *, close: bool = False) -> Iterator[str]:  # noqa: ANN401 - any part
    """Places where two models are not the same: in dtype, order, or any bit; `close`: or by more than a rounding."""
    if isinstance(one, nn.Module):
        one, two = ({k: t.numpy() for k, t in net.state_dict().items()} for net in (one, two))
    if is_dataclass(one):
        one, two = ({f.name: getattr(each, f.name) for f in fields(one)} for each in (one, two))
    if hasattr(one, "recipe"):  # a prep
        one, two = one.recipe, two.recipe
    if isinstance(one, np.ndarray):
        rounded = close and one.dtype == two.dtype and np.allclose(one, two, rtol=1e-6, atol=1e-6)
        if not rounded and (one.dtype, one.shape, one.tobytes()) != (two.dtype, two.shape, two.tobytes()):
            yield f"{place}: {one.dtype}{one.shape} {two.dtype}{two.shape}"
    elif isinstance(one, Mapping) and set(one) == set(two):
        for key in one:
            yield from _differences(one[key], two[key], f"{place}.{key}", close=close)
    elif isinstance(one, list | tuple) and len(one) == len(two):
        for number, pair in enumerate(zip(one, two, strict=True)):
            yield from _differences(*pair, f"{place}.{number}", close=close)
    elif one != two:
        yield f"{place}: {one} {two}"
