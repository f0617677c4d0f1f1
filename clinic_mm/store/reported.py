"""What a report says of the human acts on a case: `CaseFile` turned into `Signed`.

In:  all acts of a case. Out: its report as it stands, and what each amendment replaced.

A comment belongs to a signed report where it was made before the signature: what is said later does not change a
document that somebody stands for.
"""

from collections.abc import Sequence

from clinic_mm.report.signed import Comment, Signed
from clinic_mm.store.values import Act, Amendment, CaseFile, Decision, Signature


def signed_of(file: CaseFile) -> Signed:
    """The state of the report of a case, with the acts up to it.

    Args:
        file: All acts (`Store.case` without `seen_by`).
    """
    assert not file.sealed, "a report is made of all acts"
    found: Signed | None = None
    for signature in sorted(file.signatures, key=_number):
        found = _signed(file, signature, found)
    return found or _unsigned(file)


def _unsigned(file: CaseFile) -> Signed:
    comments = _comments(file)
    last = _last(file.decisions)
    if last is None:
        return Signed(comments=comments)
    return Signed(
        verdict=last.verdict, act=last.act, reason=last.reason, comments=comments, answer_hash=last.answer_hash
    )


def _signed(file: CaseFile, signature: Signature, before: Signed | None) -> Signed:
    acts: tuple[Decision | Amendment, ...] = (*file.decisions, *file.amendments)
    of = next(act for act in acts if act.number == signature.decision)
    amended = isinstance(of, Amendment)
    return Signed(
        state="amended" if amended else "final",
        verdict=of.verdict,
        act="" if isinstance(of, Amendment) else of.act,
        reason="" if amended else of.reason,
        comments=_comments(file, signature.number),
        signer=signature.by,
        signed_at=signature.at,
        amendment_reason=of.reason if amended else "",
        before=before if amended else None,
        answer_hash=signature.answer_hash,
    )


def _comments(file: CaseFile, until: int | None = None) -> tuple[Comment, ...]:
    kept = [one for one in sorted(file.comments, key=_number) if until is None or one.number < until]
    return tuple(Comment(by=one.by, at=one.at, text=one.text) for one in kept)


def _last(decisions: Sequence[Decision]) -> Decision | None:
    return max(decisions, key=_number, default=None)


def _number(act: Act) -> int:
    return act.number
