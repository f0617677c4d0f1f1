"""Inside records and notes: what was planted is found, shares sum up, values and places are the patient's own."""

import json
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.encoders.base import make_encoder
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.within.asked import Asked, Why
from clinic_mm.predict.within.note import note_within
from clinic_mm.predict.within.record import record_within
from clinic_mm.predict.within.told import Within
from clinic_mm.prep.base import Prep, make_prep
from clinic_mm.prep.note import hashed, words_of
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import NoteText, PatientRecord, Signal
from clinic_mm.simulate.note import COMPLAINTS, GRADES, render
from clinic_mm.simulate.record import LABS
from clinic_mm.task import ModalityTask
from clinic_mm.training.heads import fit_ridge, fit_trees
from clinic_mm.types import CaseRecord, Evidence
from tests import made

PLANTED = {f"loinc:{lab.loinc}" for lab in LABS if lab.sign}
N, LEARNT = 260, 200
NOTES, NOTES_LEARNT, PLACES = 460, 360, 1024


def record_of(v: float, rng: np.random.Generator) -> PatientRecord:
    """Eight laboratory values as the simulator draws them, four of which carry v; each may be missing."""
    rows = []
    for hours in (20.0, 2.0):
        for lab in LABS:
            noise = (0.6 if lab.sign else 1.0) * rng.normal()
            if rng.random() > 0.1:
                value = round(lab.middle + lab.spread * (lab.sign * v + noise), lab.digits)
                when = made.DECISION - timedelta(hours=hours)
                rows.append(("observation", f"loinc:{lab.loinc}", value, "", lab.unit, when))
    return made.facts(("demographic", "sex", np.nan, str(rng.choice(["male", "female"])), "", None), *rows)


@cache
def drawn(n: int = N) -> tuple[Array, Array]:
    """Classes and the planted value, clearer than in `clinic-mm simulate`, where a note alone is never sure."""
    rng = np.random.default_rng(2)
    y = (rng.random(n) < 0.5).astype(int)
    return y, np.where(y == 1, 1.0, -1.0) + rng.normal(size=n)


@cache
def records() -> tuple[RecordPrep, tuple[PatientRecord, ...]]:
    rng = np.random.default_rng(3)
    kept = tuple(record_of(float(v), rng) for v in drawn()[1])
    return RecordPrep.plan("tiny", ModalityTask(kind="record")).fit((one, made.DECISION) for one in kept), kept


@cache
def texts() -> tuple[str, ...]:
    rng = np.random.default_rng(4)
    return tuple(render(float(v), rng) for v in drawn(NOTES)[1])


def case(evidence: Evidence | None = None) -> CaseRecord:
    found = {} if evidence is None else {evidence.modality: (evidence,)}
    return CaseRecord(case_key="c", patient_key="p", decision_time=made.DECISION, evidence=found)


def asked_records(expert: Expert, rows: Array, *, occlude: bool = False) -> Asked:
    prep, kept = records()
    prepared = [prep(kept[k], made.DECISION) for k in rows]
    evidence = Evidence(modality="record", root="r", paths=("x",), content_hash="0" * 64, until=made.DECISION)
    x, plain = (np.stack([getattr(p, part) for p in prepared]) for part in ("x", "plain"))
    cases = [case(evidence)] * len(rows)
    return Asked("record", expert, prep, cases, x, plain, np.ones(len(rows), int), Why({}, occlude=occlude))


@cache
def record_expert(how: str) -> Expert:
    prep, kept = records()
    plain = np.stack([prep(one, made.DECISION).plain for one in kept[:LEARNT]])
    fit = fit_ridge if how == "plain ridge" else fit_trees
    return Expert("record", "record", how, fit(plain, drawn()[0][:LEARNT], 2, seed=0), None)


@cache
def note_expert() -> tuple[Prep[Signal], Expert]:
    prep = make_prep("note", {"places": PLACES})
    x = np.stack([hashed(text, PLACES) for text in texts()[:NOTES_LEARNT]])
    return prep, Expert("note", "note", "plain ridge", fit_ridge(x, drawn(NOTES)[0][:NOTES_LEARNT], 2, seed=0), None)


def asked_notes(folder: Path, rows: Array, expert: Expert | None = None, *, occlude: bool = False) -> Asked:
    prep, fitted = note_expert()
    cases = []
    for k in rows:
        (folder / f"{k}.txt").write_text(texts()[k])
        cases.append(case(Evidence(modality="note", root="n", paths=(f"{k}.txt",), content_hash=f"{k:064d}")))
    x = np.stack([prep(NoteText(texts()[k])).x for k in rows])
    why = Why({"n": folder}, occlude=occlude)
    return Asked("note", expert or fitted, prep, cases, x, x, np.ones(len(rows), int), why)


def check_sum(told: Within) -> None:
    listed = sum(f.share for f in told.features) + sum(w.share for w in told.words)
    assert abs(told.baseline + listed + told.rest - told.opinion) < 1e-6


@pytest.mark.parametrize("how", ["plain ridge", "plain trees"])
def test_the_planted_laboratory_values_lead_where_the_expert_is_sure(how: str) -> None:
    asked = asked_records(record_expert(how), np.arange(LEARNT, N))
    sure = asked.expert.head.predict(asked.plain)[:, 1] >= 0.8  # type: ignore[union-attr]
    found = [max(one.features, key=lambda f: f.share).code in PLANTED for one in record_within(asked) if one]
    assert sure.sum() >= 8
    assert np.mean(np.array(found)[sure]) >= 0.9


@pytest.mark.parametrize("how", ["plain ridge", "plain trees"])
def test_a_line_is_the_patients_own_last_value_and_all_lines_make_the_opinion(how: str) -> None:
    asked = asked_records(record_expert(how), np.arange(LEARNT, LEARNT + 6))
    said = asked.expert.head.predict(asked.plain)  # type: ignore[union-attr]
    for k, told in enumerate(record_within(asked)):
        assert told is not None
        check_sum(told)
        assert told.opinion == pytest.approx(np.log(said[k, 1] / said[k, 0]), abs=1e-6)
        assert len({f.code for f in told.features}) == len(told.features), "one line a code"
        rows = records()[1][LEARNT + k].rows
        for line in told.features:
            mine = rows[rows["code"] == line.code]
            if line.code == "sex":
                assert line.text == mine["text"].iloc[0]
            elif mine.empty:
                assert (line.value, line.text) == (None, "not measured")
            else:
                last = mine.iloc[-1]
                assert (line.value, line.unit) == (pytest.approx(last["value"], rel=1e-5), last["unit"])
                assert line.time == last["time"].to_pydatetime()


def test_a_network_is_explained_only_on_demand_and_by_leaving_out() -> None:
    prep, _ = records()
    expert = Expert("record", "record", "network", None, make_encoder("record", prep.shape, 2, "tiny").eval())
    assert record_within(asked_records(expert, np.arange(2))) == [None, None]
    asked = asked_records(expert, np.arange(2), occlude=True)
    for k, told in enumerate(record_within(asked)):
        assert told is not None
        assert told.way == "occlusion"
        check_sum(told)
        first = told.features[0]
        hidden = asked.x[[k]].copy()
        hidden[0, [f.code == first.code for f in prep.features]] = np.nan
        without = asked.opinion(k, hidden, asked.plain[[k]])[0]
        assert first.share == pytest.approx(told.opinion - without, abs=1e-5)


def test_the_planted_phrases_are_marked_where_the_expert_is_sure(tmp_path: Path) -> None:
    rows = np.arange(NOTES_LEARNT, NOTES)
    asked = asked_notes(tmp_path, rows)
    sure = asked.expert.head.predict(asked.plain)[:, 1] >= 0.8  # type: ignore[union-attr]
    planted = {*COMPLAINTS, *(word for pair in GRADES for word in pair)}
    found = []
    for k, told in zip(rows, note_within(asked), strict=True):
        assert told is not None
        check_sum(told)
        top = max(told.words, key=lambda w: w.share)
        found.append(texts()[k][top.start : top.end].lower() in planted)
    assert sure.sum() >= 8
    assert np.mean(np.array(found)[sure]) >= 0.9


def test_a_prediction_keeps_places_of_words_and_never_a_word(tmp_path: Path) -> None:
    (told,) = note_within(asked_notes(tmp_path, np.array([200])))
    assert told is not None
    stored = json.dumps(told.model_dump(mode="json"))
    assert all(word not in stored for word in texts()[200].lower().split() if len(word) > 6)


def test_another_text_than_the_one_prepared_is_not_marked(tmp_path: Path) -> None:
    asked = asked_notes(tmp_path, np.array([200, 201]))
    (tmp_path / "200.txt").write_text(texts()[202])
    (tmp_path / "201.txt").unlink()
    assert note_within(asked) == [None, None]


def test_hashed_words_are_where_they_are_said_to_be() -> None:
    text = "Ärztliche Notiz: (severe)  pain_2 x. İstanbul"
    words = words_of(text, 64)
    assert [text[a:b] for a, b in words.span[:4]] == ["Ärztliche", "Notiz", "severe", "pain_2"]
    for k, (a, b) in enumerate(words.span[:4]):
        assert np.flatnonzero(hashed(text[a:b], 64)).tolist() == [words.one[k]]


def test_words_of_a_network_are_left_out_one_by_one_and_long_notes_by_their_sentences(tmp_path: Path) -> None:
    prep, _ = note_expert()
    network = Expert("note", "note", "network", None, make_encoder("note", prep.shape, 2, "tiny").eval())
    assert note_within(asked_notes(tmp_path, np.array([200]), network)) == [None]
    asked = asked_notes(tmp_path, np.array([200]), network, occlude=True)
    (told,) = note_within(asked)
    assert told is not None
    check_sum(told)
    word, text = told.words[0], texts()[200]
    x = prep(NoteText(text[: word.start] + " " + text[word.end :])).x[None]
    assert word.share == pytest.approx(told.opinion - asked.opinion(0, x, x)[0], abs=1e-5)

    long = " ".join(texts()[:12])
    (tmp_path / "200.txt").write_text(long)
    x = prep(NoteText(long)).x[None]
    (told,) = note_within(replace(asked, x=x, plain=x))
    assert told is not None
    check_sum(told)
    assert 0 < len(told.words) <= 24
