"""What a task file says of co-learning is checked before anything is fitted."""

import pytest

from clinic_mm.errors import TaskError
from clinic_mm.training.fit import fit_model
from tests import made

KINDS = ("record", "note")


@pytest.mark.parametrize(
    ("fusion", "said"),
    [
        ({"method": "gated", "colearning": ["distil"]}, "Did you mean 'distill'"),
        ({"method": "gatd"}, "Did you mean 'gated'"),
        ({"method": "average", "colearning": ["distill"]}, "has no network to learn together.*perceiver"),
        ({"colearning": ["distill"]}, "'default' has no network"),
    ],
)
def test_co_learning_that_cannot_be_is_refused_with_the_mend(fusion: dict[str, object], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        fit_model(made.prepared(KINDS, 4), made.recipe(KINDS), made.task(KINDS, fusion=fusion))
