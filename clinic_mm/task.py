"""The task file: what is asked of a cohort, in TOML, checked before anything is computed.

In:  a path, or a mapping. Out: a frozen `Task`. Every mistake gets an error that names the mend.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, JsonValue, model_validator

from clinic_mm.errors import TaskError
from clinic_mm.modalities import modality
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.types import SCHEMA_VERSION, Frozen

SEE_DOCS: Final = "See docs/task_file.md"
RESERVED_KINDS = ("multilabel", "regression", "survival")
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
"""A modality's name: patterns join names with +, and artifacts put them before a /."""
TAKEN: Final = frozenset({"all", "concat", "residual"})
"""Names that figures and artifacts use for something else."""


class DecisionTime(Frozen):
    """When the answer is due: a time column of the labels, plus an offset (event + offset)."""

    column: str = "decision_time"
    offset_h: float = 0.0


class ModalityTask(Frozen):
    """One modality of a task: a kind from the table, and what that kind lets a task choose.

    `codes`: what a record is made of (all if empty). `text_model`: folder of a local transformer for notes.
    `montage`: of an EEG (average if empty), one of `schemas/eeg_montages.toml`.
    `summaries`: what a record's numbers are summarised by beside last, mean, min, max, count and age.
    `sound`: what a recorded sound is of (any if empty), one of `schemas/audio.toml`.
    `options`: what the rows of other packages let a task choose; their prep checks them.
    """

    kind: str
    codes: tuple[str, ...] = ()
    text_model: str = ""
    montage: str = ""
    summaries: tuple[Literal["trend", "range"], ...] = ()
    sound: str = ""
    options: dict[str, JsonValue] = Field(default_factory=dict)


class FusionTask(Frozen):
    """How modalities are joined.

    `method`: a name of `schemas/methods.toml`; "default" is experts, pool and residual (METHODS §2).
    `learning`: what a fusion network reads: plain summaries (feature), what separately fitted models say (model), or
    the tensors themselves, with encoders that learn together (joint).
    `colearning`: bridges and loss terms beside the method's own.
    `dropout`: of modalities, over all subsets, while a network is trained.
    """

    method: str = "default"
    learning: Literal["feature", "model", "joint"] = "feature"
    colearning: tuple[str, ...] = ()
    dropout: bool = True


class OutsideTask(Frozen):
    """What becomes of an input unlike those that the model learnt from.

    `then`: it is rejected, and the answer rests on the rest; or it is flagged, and speaks all the same.
    `false_alarms`: share of good inputs of each modality that may be taken for foreign.
    """

    then: Literal["reject", "flag"] = "reject"
    false_alarms: float = Field(default=0.03, gt=0, le=0.05)


class SetsTask(Frozen):
    """How prediction sets are made; the share of patients they hold the truth for is the task's `level`.

    `class_conditional`: the level is kept among the patients of every class, not only on the whole.
    `guarantee`: thresholds from out-of-fold answers (approximate), or from 20 % of the patients, held out of all
    fitting (split).
    `shift`: whether a new cohort's sets are weighted by how much likelier each training case is there than in training.
    """

    class_conditional: bool = False
    guarantee: Literal["approximate", "split"] = "approximate"
    shift: Literal["none", "weighted"] = "none"


class AbstainTask(Frozen):
    """When no answer is given, beside where no modality spoke, or answers were never better than the prior.

    `fewest`: training patients who must have had all modalities of a case, for it to be answered.
    `contradiction`: share of training cases whose experts contradict each other most; as much in a new case leaves it
    without an answer, if out-of-fold answers to such cases were worse than the others. 0: never.
    `answers`: share of training cases that would be answered; the least sure ones would not. 1: all.
    `whole_set`: whether a prediction set that holds every class is no answer.
    """

    fewest: int = Field(default=5, ge=0)
    contradiction: float = Field(default=0.02, ge=0, le=0.5)
    answers: float = Field(default=1.0, gt=0, le=1)
    whole_set: bool = False


class AdviceTask(Frozen):
    """What is kept for advice on further tests.

    `bank`: whether the artifact keeps a patient-derived file of what training cases were answered; advice needs it.
    """

    bank: bool = True


class Budget(Frozen):
    """How the networks train. `None` means the default of the size.

    `patience`: encoders keep 15 % of their patients aside, look ten times how those fare, stop after so many looks
    without a gain, and take the weights that served them best; None: all patients are learnt from, to the end.
    `precision`: of the arithmetic inside encoders while they train (autocast); weights are float32 either way.
    """

    epochs: int | None = Field(default=None, ge=0)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    threads: int = Field(default=2, ge=1)
    patience: int | None = Field(default=None, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"


class Task(Frozen):
    """A whole task. See `docs/task_file.md` for an annotated example."""

    schema_version: str = SCHEMA_VERSION
    target: str
    kind: Literal["binary", "multiclass"] = "binary"
    classes: tuple[str, ...] = ("negative", "positive")
    modalities: tuple[str, ...]
    modality: dict[str, ModalityTask] = Field(default_factory=dict)
    decision_time: DecisionTime = DecisionTime()
    select: Literal["latest", "first"] = "latest"
    size: Literal["tiny", "small", "base"] = "tiny"
    seed: int = 0
    folds: int = Field(default=3, ge=2)
    level: float = Field(default=0.9, gt=0.5, lt=1.0)
    fusion: FusionTask = FusionTask()
    train: Budget = Budget()
    sets: SetsTask = SetsTask()
    outside: OutsideTask = OutsideTask()
    abstain: AbstainTask = AbstainTask()
    advice: AdviceTask = AdviceTask()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.modalities) < 1 or len(set(self.modalities)) != len(self.modalities):
            raise TaskError(
                "A task needs modalities, each named once", "modalities", 'Write modalities = ["ct", "eeg"]'
            )
        for name in self.modalities:
            if name in TAKEN or not NAME.fullmatch(name):
                mend = f"Use letters, digits, _ . and -; taken are {', '.join(sorted(TAKEN))}"
                raise TaskError(f"{name!r} cannot be the name of a modality", "modalities", mend)
            modality(self.kind_of(name))
        if unused := set(self.modality) - set(self.modalities):
            mend = "Add them to modalities, or leave the tables out"
            raise TaskError(f"Tables for modalities that are not used: {sorted(unused)}", "modality", mend)
        if len(self.classes) < 2 or (self.kind == "binary" and len(self.classes) != 2):
            raise TaskError("The classes do not fit the kind", "classes", "Binary has two, multiclass two or more")
        if self.schema_version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            mend = f'Write schema_version = "{SCHEMA_VERSION}"'
            raise TaskError(f"A task of the unknown version {self.schema_version!r}", "schema_version", mend)
        return self

    def kind_of(self, name: str) -> str:
        """The row of the modality table that a modality of this task is read by."""
        return self.modality[name].kind if name in self.modality else name

    def options(self, name: str) -> ModalityTask:
        """What the task says of one modality, the defaults where it says nothing."""
        return self.modality.get(name) or ModalityTask(kind=name)


def parse_task(given: Mapping[str, object], where: str = "task") -> Task:
    """Check a mapping and freeze it.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    if given.get("kind") in RESERVED_KINDS:
        raise TaskError(
            f"Kind {given['kind']!r} is reserved, not built yet", f"{where} / kind", "Use binary or multiclass"
        )
    return fitted(Task, given, where, SEE_DOCS)


def read_task(path: Path) -> Task:
    """Read a task file.

    Raises:
        TaskError: If the file is absent, not TOML, or not a task.
    """
    return parse_task(read_toml(path, "task file", SEE_DOCS), str(path))
