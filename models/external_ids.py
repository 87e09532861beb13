"""Candidates' `externalId`, unique among an assessment's unrevoked keys.

The lock in models/deliveries/limit.py prevents two transactions from checking the same id at once.
"""

from collections.abc import Sequence
from typing import Any

from errors import DuplicateExternalId
from models.keys import CandidateKey
from rules.repeated_values import find_duplicates


def require_unused(
    organization_id: Any, assessment_id: Any, values: Sequence[tuple[list[str | int], str | None]]
) -> None:
    """Raise DuplicateExternalId if an id is repeated or belongs to another candidate of the assessment.

    Must run in the transaction that holds the lock and stores the ids.

    values -- ids, which can be None, with their paths in the request
    """
    ids = [external_id for _, external_id in values if external_id is not None]
    if not ids:
        return
    keys = CandidateKey.select(CandidateKey.id, CandidateKey.external_id).where(
        CandidateKey.organization == organization_id,
        CandidateKey.external_id.in_(ids),
        CandidateKey.assessment == assessment_id,
        CandidateKey.revoked_at.is_null(),
    )
    owners: dict[str, Any] = {str(key.external_id): key.id for key in keys}
    if entries := find_duplicates(values, owners, "The candidate {} has this externalId."):
        raise DuplicateExternalId(entries=entries)
