"""One simulated case: the person, the times, and the hidden truth of every modality.

In:  seed, number of the case, world. Out: a `Case`, the same for the same seed and number, whatever the cohort.

Sex, age and site say nothing about the label. About 2 % of the cases have one more study after the decision time,
whose value follows the label closely: whoever lets it in shows an AUC above the limit.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from clinic_mm.simulate.latent import World, case_generator, draw_case
from clinic_mm.simulate.limit import log_odds

FIRST_DECISION: Final = datetime(2025, 1, 1, tzinfo=UTC)
LATE_SHARE: Final = 0.02
LATE_VALUE: Final = 2.5
"""v of a study after the decision time: + for positive cases, − for negative ones."""

SITES: Final = ("site-a", "site-b", "site-c")
SHARD_CASES: Final = 250
"""Cases per file of a table that all cases write to, as bulk exports are cut: no reader has to parse a whole cohort."""

DAYS_BEFORE: Final = {"ct": 3, "xray": 2, "eeg": 4, "record": 3, "note": 1}
"""Evidence is at most this many days older than the decision, and at least 20 minutes."""
DAYS_BEFORE_ADDED: Final = {"ecg": 2, "eye": 4, "omics": 4, "audio": 2}
"""The same for what came in later: each draws from its own stream, so that all older draws stay what they were."""
NOT_FILES: Final = frozenset({"record", "note"})
"""Rows of a patient who has some already; all else may come a first time too late."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case, before rendering.

    Attributes:
        number: From 0.
        patient_id: `SIM-<seed>-<number>`, the same in every format.
        opaque: 12 hexadecimal digits that stand for the patient in file names.
        label: 0 or 1.
        e: Latent of each modality, absent ones too.
        v: What is rendered: e, or for notes the value of its level.
        present: Modalities that were acquired before the decision.
        log_odds: The best possible score: the generator's own, given what is present.
        acquired: When each modality was acquired, UTC.
        late: The modality with a study after the decision time, "" for none.
        late_at: When that study was acquired.
    """

    seed: int
    number: int
    patient_id: str
    opaque: str
    label: int
    sex: str
    birth_date: date
    age: int
    site: str
    decision_time: datetime
    e: dict[str, float]
    v: dict[str, float]
    present: tuple[str, ...]
    log_odds: float
    acquired: dict[str, datetime]
    late: str
    late_at: datetime

    def rng(self, modality: str) -> np.random.Generator:
        """The random numbers of this case's rendering of one modality."""
        return case_generator(self.seed, self.number, modality)


def make_case(world: World, *, seed: int, number: int) -> Case:
    """Draw one case."""
    hidden = draw_case(world, case_generator(seed, number, "latent"))
    present = tuple(m for m, there in zip(world.modalities, hidden.present[0], strict=True) if there)
    rng = case_generator(seed, number, "person")
    decision = FIRST_DECISION + timedelta(minutes=int(rng.integers(0, 365 * 24 * 60)))
    age = int(rng.integers(18, 90))
    acquired = {m: _acquired(decision, days, rng) for m, days in DAYS_BEFORE.items()}
    for m, days in DAYS_BEFORE_ADDED.items():
        acquired[m] = _acquired(decision, days, case_generator(seed, number, m).spawn(2)[1])
    patient_id = f"SIM-{seed}-{number:05d}"
    return Case(
        seed=seed,
        number=number,
        patient_id=patient_id,
        opaque=hashlib.blake2b(patient_id.encode(), digest_size=6).hexdigest(),
        label=int(hidden.y[0]),
        sex=("female", "male")[int(rng.integers(2))],
        birth_date=decision.date() - timedelta(days=int(age * 365.25) + 1 + int(rng.integers(0, 364))),
        age=age,
        site=SITES[int(rng.integers(len(SITES)))],
        decision_time=decision,
        e=dict(zip(world.modalities, hidden.e[0].tolist(), strict=True)),
        v=dict(zip(world.modalities, hidden.v[0].tolist(), strict=True)),
        present=present,
        log_odds=float(log_odds(world, hidden.v, hidden.present)[0]),
        acquired=acquired,
        late=_late(rng, world.modalities, present),
        late_at=decision + timedelta(minutes=int(rng.integers(120, 4320))),
    )


def _acquired(decision: datetime, days: int, rng: np.random.Generator) -> datetime:
    return decision - timedelta(minutes=int(rng.integers(20, days * 1440)))


def _late(rng: np.random.Generator, modalities: tuple[str, ...], present: tuple[str, ...]) -> str:
    """A modality to acquire again too late; records and notes only of patients who have them already."""
    candidates = [m for m in modalities if m in present or m not in NOT_FILES]
    chance, pick = rng.random(2)
    return candidates[int(pick * len(candidates))] if chance < LATE_SHARE else ""
