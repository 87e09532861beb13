"""Warnings about a hiring decision. They inform people and block nothing."""

from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction
from operator import itemgetter
from typing import Any, NamedTuple

from rules.integrity.findings import CHANGES_RESULTS

POSITIVE = ("advanced", "hired")


class Result(NamedTuple):
    """The hiring decision and total score of a session or candidate; None for a total that is missing or hidden."""

    id: Any
    decision: str
    total: int | None = None
    highest: int | None = None

    @property
    def share(self) -> Fraction | None:
        """The total as a share of the highest total."""
        return Fraction(self.total, self.highest) if self.total is not None and self.highest else None


def find_inconsistencies(results: Iterable[Result]) -> Iterator[tuple[Result, Result]]:
    """Yield the pairs of a rejected result and an advanced or hired one with a lower total.

    Totals are compared as shares of the highest total. The highest rejected and lowest selected totals come first.
    Reading some of the pairs does not compute all of them: there can be millions.
    """
    scored = [(share, result) for result in results if (share := result.share) is not None]
    scored.sort(key=itemgetter(0))
    positive = [(share, result) for share, result in scored if result.decision in POSITIVE]
    for share, rejected in reversed(scored):
        if rejected.decision == "rejected":
            for other_share, other in positive:
                if other_share >= share:
                    break
                yield rejected, other


def find_warnings(
    result: Result, others: Iterable[Result], missing_scores: str | None, finding_codes: Collection[str]
) -> list[dict[str, Any]]:
    """Return the warnings about a decision on a session, with the fields of DecisionWarning (schemas/candidates.py).

    result -- the session, with the new decision
    others -- the assessment's other sessions
    missing_scores -- a sentence about missing scores, or None
    """
    warnings: list[dict[str, Any]] = []
    is_rejection = result.decision == "rejected"
    opposite = [other for other in others if (other.decision == "rejected") != is_rejection]
    if pairs := [*find_inconsistencies([result, *opposite])]:
        ids = [(other if is_rejection else rejected).id for rejected, other in pairs]
        found = "advanced or hired with a lower" if is_rejection else "rejected with a higher"
        message = f"Candidates {found} total: {len(ids)}."
        warnings.append({"code": "lower_total", "message": message, "session_ids": ids})
    if missing_scores:
        warnings.append({"code": "missing_scores", "message": missing_scores})
    if further := [code for code in finding_codes if code not in CHANGES_RESULTS]:
        text = "The recording has findings."
        warnings.append({"code": "findings", "message": text, "finding_codes": further})
    if changing := [code for code in finding_codes if code in CHANGES_RESULTS]:
        text = "The recording has findings that can change the results."
        warnings.append({"code": "results_changed", "message": text, "finding_codes": changing})
    return warnings
