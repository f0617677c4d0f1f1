"""The bank: what the training cases were answered, out of fold, with and without each test. PATIENT-DERIVED.

In:  the out-of-fold calibrated answers to every subset of what each training case has, from second-level fitting.
Out: `Bank`, from which advice (`predict.advise`) and similar cases (`predict.similar`) are drawn; to and from the file
of an artifact.

It holds probabilities, presence, the class and a hashed pseudonym per case: no signal, no summary of one, no name.
Still it says of single patients what they had and were: keep it where the cohort may be kept, or take the file out of
the artifact, which works without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray as Array
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from clinic_mm.predict.seen import patient_hash

BANK: Final = "bank.safetensors"
MOST_CASES: Final = 5000
"""Cases kept; of more a sample is drawn by seed."""
MOST_MODALITIES: Final = 8
"""Beyond, not every subset of a case is answered while fitting, and no bank is kept."""
HASH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Usual:
    """What a test did to the training patients that had it and something else: the base rate of advice.

    Attributes:
        n: Training cases behind it.
        flips: Share in which the decision without it differs from the decision with it.
        gain: Mean information gained, in nats.
    """

    n: int
    flips: float
    gain: float


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Training cases as the model answered them out of fold; equal to itself alone, so that it can key a cache.

    Attributes:
        names: Modalities, in the order of the columns and of the bits of a subset's code.
        n_cases: Training cases that these were drawn from.
        patients: Hashed pseudonym of each case.
        labels: Class of each case.
        present: Which modality each case has.
        answers: Calibrated out-of-fold probabilities of each case for each subset, by code: the sum of 2^column. Code 0
            is the prior; NaN where the case does not have the subset.
        usual: What each test usually does.
    """

    names: tuple[str, ...]
    n_cases: int
    patients: tuple[str, ...]
    labels: Int[Array, " n"]
    present: Bool[Array, "n M"]
    answers: Float32[Array, "n k C"]
    usual: Mapping[str, Usual]

    def __len__(self) -> int:
        return len(self.patients)


def codes_of(present: Bool[Array, "n M"]) -> Int[Array, " n"]:
    """The code of each subset: the sum of 2^column over what is in it."""
    codes: Array = present.astype(np.int64) @ (1 << np.arange(present.shape[1]))
    return codes


def information(after: Float[Array, "... C"], before: Float[Array, "... C"]) -> Float[Array, "..."]:
    """Information gained by going from one calibrated answer to another: KL(after || before), in nats.

    Its mean over what a test may show is the expected fall of the log loss, if the later answer is calibrated.
    Source: Lindley, doi:10.1214/aoms/1177728069.
    """
    later, earlier = np.clip(after, 1e-9, 1.0), np.clip(before, 1e-9, 1.0)
    gained: Array = (later * (np.log(later) - np.log(earlier))).sum(axis=-1)
    return gained


def make_bank(
    names: tuple[str, ...],
    prior: Float[Array, " C"],
    case: Int[Array, " r"],
    subset: Bool[Array, "r M"],
    probabilities: Float[Array, "r C"],
    present: Bool[Array, "n M"],
    labels: Int[Array, " n"],
    patients: Array,
    *,
    seed: int = 0,
) -> Bank | None:
    """The bank from second-level rows; None beyond eight modalities.

    Args:
        names: Modalities, in the order of the columns.
        prior: Class prior.
        case: Case of each row.
        subset: What spoke in it.
        probabilities: Calibrated answer of parts that did not see the case.
        present: What each case has.
        labels: Class of each case.
        patients: Pseudonym of each case.
        seed: Of the sample, where there are more than 5,000 cases.
    """
    if len(names) > MOST_MODALITIES:
        return None
    answers = np.full((len(labels), 2 ** len(names), len(prior)), np.nan, dtype=np.float32)
    answers[case, codes_of(subset)] = probabilities
    answers[:, 0] = prior
    usual = {name: _usual(answers, present, column) for column, name in enumerate(names)}
    kept = np.flatnonzero(present.any(axis=1))
    if len(kept) > MOST_CASES:
        kept = np.sort(np.random.default_rng(seed).choice(kept, MOST_CASES, replace=False))
    hashed = tuple(patient_hash(str(patient)) for patient in patients[kept])
    return Bank(names, len(labels), hashed, labels[kept], present[kept], answers[kept], usual)


def answered_again(bank: Bank, answers: Float32[Array, "n k C"]) -> Bank:
    """The same cases with the answers of another calibration."""
    usual = {name: _usual(answers, bank.present, column) for column, name in enumerate(bank.names)}
    return replace(bank, answers=answers, usual=usual)


def _usual(answers: Float32[Array, "n k C"], present: Bool[Array, "n M"], column: int) -> Usual:
    rows = np.flatnonzero(present[:, column] & (present.sum(axis=1) > 1))
    if not len(rows):
        return Usual(0, 0.0, 0.0)
    codes = codes_of(present[rows])
    after, before = answers[rows, codes].astype(float), answers[rows, codes - (1 << column)].astype(float)
    flips = after.argmax(axis=1) != before.argmax(axis=1)
    return Usual(len(rows), float(flips.mean()), float(information(after, before).mean()))


def bank_bytes(bank: Bank) -> bytes:
    """The file of an artifact that holds the bank: numbers only."""
    hashed = np.frombuffer(bytes.fromhex("".join(bank.patients)), np.uint8).reshape(-1, HASH_BYTES)
    usual = np.array([[u.n, u.flips, u.gain] for u in (bank.usual[name] for name in bank.names)])
    arrays = {
        "answers": bank.answers,
        "labels": bank.labels.astype(np.int32),
        "n_cases": np.array([bank.n_cases], np.int64),
        "patients_sha256": hashed,
        "present": bank.present,
        "usual": usual,
    }
    return save_arrays({key: np.ascontiguousarray(a) for key, a in arrays.items()})


def bank_from(content: bytes, names: tuple[str, ...]) -> Bank:
    """The bank of an artifact whose modalities are these."""
    arrays = load_arrays(content)
    return Bank(
        names=names,
        n_cases=int(arrays["n_cases"][0]),
        patients=tuple(row.tobytes().hex() for row in arrays["patients_sha256"]),
        labels=arrays["labels"].astype(np.int64),
        present=arrays["present"],
        answers=arrays["answers"],
        usual={
            name: Usual(int(n), float(flips), float(gain))
            for name, (n, flips, gain) in zip(names, arrays["usual"], strict=True)
        },
    )
