"""One of each row that a path names."""

import factories
import pytest

from models import Consent


@pytest.fixture
def names(organization, assessment, key, session, reviewer):
    """The ids and keys that stand for `<name>` in tests/access/rows.py."""
    issue, rubric = factories.make_issue(organization), factories.make_rubric(organization)
    session.assessment.update_columns(issue=issue, rubric=rubric)
    fresh_key = factories.make_key(assessment)
    Consent.give(fresh_key, None, None)
    names = factories.make_record(session, reviewer.row) | factories.make_settings(organization)
    names |= {"assessment_id": assessment.id, "key_id": key.id, "candidate_id": key.id, "issue_id": issue.id}
    names |= {"delivery_id": key.invitation_id, "key": key.key, "fresh_key": fresh_key.key, "object_key": "x"}
    return names | {"provider": "anthropic", "model": "haiku", "path": "v1/files"}
