"""The model card: what a model is, what it was fitted on, what it was seen to do. Nothing in it is typed by hand."""

from math import isnan
from typing import Any, cast

from clinic_mm.predict.model import Model


def model_card(model: Model) -> str:
    """Markdown, from the artifact's own facts."""
    task, facts = model.task, cast("dict[str, Any]", dict(model.facts))
    simulated = bool(facts.get("simulated"))
    lines = [
        f"# Model card: {task.target}",
        "",
        "**Not a medical device.** For research and evaluation.",
        *(["", "**Trained on SIMULATED cases: what it says of a patient means nothing.**"] if simulated else []),
        "",
        f"- Kind: {task.kind}, classes {', '.join(task.classes)}",
        f"- Modalities: {', '.join(task.modalities)}; any subset may be missing",
        f"- Fitted on {facts['n_cases']} cases of {facts['n_patients']} patients: {_pairs(facts['classes'])}",
        f"- Size {task.size}, seed {task.seed}, {facts['threads']} threads, clinic_mm {facts['clinic_mm']}",
        "",
        "## Does fusion pay?",
        "",
        str(facts["verdict"]["words"]),
        "",
        "| against | metric | ours | theirs | gain | 95 % interval |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['against']} | {r['metric']} | {_number(r['ours'])} | {_number(r['theirs'])} | {_number(r['gain'])} "
            f"| {_number(r['low'])} to {_number(r['high'])} |"
            for r in facts["verdict"]["rows"]
        ),
        "",
        "Out of fold, paired by patient.",
        "",
        "## Experts",
        "",
        "| modality | judges by | out-of-fold NLL of each way |",
        "|---|---|---|",
        *(f"| {name} | {e['how']} | {_pairs(e['nll'])} |" for name, e in facts["experts"].items()),
        "",
        *_balance(facts),
        "## Patterns seen in training",
        "",
        *(f"- {pattern or 'nothing'}: {n}" for pattern, n in facts["patterns"].items()),
        "",
        f"Prediction sets at {task.level:.0%} are *approximate*: thresholds come from out-of-fold scores.",
        "",
    ]
    return "\n".join(lines)


def _balance(facts: dict[str, Any]) -> list[str]:
    """How the modalities stood inside a network, if one was watched."""
    told = (facts.get("log") or {}).get("imbalance")
    if not told:
        return []
    use = next(look["use"] for look in told["looks"] if look["step"] == told["deployed_step"])
    return [
        "## Modalities inside the network",
        "",
        "| modality | alone inside, AUROC | its expert, AUROC | use | state |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {_number(m['skill'])} | {_number(m['expert'])} | {_number(use[name])} | {m['state']} |"
            for name, m in told["modalities"].items()
        ),
        "",
        "On training patients kept aside. Use: how far the answer moves, 0 to 1, when the modality is dropped.",
        *(f"**Warning:** {warning}." for warning in told["warnings"]),
        "",
    ]


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _number(value: float | None) -> str:
    """To three digits; a figure that is not defined is a dash."""
    return "-" if value is None or isnan(value) else f"{value:.3f}"
