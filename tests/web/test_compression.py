"""Compressed responses."""

import gzip

import pytest
from callers import Caller
from factories import add_event, envelope, make_key, make_keys, make_session
from response_checks import body_of


@pytest.fixture
def browser(app, organization):
    caller = Caller.reviewer(app, organization)
    caller.headers["Accept-Encoding"] = "gzip, br"
    return caller


def test_a_streamed_response_is_compressed_for_clients_that_accept_gzip(
    browser, reviewer, assessment, monkeypatch
):
    monkeypatch.setattr("models.sessions.timeline.COMPACT_ROWS", 3)
    session = make_session(make_key(assessment))
    for number in range(10):
        add_event(session, envelope(id=str(number)))
    path = f"/v1/sessions/{session.id}/timeline/compact"
    plain, compressed = reviewer.get(path), browser.get(path)
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Accept-Encoding" in compressed.headers["Vary"]
    assert gzip.decompress(compressed.data) == plain.data
    assert browser.get(f"/v1/sessions/{assessment.id}/timeline/compact").status_code == 404


def test_compressed_results_have_a_weak_etag(browser, reviewer, assessment):
    make_keys(assessment, 10)
    path = f"/v1/assessments/{assessment.id}/results"
    plain, compressed = reviewer.get(path), browser.get(path)
    assert gzip.decompress(compressed.data) == plain.data
    assert len(compressed.data) == compressed.content_length < len(plain.data) / 3
    assert compressed.get_etag() == (plain.get_etag()[0], True)
    browser.headers["If-None-Match"] = compressed.headers["ETag"]
    unchanged = browser.get(path)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert "Content-Encoding" not in unchanged.headers


def test_responses_with_keys_are_never_compressed(browser, assessment):
    make_keys(assessment, 10)
    response = browser.get(f"/v1/assessments/{assessment.id}/keys")
    assert "Content-Encoding" not in response.headers
    assert len(body_of(response)["keys"]) == 10
