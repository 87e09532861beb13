"""Submissions that the worker reads."""

import pytest
from bundle_stores import use_folder
from callers import Caller
from factories import make_assessment, make_key, make_session
from response_checks import body_of

from delivery.worker import submissions
from models import sessions
from tests.git_bundles.bundles import bundle_of_blobs

ONE_LINE = bundle_of_blobs(a=b"1\n")


@pytest.fixture
def store(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def start(organization, store, clock):
    """Start a session of an assessment with these columns."""
    return lambda **columns: make_session(make_key(make_assessment(organization, **columns)))


@pytest.fixture
def submit(app, start):
    """Submit a bundle in a session, by default in a new session, and return the session."""

    def submit(content=ONE_LINE, session=None, media_type="application/x-git-bundle", **columns):
        session = session or start(**columns)
        options = {"data": content, "headers": {"Content-Type": media_type}}
        body_of(Caller.candidate(app, session.key).request("PUT", "/v1/candidate/submission", **options))
        return session

    return submit


@pytest.fixture
def submitted(submit):
    """A completed session with one submitted line."""
    session = submit()
    sessions.complete(session)
    return session


@pytest.fixture
def read(store):
    return lambda: submissions.read_due(store)
