"""A run in a few lines of text: what it answered, with what, what it skipped and why."""

from clinic_mm.report.run import Run

FIRST = 5


def run_as_text(run: Run) -> str:
    """Counts, patterns, the head of the work list, and the reasons of what was skipped."""
    info, work = run.info, run.worklist()
    lines = [
        f"Run {info.run_id}: {info.counts.words}",
        f"Target {info.target} ({', '.join(info.classes)}); model {info.model.name} {info.model.hash[:12]}",
    ]
    if info.simulated:
        lines.append("SIMULATED cohort, not patients")
    if len(work):
        top = f"p_{len(info.classes) - 1}"
        lines += ["", f"Highest probability of {info.classes[-1]}:"]
        head = work.sort_values(top, ascending=False).head(FIRST)
        lines += [
            f"  {key}  {p:.3f}  {has}" for key, p, has in zip(head["case_key"], head[top], head["pattern"], strict=True)
        ]
    skipped = run.skipped()
    if len(skipped):
        lines += ["", "Skipped, by reason:"]
        for (status, modality, why), rows in skipped.groupby(["status", "modality", "why"]):
            lines.append(f"  {len(rows):5d}  {modality} {status}: {why}")
    return "\n".join(lines)
