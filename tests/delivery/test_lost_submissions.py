"""Submissions that the bundle store has lost: a task for an operator, who restores them."""

from datetime import timedelta

import pytest
from bundle_stores import bundle_files, make_zip
from response_checks import body_of

from errors import StoreUnavailable
from models import Submission, db, sessions
from models.sessions.submissions import reading
from storage import new_object_key
from tests.delivery.conftest import ONE_LINE
from tests.delivery.test_reading_submissions import codes, final_diff, get_session, recorded_line_ratio
from tests.git_bundles.bundles import bundle_of_blobs


def lose(store):
    """Delete the stored bundle, and return a function that restores it."""
    (file,) = bundle_files(store.folder)
    content = file.read_bytes()
    file.unlink()
    return lambda: file.write_bytes(content)


def lost_sessions(reviewer):
    entries = body_of(reviewer.get("/v1/todo"))["lostSubmissions"]["entries"]
    return [entry["sessionId"] for entry in entries]


def test_a_lost_bundle_is_a_task_for_the_operator_and_not_a_finding(submitted, read, store, reviewer, clock):
    restore = lose(store)
    read()
    submission = final_diff(reviewer, submitted)["submission"]
    assert (submission["state"], submission["problem"]) == ("waiting", reading.LOST)
    assert "submission_unreadable" not in codes(reviewer, submitted)
    assert lost_sessions(reviewer) == [str(submitted.id)]
    restore()
    clock.fixed += reading.LOST_RETRY_DELAY
    read()
    assert get_session(reviewer, submitted)["submission"]["state"] == "read"
    assert final_diff(reviewer, submitted)["submission"]["problem"] is None
    assert lost_sessions(reviewer) == []


def test_a_bundle_that_changed_in_the_store_is_lost(submitted, read, store, reviewer):
    lose(store)
    (store.folder / Submission.get().object_key).write_bytes(bundle_of_blobs(a=b"2\n"))
    read()
    assert lost_sessions(reviewer) == [str(submitted.id)]
    assert "submission_unreadable" not in codes(reviewer, submitted)


def test_a_lost_bundle_is_looked_for_for_a_week_and_read_again_by_command(
    submitted, read, store, reviewer, clock, flask
):
    restore = lose(store)
    received_at = clock.fixed
    while Submission.get().retry_at:
        read()
        clock.fixed += timedelta(hours=6)
    assert timedelta(days=7) <= clock.fixed - received_at < timedelta(days=8)
    assert "lost in the bundle store: 1. Restore them" in flask("submissions", "read", "--again", fails=True)
    restore()
    assert flask("submissions", "read", "--again") == "Submissions processed: 1.\n"
    assert lost_sessions(reviewer) == []
    assert recorded_line_ratio(reviewer, submitted) == 0


@pytest.mark.parametrize("media_type", ["application/x-git-bundle", "application/zip"])
def test_a_submission_that_was_lost_after_it_was_read_is_found_by_command(
    submit, read, store, reviewer, flask, media_type
):
    content = make_zip(a="1") if media_type == "application/zip" else ONE_LINE
    session = submit(content, media_type=media_type)
    sessions.complete(session)
    read()
    before = get_session(reviewer, session)["submission"]
    assert "Submissions processed: 0." in flask("submissions", "read", "--again")
    restore = lose(store)
    assert "lost in the bundle store: 1. Restore them" in flask("submissions", "read", "--again", fails=True)
    assert lost_sessions(reviewer) == [str(session.id)]
    assert get_session(reviewer, session)["submission"] == before
    restore()
    flask("submissions", "read", "--again")
    assert lost_sessions(reviewer) == []
    assert get_session(reviewer, session)["submission"] == before


def test_the_worker_finds_a_read_bundle_that_is_in_the_store_again(
    submitted, read, store, reviewer, flask, clock
):
    read()
    restore = lose(store)
    assert "lost in the bundle store: 1." in flask("submissions", "read", "--again", fails=True)
    clock.fixed += timedelta(hours=1)
    read()
    restore()
    clock.fixed += reading.LOST_RETRY_DELAY
    read()
    assert lost_sessions(reviewer) == []
    assert get_session(reviewer, submitted)["submission"]["state"] == "read"


def test_the_command_keeps_what_the_worker_has_read_meanwhile(submitted, read, store, clock):
    restore = lose(store)
    read()
    (lost,) = reading.received()
    restore()
    clock.fixed += reading.LOST_RETRY_DELAY
    read()
    reading.read_again(lost)
    assert (Submission.get().state, Submission.get().problem) == ("read", None)


def test_no_query_is_open_while_the_command_looks_for_submissions(submit, read, store, flask, monkeypatch):
    for _ in range(3):
        sessions.complete(submit())
    read()
    size = store.size

    def drop_a_table(object_key):
        # SQLite rejects this while a query is open, like writes after another process's.
        db.execute_sql("CREATE TABLE unused (number INTEGER)")
        db.execute_sql("DROP TABLE unused")
        return size(object_key)

    monkeypatch.setattr(store, "size", drop_a_table)
    assert flask("submissions", "read", "--again") == "Submissions processed: 0.\n"


def test_a_clients_bundle_that_was_lost_is_found_by_command(session, store, reviewer, flask, clock):
    submission = Submission.reserve(session, "tar", new_object_key(str(session.id)))
    submission.record(3, "1" * 64, 2**29)
    submission.update_columns(state="verified")
    path = store.folder / submission.object_key
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"tar")
    flask("submissions", "read", "--again")
    path.unlink()
    for _ in range(2):
        assert "lost in the bundle store: 1." in flask("submissions", "read", "--again", fails=True)
        clock.fixed += timedelta(hours=1)
    assert lost_sessions(reviewer) == [str(session.id)]
    path.write_bytes(b"tar")
    flask("submissions", "read", "--again")
    assert lost_sessions(reviewer) == []
    assert get_session(reviewer, session)["submission"]["state"] == "verified"


def test_the_command_fails_while_a_submission_cannot_be_read(submitted, store, flask, monkeypatch):
    def fail(object_key):
        raise StoreUnavailable()

    monkeypatch.setattr(store, "size_and_sha256", fail)
    assert "Submissions not read yet: 1. The log" in flask("submissions", "read", fails=True)


def test_the_command_does_not_call_a_submission_unreadable_that_a_worker_is_reading(submitted, flask):
    assert reading.claim(Submission.get())
    assert "Submissions not read yet: 1. The log" in flask("submissions", "read", fails=True)
