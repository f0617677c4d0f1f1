"""The bank of an artifact, from the second level: what each training case was answered by parts that did not see it."""

from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.predict.bank import Bank, make_bank
from clinic_mm.task import Task
from clinic_mm.training.secondlevel import Table


def fit_bank(table: Table, probabilities: Float[Array, "r C"], task: Task) -> Bank | None:
    """The bank; None where the task wants none, or beyond eight modalities.

    Args:
        table: Second-level rows.
        probabilities: Of each row, calibrated and out of fold.
        task: What is asked.
    """
    if not task.advice.bank:
        return None
    rows = table.rows
    return make_bank(
        table.names,
        table.prior,
        rows.case,
        rows.present,
        probabilities,
        table.present,
        table.labels,
        table.patients,
        seed=task.seed,
    )
