"""A key and a policy for tests."""

import pytest

from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import Known
from clinic_mm.deid.policy import Policy, read_policy


@pytest.fixture
def ring() -> Keyring:
    return Keyring(b"k" * 32)


@pytest.fixture
def policy() -> Policy:
    return read_policy()


@pytest.fixture
def known(policy: Policy) -> Known:
    return Known(policy.lists["note"]["ordinary"])
