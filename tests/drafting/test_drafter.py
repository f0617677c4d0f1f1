"""A drafter finds what there is to find, rests on what is present alone, and is kept bit by bit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clinic_mm.drafting.bank import nearest, similarities
from clinic_mm.drafting.choose import Slots, choose
from clinic_mm.drafting.decoder import Decoder
from clinic_mm.drafting.draft import METHODS, Draft, Method
from clinic_mm.drafting.drafter import Drafter, write_drafts
from clinic_mm.drafting.findings import mentions
from clinic_mm.drafting.folder import PATIENT_DERIVED, load_drafter, save_drafter
from clinic_mm.errors import ArtifactError, TaskError
from clinic_mm.evaluate.text import text_table
from clinic_mm.prep.batch import PreparedCases
from clinic_mm.training.drafts import FEWEST_PATIENTS, fit_drafter
from clinic_mm.training.near import best_neighbours, fit_near
from tests.drafting.made import SUMMARIES, TASK, made_cases, made_drafter

Drafts = list[dict[Method, Draft]]


def _write(prepared: PreparedCases, drafter: Drafter | None = None) -> Drafts:
    return write_drafts(drafter or made_drafter(), "0" * 64, prepared, METHODS)


def _changed(prepared: PreparedCases, plain: Mapping[str, np.ndarray], present: np.ndarray) -> PreparedCases:
    return replace(prepared, plain=dict(plain), present=present)


def test_both_methods_say_what_the_evidence_foretells_and_the_baseline_cannot() -> None:
    prepared, notes, _ = made_cases(30, seed=1)
    texts = {m: [some[m].text for some in _write(prepared)] for m in METHODS}
    table = text_table(texts, notes, prepared.patients.tolist(), baseline="most_frequent", n=200)
    scores = table.set_index(["metric", "method"]).loc["finding_f1"]
    assert (scores.loc[["decoder", "retrieval"], ["gain_low", "own_low"]] > 0.2).all(axis=None)
    assert abs(scores.loc["most_frequent", "own"]) < 0.05
    assert made_drafter().facts["evidence_helps"]


def test_evidence_that_tells_nothing_leaves_what_notes_mostly_say() -> None:
    _, notes, _ = made_cases(80)
    rng = np.random.default_rng(5)
    patients = np.array([f"p{i}" for i in range(80)])
    near = fit_near({"xray": rng.standard_normal((80, 6))}, rng.standard_normal((80, 3)), patients, seed=0)
    assert max(near.foretold["xray"]) < 0.05
    bank = made_drafter().bank
    assert bank is not None
    shuffled = replace(bank, u={name: rng.permutation(u) for name, u in bank.u.items()})
    assert best_neighbours(shuffled) == len(bank) > best_neighbours(bank)
    assert notes


@pytest.mark.parametrize("junk", [0.0, 1e9, float("nan")])
def test_what_stands_in_an_absent_modality_changes_nothing(junk: float) -> None:
    prepared, _, _ = made_cases(4, seed=2)
    present = prepared.present.copy()
    present[:, 1] = False
    absent = np.full_like(prepared.plain["labs"], np.nan)
    clean = _changed(prepared, {**prepared.plain, "labs": absent}, present)
    drafter = made_drafter()
    u = {name: torch.from_numpy(rows) for name, rows in drafter.coordinates(clean.plain).items()}
    before = drafter.decoder.context(u, torch.from_numpy(present))
    u["labs"] = torch.full_like(u["labs"], junk)
    assert torch.equal(drafter.decoder.context(u, torch.from_numpy(present)), before)
    assert all(some["retrieval"].rests_on == ("xray",) for some in _write(clean) if some)


def test_a_case_without_evidence_gets_no_draft_and_one_alone_the_same_as_among_many() -> None:
    prepared, _, _ = made_cases(4, seed=3)
    present = prepared.present.copy()
    present[2] = False
    plain = {name: np.where(present[:, [c]], prepared.plain[name], np.nan) for c, name in enumerate(SUMMARIES)}
    among = _write(_changed(prepared, plain, present))
    assert among[2] == {}
    alone = PreparedCases(
        prepared.cases[:1], prepared.names, prepared.x, {n: r[:1] for n, r in prepared.row.items()},
        {n: p[:1] for n, p in plain.items()}, present[:1], prepared.time_h[:1], prepared.outcomes[:1],
    )  # fmt: skip
    assert {m: one.content_hash for m, one in _write(alone)[0].items()} == {
        m: one.content_hash for m, one in among[0].items()
    }


def test_a_draft_says_each_finding_once_and_names_cases_that_say_the_same() -> None:
    prepared, _, _ = made_cases(6, seed=4)
    bank = made_drafter().bank
    assert bank is not None
    notes = {key: {bank.sentences[s] for s in said} for key, said in zip(bank.case_keys, bank.said, strict=True)}
    for some in _write(prepared):
        for draft in some.values():
            said = [one.finding for one in mentions(draft.text)]
            assert len(said) == len(set(said)) > 0
            assert draft.draft is True
            assert draft.evidence is False
        near = {one.case_key for one in some["retrieval"].support}
        assert len(near) == 5
        for sentence in some["retrieval"].sentences:
            assert set(sentence.support) <= near
            told = mentions(sentence.text)
            for key in sentence.support if told else ():
                assert any(mentions(" ".join(one)) == told for one in notes[key])


def test_similarity_is_that_of_the_formula() -> None:
    bank = made_drafter().bank
    assert bank is not None
    prepared, _, _ = made_cases(5, seed=6)
    u = made_drafter().coordinates(prepared.plain)
    fast = similarities(bank, u)
    for q in range(5):
        asked = [name for name in SUMMARIES if np.isfinite(u[name][q]).all()]
        for case in range(0, len(bank), 7):
            shared = [name for name in asked if np.isfinite(bank.u[name][case]).all()]
            d = sum(((u[n][q].astype(float) - bank.u[n][case]) ** 2).sum() for n in shared) / max(1, len(shared))
            assert fast[q, case] == pytest.approx(len(shared) / len(asked) * np.exp(-d / 2), rel=1e-5)
    assert nearest(np.array([0.1, 0.0, 0.9, 0.9]), 4).tolist() == [2, 3, 0]


def test_votes_choose_once_and_never_against_themselves() -> None:
    no, mild, slight, walk = (
        ("no", "fever", "."),
        ("mild", "fever", "."),
        ("slight", "fever", "."),
        ("he", "walks", "."),
    )
    assert choose({no: 3.0, mild: 2.0, slight: 2.5, walk: 1.0}, Slots(3, 1)) == [slight, walk]
    assert choose({no: 3.0, walk: 1.0}, Slots(1, 0)) == [no]


def test_every_weight_learns_and_saving_twice_gives_the_same_hash(tmp_path: Path) -> None:
    decoder = Decoder(SUMMARIES, ["fever", "."])
    z = {name: torch.randn(3, size) for name, size in SUMMARIES.items()}
    context = decoder.context(z, torch.tensor([[True, False], [True, True], [False, False]]))
    log_p, _ = decoder(context, torch.tensor([[1, 4, 5]] * 3), decoder.begin(context))
    log_p[:, :, 2:].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())

    drafter = replace(made_drafter(), recipe=replace(made_drafter().recipe, preps={}))
    assert drafter.bank is not None
    with pytest.raises(ArtifactError):
        load_drafter(tmp_path)
    first = save_drafter(drafter, tmp_path)
    assert save_drafter(drafter, tmp_path) == first


def test_too_few_notes_are_not_learnt_from() -> None:
    prepared, notes, _ = made_cases(FEWEST_PATIENTS - 1)
    with pytest.raises(TaskError, match="fewer than 50"):
        fit_drafter(prepared, notes, made_drafter().recipe, TASK, k=5)


def test_nothing_of_a_rare_word_is_kept() -> None:
    prepared, notes, _ = made_cases()
    notes = [f"{note} Quillfeather came. MRN 4711 fever." if i < 4 else note for i, note in enumerate(notes)]
    rows = slice(0, 60)
    few = PreparedCases(
        prepared.cases[rows], prepared.names, prepared.x, prepared.row,
        {n: p[rows] for n, p in prepared.plain.items()}, prepared.present[rows], prepared.time_h[rows],
        prepared.outcomes[rows],
    )  # fmt: skip
    quick = TASK.model_copy(update={"train": TASK.train.model_copy(update={"epochs": 1})})
    drafter = fit_drafter(few, notes[rows], made_drafter().recipe, quick, k=5)
    assert drafter.bank is not None
    kept = {*drafter.lexicon.forms, *drafter.decoder.words, *(w for one in drafter.bank.sentences for w in one)}
    assert not {"quillfeather", "4711", "mrn", "came"} & kept
    assert set(PATIENT_DERIVED) == {"bank.json", "bank.safetensors"}
