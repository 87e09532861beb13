"""Candidate lists for the API; schemas.keys serializes the rows."""

import copy
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from models import sql
from models.base import case_folded, clock
from models.orgs import ApiToken
from models.visibility import redact_candidates

BATCH_SIZE = 500


class CandidateRow(NamedTuple):
    """A row of `sql.candidates`: a key with its session, latest invitation and assessment title (R16)."""

    id: Any
    key: str
    assessment_id: Any
    organization_id: Any
    status: str
    candidate_email: str | None
    candidate_name: str | None
    external_id: str | None = None
    metadata: Any = None
    session_id: Any = None
    expires_at: Any = None
    redeemed_at: Any = None
    completed_at: Any = None
    created_at: Any = None
    erasure_requested_at: Any = None
    invite_state: str | None = None
    invite_attempts: int | None = None
    invite_last_error: str | None = None
    invite_sent_at: Any = None
    decision: str = "undecided"
    decision_reason: str | None = None
    decision_finding_reason: str | None = None
    decided_at: Any = None
    decided_by_id: Any = None
    decided_by_name: str | None = None
    decided_by_person: bool = False
    assessment_title: str | None = None
    updated_at: Any = None
    session_updated_at: Any = None


def search_filters(viewer: ApiToken | None, text: str) -> dict[str, Any]:
    """Build filters that search name, email address and externalId without revealing hidden names."""
    # A LIKE pattern, escaped with `!`.
    filters = {"pattern": "%" + re.sub("([!%_])", r"!\1", case_folded(text)) + "%"}
    return filters | ({"user_id": viewer.user_id} if viewer is not None and viewer.user_id else {})


class CandidateList:
    """An organization's candidates that match all filters, oldest first.

    viewer -- the caller, from whom blind assessments hide names; None to show all names
    filters -- `assessment_id`, `status`, `external_id`, `key_id`, `created_after`, `updated_after`, and `q`: part of
        the name, email address or externalId, case-insensitive
    """

    def __init__(self, organization_id: Any, viewer: ApiToken | None, **filters: Any) -> None:
        self._viewer = viewer
        text = filters.pop("q", None)
        if text is not None:
            filters |= search_filters(viewer, text)
        self._values = {"organization_id": organization_id, "now": clock.now()} | filters

    def count(self) -> int:
        ((count,),) = sql.rows(sql.count_candidates(frozenset(self._values)), **self._values)
        return int(count)

    def rows(
        self, limit: int | None = None, offset: int = 0, newest_first: bool = False
    ) -> list[CandidateRow]:
        text = sql.candidates(frozenset(self._values), limit is not None, newest_first)
        page = {} if limit is None else {"limit": limit, "offset": offset}
        rows = [CandidateRow(*row) for row in sql.rows(text, **self._values, **page)]
        return redact_candidates(self._viewer, rows)

    def batches(self) -> Iterator[list[CandidateRow]]:
        """Yield all candidates, BATCH_SIZE at a time."""
        remaining = self
        while batch := remaining.rows(BATCH_SIZE):
            yield batch
            remaining = remaining.after(batch[-1])

    def after(self, last: Any, newest_first: bool = False) -> "CandidateList":
        """Return the part of the list after a key or row."""
        remaining = copy.copy(self)
        position = {"last_created_at": last.created_at, "first_id" if newest_first else "last_id": last.id}
        remaining._values = self._values | position
        return remaining


def find_candidate(caller: ApiToken, key_id: Any) -> CandidateRow | None:
    return next(iter(CandidateList(caller.organization_id, caller, key_id=key_id).rows()), None)
