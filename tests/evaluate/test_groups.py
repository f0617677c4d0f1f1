"""To which group a case belongs: from covariates first, then from its record; never guessed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clinic_mm.evaluate.groups import groups_of
from tests.conftest import Trained
from tests.made import case_record


class Rows:
    """Record rows of a cohort."""

    def __init__(self, *rows: tuple[str, str, float, str]) -> None:
        self.frame = pd.DataFrame(rows, columns=["patient_key", "code", "value", "text"]).assign(time=pd.NaT)

    def rows(self, _: str, columns: list[str]) -> pd.DataFrame:
        return self.frame[columns]


def told(covariates: dict[str, Any], *rows: tuple[str, str, float, str]) -> dict[str, str]:
    case = case_record(0, 1).model_copy(update={"covariates": covariates})
    found: dict[str, str] = groups_of(Rows(*rows), [case]).iloc[0].to_dict()  # type: ignore[arg-type]
    return found


def test_covariates_go_before_the_record_and_words_are_put_into_one_form() -> None:
    found = told({"Sex": "F", "age": 41, "site": "north"}, ("p000", "sex", np.nan, "male"))
    assert found == {"sex": "female", "age": "40 to 64", "site": "north", "language": ""}


def test_age_comes_from_the_birth_date_at_the_decision() -> None:
    assert told({}, ("p000", "birth_date", np.nan, "1961-03-02"))["age"] == "40 to 64"  # one day before the 65th
    assert told({}, ("p000", "birth_date", np.nan, "1961-02-27"))["age"] == "65 to 79"
    assert told({}, ("p000", "Age", 88.0, ""))["age"] == "80 and over"
    assert told({"age": 3})["age"] == "under 18"


@pytest.mark.parametrize("covariates", [{}, {"age": "old", "sex": ""}, {"age": -1, "sex": None}])
def test_what_nobody_says_is_unknown(covariates: dict[str, Any]) -> None:
    assert told(covariates, ("other", "sex", np.nan, "male")) == {"sex": "", "age": "", "site": "", "language": ""}


def test_a_simulated_cohort_has_sex_age_and_site(trained: Trained) -> None:
    from clinic_mm.cohort.manifest import open_cohort

    cohort = open_cohort(Path(trained.cohort))
    found = groups_of(cohort, cohort.cases("label"))
    assert set(found["sex"]) == {"male", "female"}
    assert (found["age"] != "").all()
    assert found["site"].nunique() > 1
