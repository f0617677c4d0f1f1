"""The card of an artifact, from its own JSON files alone, as they are written.

In:  `model.json`, `calibration.json` and, where there are any, `abstain.json` and `outside.json`; the hashes of all
files where they are known. Out: a Card.
"""

from collections.abc import Mapping
from typing import Any, Final

from clinic_mm.bundle import policy
from clinic_mm.modalities import table
from clinic_mm.predict.modelcard.content import Block, Bullets, Card, Paragraph, Section, Table, number, span
from clinic_mm.predict.modelcard.limits import limits_of

TRAINING: Final = "Does fusing pay?"
"""Title of the section behind which an evaluation stands."""
MOST_SHORTCUTS: Final = 12
Json = Mapping[str, Any]
Parts = Mapping[str, Json]
"""JSON files of an artifact by name."""


def card_of(
    parts: Parts, *, model_hash: str = "", files: Mapping[str, str] | None = None, evaluated: bool = False
) -> Card:
    """The card.

    Args:
        parts: JSON files by name.
        model_hash: Of the artifact; "" while it is being written.
        files: sha256 by name.
        evaluated: Whether figures on unseen patients will stand in the card.
    """
    words, told, sets = policy("card"), parts["model.json"], parts["calibration.json"]
    facts, task = told["facts"], told["task"]
    simulated = bool(facts.get("simulated"))
    sections = (
        _use(words["use"], task),
        _task(task, told),
        _data(facts),
        Section("Limits", (Bullets(tuple(limits_of(told, sets, words["limits"], evaluated=evaluated))),)),
        _verdict(facts["verdict"], words["words"]),
        _experts(facts),
        *_balance(facts),
        _sets(facts, sets, words["words"]),
        _silence(task, parts.get("abstain.json") or {}, words["words"]),
        *_outside(parts.get("outside.json") or {}, words["words"]),
        *_calibrated(facts.get("calibrated")),
        _checks(facts.get("checks"), words),
        _trace(told, facts, model_hash, files or {}),
    )
    marks = (words["device"], *([words["simulated"]] if simulated else []))
    return Card(f"Model card: {task['target']}", marks, sections, model_hash, simulated)


def _use(words: Json, task: Json) -> Section:
    named = {
        "target": task["target"],
        "classes": ", ".join(task["classes"]),
        "modalities": ", ".join(_label(name, task) for name in task["modalities"]),
    }
    blocks = (
        Paragraph("For:", strong=True),
        Bullets(tuple(line.format(**named) for line in words["for"])),
        Paragraph("Not for:", strong=True),
        Bullets(tuple(words["not_for"])),
    )
    return Section("Intended use", blocks)


def _label(name: str, task: Json) -> str:
    kind = (task["modality"].get(name) or {"kind": name})["kind"]
    label = table()[kind].label if kind in table() else kind
    return label if kind == name else f"{name} ({label})"


def _task(task: Json, told: Json) -> Section:
    due = task["decision_time"]
    hours = f" + {due['offset_h']:g} h" if due["offset_h"] else ""
    rows = [
        ("Question", f"{task['target']} ({task['kind']})"),
        ("Classes", ", ".join(task["classes"])),
        ("Modalities", ", ".join(_label(name, task) for name in task["modalities"])),
        ("Asked at", f"{due['column']}{hours}"),
        ("Of several studies", told["select"]),
        ("Joined by", str(told["facts"].get("method") or task["fusion"]["method"])),
    ]
    return Section("The question", (Table(("", ""), tuple(rows)),))


def _data(facts: Json) -> Section:
    classes = ", ".join(f"{name} {n}" for name, n in facts["classes"].items())
    rows = [
        (pattern.replace("+", " + ") or "nothing", str(n))
        for pattern, n in sorted(facts["patterns"].items(), key=lambda item: -item[1])
    ]
    blocks = (
        Paragraph(f"Fitted on {facts['n_cases']} cases of {facts['n_patients']} patients: {classes}."),
        Table(("what was there", "training cases"), tuple(rows)),
    )
    return Section("Data it was fitted on", blocks)


def _verdict(verdict: Json, words: Json) -> Section:
    rows = tuple(
        (
            str(row["against"]),
            str(row["metric"]),
            number(row["ours"]),
            number(row["theirs"]),
            span(row["gain"], row["low"], row["high"], sign=True),
        )
        for row in verdict["rows"]
    )
    head = ("against", "metric", "ours", "theirs", "gain (95 % interval)")
    return Section(
        TRAINING, (Paragraph(str(verdict["words"]), strong=True), Table(head, rows), Paragraph(words["verdict"]))
    )


def _experts(facts: Json) -> Section:
    rows = tuple(
        (name, str(one["how"]), ", ".join(f"{how} {value:.3f}" for how, value in one["nll"].items()))
        for name, one in facts["experts"].items()
    )
    return Section("Experts", (Table(("modality", "judges by", "out-of-fold NLL of each way"), rows),))


def _balance(facts: Json) -> list[Section]:
    """How the modalities stood inside a network, if one was watched."""
    told = (facts.get("log") or {}).get("imbalance")
    if not told:
        return []
    use = next(look["use"] for look in told["looks"] if look["step"] == told["deployed_step"])
    rows = tuple(
        (name, number(m["skill"]), number(m["expert"]), number(use[name]), str(m["state"]))
        for name, m in told["modalities"].items()
    )
    blocks: list[Block] = [
        Table(("modality", "alone inside, AUROC", "its expert, AUROC", "use", "state"), rows),
        Paragraph(
            "On training patients kept aside. Use: how far the answer moves, 0 to 1, when the modality is dropped."
        ),
        *(Paragraph(f"Warning: {warning}.", strong=True) for warning in told["warnings"]),
    ]
    return [Section("Modalities inside the network", tuple(blocks))]


def _sets(facts: Json, sets: Json, words: Json) -> Section:
    """Calibration patients behind each pattern, and what out-of-fold cases showed where that was kept."""
    shown = sets.get("shown", {})
    place = _place(sets)
    rows = []
    for pattern in sorted(facts["patterns"], key=lambda p: (p.count("+"), p)):
        if pattern:
            n = _patients(sets["thresholds"].get(pattern))
            rows.append((pattern.replace("+", " + "), n or "borrowed", _shown(shown.get(pattern), place)))
    guarantee = str(sets.get("guarantee", "approximate"))
    blocks = (
        Paragraph(f"Prediction sets at {sets['level']:.0%}, {guarantee}. {words['sets']}"),
        Table(("what was there", "calibration patients", "out-of-fold sets that held the truth"), tuple(rows)),
    )
    return Section("Calibration and prediction sets", blocks)


def _place(sets: Json) -> int:
    levels = sets.get("levels", [sets["level"]])
    return min(range(len(levels)), key=lambda i: abs(levels[i] - sets["level"]))


def _patients(group: object) -> str:
    """Patients behind the thresholds of a pattern, the fewest over its classes; "" where it borrows."""
    match group:
        case {"n": [*n]}:
            return f"{min(n):.0f}"
        case [_, n]:
            return str(n)
        case _:
            return ""


def _shown(one: Json | None, place: int) -> str:
    """Share of sets that held the truth, and patients behind it."""
    if not one or not sum(one["n"]):
        return "–"
    hits, n = sum(row[place] for row in one["hits"]), sum(one["n"])
    return f"{hits / n:.2f} of {n:.0f} patients"


def _silence(task: Json, silence: Json, words: Json) -> Section:
    """The task's rules, and what each did to the risk of out-of-fold answers."""
    rows = tuple((key.replace("_", " "), _value(value)) for key, value in (task.get("abstain") or {}).items())
    judged = tuple(
        (
            name,
            _value(one["on"]),
            str(one["n"]),
            number(one["silenced"]),
            number(one["answered"]),
            number(one["low"], sign=True),
        )
        for name, one in (silence.get("judged") or {}).items()
    )
    head = ("rule", "used", "patients without an answer", "their Brier score", "of the others", "difference from")
    blocks: list[Block] = [Paragraph(words["silence"])]
    blocks += [Table(("the task asks for", "set to"), rows)] if rows else []
    blocks += [Table(head, judged), Paragraph(words["judged"])] if judged else []
    return Section("When it gives no answer", tuple(blocks))


def _outside(outside: Json, words: Json) -> list[Section]:
    """Detectors of inputs unlike training."""
    detectors = outside.get("detectors") or {}
    silent = outside.get("silent") or {}
    rows = tuple((name, str(one["n"]), f"{one['rate']:.3f}") for name, one in detectors.items())
    rows += tuple((name, "–", str(why)) for name, why in silent.items())
    if not rows:
        return []
    told = words["outside_reject"] if outside.get("reject") else words["outside_flag"]
    head = ("modality", "training inputs", "share of good inputs refused out of fold")
    return [Section("Inputs unlike training", (Paragraph(told), Table(head, rows)))]


def _calibrated(told: Json | None) -> list[Section]:
    """What calibrating to a site moved, and whether it paid."""
    if told is None:
        return []
    rows = tuple(
        (
            name.replace("_", " "),
            number(one["before"]),
            number(one["after"]),
            span(one["difference"], one["low"], one["high"], sign=True),
        )
        for name, one in told["figures"].items()
    )
    classes = ", ".join(f"{name} {n}" for name, n in told["classes"].items())
    moved = ", ".join(f"{name} {value:+.2f}" for name, value in told["shift"].items())
    about = (
        f"Calibrated again on {told['n_cases']} cases of {told['n_patients']} patients of another site ({classes}), "
        f"from the model {told['parent']}: temperature {told['temperature']:.2f}, log-odds {moved}."
    )
    head = ("cross-validated on the site's cases", "before", "after", "difference (95 % interval)")
    blocks = (Paragraph(told["words"], strong=True), Paragraph(about), Table(head, rows))
    return [Section("Calibrated to a site", blocks)]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _checks(checks: Json | None, words: Json) -> Section:
    """What was found before anything was learnt."""
    title = "Checks before training"
    if checks is None:
        return Section(title, (Paragraph(words["limits"]["unchecked"], strong=True),))
    accepted = [Paragraph(words["limits"]["accepted"], strong=True)] if checks["accepted"] else []
    leaks = tuple(f"{leak['severity']}: {leak['what']}. {leak['mend']}" for leak in checks["leaks"])
    looked = tuple((look["check"], str(look["of"]), str(look["found"])) for look in checks["looked"])
    beside = [checks["beside"]] if checks["beside"] else []
    ranked = sorted(checks["shortcuts"], key=lambda one: -one["auroc"])
    flagged = [one for one in ranked if one["flagged"]]
    kept = [*flagged, *(one for one in ranked if not one["flagged"])][: max(MOST_SHORTCUTS, len(flagged))]
    rows = tuple(
        (
            ("(!) " if one["flagged"] else "") + one["name"],
            "yes" if one["read"] else "no",
            span(one["auroc"], one["low"], one["high"]),
            str(one["n_patients"]),
        )
        for one in sorted([*kept, *beside], key=lambda one: -one["auroc"])
    )
    blocks: list[Block] = [*accepted, Paragraph(words["words"]["checks"])]
    blocks.append(Bullets(leaks) if leaks else Paragraph("Nothing was found."))
    if rows:
        blocks += [Table(("by itself", "read by the model", "AUROC (interval)", "patients"), rows)]
        blocks += [Paragraph(words["words"]["shortcuts"])]
    return Section(title, (*blocks, Table(("looked at", "how many", "found"), looked)))


def _trace(told: Json, facts: Json, model_hash: str, files: Mapping[str, str]) -> Section:
    rows = [
        ("model", model_hash or "sha256 of manifest.json"),
        ("clinic_mm", str(facts["clinic_mm"])),
        ("torch", str(facts["torch"])),
        ("size, seed, threads", f"{told['task']['size']}, {told['task']['seed']}, {facts['threads']}"),
        ("artifact format", str(told["schema_version"])),
        *([("checked cohort", str(facts["checks"]["cohort"]))] if facts.get("checks") else []),
        *sorted(files.items()),
    ]
    return Section("Traceable by", (Table(("", "sha256 or version"), tuple(rows)),))
