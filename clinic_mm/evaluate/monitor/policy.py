"""What is watched, how sure an alarm must be, and which alarm hides what: schemas/monitor.toml, checked.

In:  the table that travels with the package, or one of the operator's. Out: a frozen Policy.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from clinic_mm.bundle import folder
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.types import Frozen

About = Literal["modality", "pattern", "all"]
Hide = Literal["nothing", "modality", "pattern", "all"]
Positive = Annotated[float, Field(gt=0)]
SEE: Final = "See schemas/monitor.toml for one that is right"


class Budget(Frozen):
    """How many cases pass between two false alarms of all detectors together, and who gets which part of it."""

    cases_between_false_alarms: int = Field(ge=1000)
    share: Mapping[Literal["modality", "pattern", "outcome"], Positive]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.share.values()) - 1) > 1e-9:
            raise ValueError("the shares of the budget must sum to 1")
        return self


class ReferencePolicy(Frozen):
    """What a reference must have, and when a patient counts again."""

    fewest_cases: int = Field(ge=50)
    fewest_of_score: int = Field(ge=20)
    seen_again_after_days: float = Field(ge=0)


class DriftPolicy(Frozen):
    """What is bet on, in standard deviations of the reference."""

    shifts: tuple[Positive, ...] = Field(min_length=1)
    spreads: tuple[Positive, ...]


class CalibrationPolicy(Frozen):
    """Errors in log-odds that are borne, and those beyond that are bet on."""

    tolerance: float = Field(ge=0)
    slope_tolerance: float = Field(ge=1)
    bets: tuple[Positive, ...] = Field(min_length=1)
    slope_bet: float = Field(gt=1)
    fewest_outcomes: int = Field(ge=1)


class CoveragePolicy(Frozen):
    """Shares of misses beyond the promised one that are borne, and those beyond that are bet on."""

    tolerance: float = Field(ge=0)
    bets: tuple[Positive, ...] = Field(min_length=1)


class OutcomePolicy(Frozen):
    """How old a case must be before its outcome is judged."""

    wait_days: float = Field(ge=0)


class Rule(Frozen):
    """Which alarms hide what, what is said, and what to do. `{name}` in `say` is the modality or the pattern."""

    about: About
    what: tuple[str, ...]
    hide: Hide
    say: str
    mend: str

    def fits(self, about: About, what: str) -> bool:
        """Whether the rule decides for an alarm; `axis 2` is of the kind `axis`."""
        return self.about == about and ("*" in self.what or what in self.what or what.partition(" ")[0] in self.what)


class Policy(Frozen):
    """All of schemas/monitor.toml."""

    budget: Budget
    reference: ReferencePolicy
    drift: DriftPolicy
    calibration: CalibrationPolicy
    coverage: CoveragePolicy
    outcomes: OutcomePolicy
    rule: tuple[Rule, ...] = Field(min_length=1)

    def rule_of(self, about: About, what: str) -> Rule | None:
        """The first rule that fits."""
        return next((rule for rule in self.rule if rule.fits(about, what)), None)


def read_policy(path: Path | None = None) -> Policy:
    """The policy of the package, or of a file.

    Raises:
        TaskError: If the file is not there, or is wrong.
    """
    found = folder("schemas") / "monitor.toml" if path is None else path
    return fitted(Policy, read_toml(found, "monitoring policy", SEE), str(found), SEE)
