import pytest
from pydantic import ValidationError

from clinic_mm.report.signed import UNSIGNED, Signed
from tests.report.acts import ACTS, FINAL, SIGNED_AT


@pytest.mark.parametrize(
    "given",
    [
        {"state": "final"},
        {"state": "final", "signer": "u1", "signed_at": SIGNED_AT},
        {"signer": "u1", "signed_at": SIGNED_AT, "verdict": "positive"},
        {"act": "override", "verdict": "positive"},
        {"state": "amended", "verdict": "positive", "signer": "u1", "signed_at": SIGNED_AT},
        {"amendment_reason": "because"},
        {"before": FINAL},
    ],
)
def test_acts_that_contradict_themselves_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Signed.model_validate(given)


def test_acts_survive_json_and_each_has_its_own_hash() -> None:
    assert all(Signed.model_validate_json(one.model_dump_json()) == one for one in ACTS.values())
    assert len({one.acts_hash for one in ACTS.values()}) == len(ACTS)
    assert UNSIGNED.state == "preliminary"
