"""The worker reads submissions: the final diff, the lines that no agent added, and failures that stop nothing."""

import os
import shutil
import sys
from datetime import timedelta

import pytest
from bundle_stores import use_folder
from callers import Caller
from factories import add_event, envelope, make_assessment, make_key, make_session
from response_checks import body_of

from delivery.worker import submissions
from errors import StoreUnavailable
from models import Session, Submission, SubmissionFile, TaskFailure, sessions
from models.ledger.integrity import check_sealed
from models.sessions.submissions import reading
from models.sessions.submissions.reading import MAX_ATTEMPTS, RETRY_PAUSE
from tests.git_bundles.bundles import bundle, bundle_of_blobs, commit, make_repository

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
AFTER_FLUSH = timedelta(minutes=10, seconds=1)
HEADERS = {"Content-Type": "application/x-git-bundle"}
REPOSITORY = "https://git.example.com/orders"


@pytest.fixture
def store(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def start(organization, app, clock):
    """Start a session of an assessment with these columns; returns the candidate and the session."""

    def begin(**columns):
        session = make_session(make_key(make_assessment(organization, **columns)))
        return Caller.candidate(app, session.key), session

    return begin


def submit_work(candidate, content):
    body_of(candidate.request("PUT", "/v1/candidate/submission", data=content, headers=HEADERS))


def read(store):
    submissions.read_due(store)


def change(path, diff="", kind="file_diff", attribution="likely_ai", at=0, **data):
    return envelope(kind, at, {"path": path, "diff": diff} | data, provenance={"attribution": attribution})


def shown(reviewer, session):
    return reviewer.get(f"/v1/sessions/{session.id}").json


def final_diff(reviewer, session, **query):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff", **query))


def codes(reviewer, session):
    findings = reviewer.get(f"/v1/sessions/{session.id}/integrity").json["findings"]
    return {finding["code"]: finding["count"] for finding in findings} | {}


@needs_git
def test_the_final_diff_marks_the_lines_that_no_agent_added(start, reviewer, store, clock, tmp_path):
    base = make_repository(tmp_path / "work", {"orders.py": "import json\n"})
    candidate, session = start(repo_url=REPOSITORY)
    session.assessment.update_columns(repo_commit=base)
    add_event(session, change("orders.py", "@@ -1 +1,3 @@\n import json\n+import csv\n+\n"))
    add_event(session, change("/home/alice/work/new.py", kind="file_create", content="one\ntwo\n"))
    add_event(session, change("new.py", "@@ -0,0 +1 @@\n+three\n", attribution="likely_human"))
    work = {"orders.py": "import json\nimport csv\n\nimport time\n", "new.py": "one\nthree\nfour\n  two\n"}
    head = commit(tmp_path / "work", work)
    submit_work(candidate, bundle(tmp_path / "work"))
    sessions.complete(session)
    read(store)
    diff = final_diff(reviewer, session)
    assert diff["submission"] | {"receivedAt": None, "sha256": None, "size": None} == {
        **{
            "receivedAt": None,
            "sha256": None,
            "size": None,
            "format": "git",
            "state": "read",
            "problem": None,
        },
        **{"baseVerified": True, "baseCommit": base, "headCommit": head, "countedLines": 6, "manualLines": 3},
    }
    ranges = {file["path"]: file["manualRanges"] for file in diff["files"]}
    assert ranges == {"new.py": [[2, 3]], "orders.py": [[4, 4]]}
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 0.5
    assert codes(reviewer, session).keys().isdisjoint({"base_unverified", "submission_unreadable"})


def test_the_files_of_the_final_diff_are_in_pages(start, reviewer, store):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(c=b"c\n", a=b"a\n", b=b"b\n"))
    read(store)
    first = final_diff(reviewer, session, limit=2)
    assert ([file["path"] for file in first["files"]], first["total"]) == (["a", "b"], 3)
    second = final_diff(reviewer, session, limit=2, after=first["next"])
    assert ([file["path"] for file in second["files"]], second["next"]) == (["c"], None)


def test_without_a_repository_every_line_counts(start, reviewer, store):
    candidate, session = start()
    add_event(session, change("a", kind="file_create", content="1\n"))
    submit_work(candidate, bundle_of_blobs(a=b"1\n2\n3\n"))
    sessions.complete(session)
    read(store)
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 0.667


@pytest.mark.parametrize("commit_id", [None, "1" * 40, "not a commit"])
def test_without_the_assessments_commit_the_base_is_unverified(start, reviewer, store, clock, commit_id):
    candidate, session = start(repo_url=REPOSITORY)
    session.assessment.update_columns(repo_commit=commit_id)
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    sessions.complete(session)
    read(store)
    assert final_diff(reviewer, session)["submission"]["baseVerified"] is False
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] is None
    assert codes(reviewer, session)["base_unverified"] == 1


def test_an_unreadable_bundle_is_a_finding_and_is_kept(start, reviewer, store):
    candidate, session = start()
    content = bundle_of_blobs(a=b"1\n")[:-30]
    submit_work(candidate, content)
    sessions.complete(session)
    read(store)
    diff = final_diff(reviewer, session)
    assert (diff["submission"]["state"], diff["submission"]["problem"]) == (
        "unreadable",
        "The bundle is damaged.",
    )
    assert codes(reviewer, session)["submission_unreadable"] == 1
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == content
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] is None


def test_another_submission_replaces_an_unreadable_one(start, reviewer, store):
    candidate, session = start()
    for content in (b"# v2 git bundle\n", bundle_of_blobs(a=b"1\n")):
        submit_work(candidate, content)
        read(store)
    assert shown(reviewer, session)["submission"]["state"] == "read"
    assert codes(reviewer, session).get("submission_unreadable") is None


def test_a_zip_archive_is_not_read(start, reviewer, store):
    candidate, session = start()
    headers = {"Content-Type": "application/zip"}
    candidate.request("PUT", "/v1/candidate/submission", data=b"PK\3\4", headers=headers)
    sessions.complete(session)
    read(store)
    assert final_diff(reviewer, session)["files"] == []
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] is None
    assert codes(reviewer, session).keys().isdisjoint({"base_unverified", "submission_unreadable"})


def test_a_changed_ratio_is_found(start, reviewer, store, clock):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    sessions.complete(session)
    clock.fixed += AFTER_FLUSH
    sessions.seal_due()
    read(store)
    assert "metrics_changed" not in codes(reviewer, session)
    Session.update(manual_line_ratio=0).execute()
    assert "metrics_changed" in codes(reviewer, session)


# When it is read


def test_an_open_session_has_a_final_diff_and_no_ratio(start, reviewer, store):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    read(store)
    assert final_diff(reviewer, session)["submission"]["manualLines"] == 1
    assert Session.get_by_id(session.id).manual_line_ratio is None


def test_events_that_count_after_the_close_explain_lines_and_late_ones_do_not(start, reviewer, store, clock):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n2\n3\n4\n"))
    add_event(session, change("a", "@@ -0,0 +1 @@\n+1\n"))
    read(store)
    sessions.complete(session)
    read(store)
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 0.75
    clock.fixed += timedelta(minutes=5)
    add_event(session, change("a", "@@ -1 +1,2 @@\n 1\n+2\n", at=1))
    sessions.close_all_due()
    read(store)
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 0.5
    clock.fixed += AFTER_FLUSH
    add_event(session, change("a", "@@ -2 +2,2 @@\n 2\n+3\n", at=2))
    sessions.close_all_due()
    read(store)
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 0.5
    assert Submission.get().retry_at is None


def test_a_submission_is_read_again_only_when_events_have_changed(start, store, clock, monkeypatch):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    sessions.complete(session)
    calls = []
    run = submissions.run
    monkeypatch.setattr(submissions, "run", lambda *arguments: calls.append(1) or run(*arguments))
    for _ in range(20):
        read(store)
        clock.fixed += timedelta(minutes=1)
    assert (len(calls), Submission.get().retry_at) == (1, None)


def test_the_findings_of_a_checked_session_are_checked_again(start, reviewer, store, clock):
    candidate, session = start(repo_url=REPOSITORY)
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    sessions.complete(session)
    clock.fixed += AFTER_FLUSH
    sessions.seal_due()
    check_sealed()
    assert "base_unverified" not in Session.get_by_id(session.id).integrity_codes
    read(store)
    check_sealed()
    assert "base_unverified" in Session.get_by_id(session.id).integrity_codes


def test_the_ratio_is_in_no_average_and_no_rank(start, reviewer, store, clock):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    sessions.complete(session)
    before = reviewer.get(f"/v1/assessments/{session.assessment_id}/cohort-stats").json
    read(store)
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 1
    assert reviewer.get(f"/v1/assessments/{session.assessment_id}/cohort-stats").json == before
    assert "manualLine" not in str(before)


def test_after_an_erasure_the_ratio_stays_and_the_diff_does_not(start, reviewer, store):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(secret=b"1\n"))
    sessions.complete(session)
    read(store)
    assert reviewer.delete(f"/v1/candidates/{session.key_id}/data").status_code == 200
    assert SubmissionFile.select().count() == 0
    assert shown(reviewer, session)["metrics"]["manualLineRatio"] == 1


def test_an_erasure_while_it_is_read_leaves_nothing(start, reviewer, store, monkeypatch):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(secret=b"1\n"))
    run = submissions.run

    def run_and_erase(*arguments):
        run(*arguments)
        reviewer.delete(f"/v1/candidates/{session.key_id}/data")

    monkeypatch.setattr(submissions, "run", run_and_erase)
    read(store)
    assert Submission.select().count() == SubmissionFile.select().count() == TaskFailure.select().count() == 0


# Failures


def script(monkeypatch, text):
    monkeypatch.setattr(submissions, "COMMAND", (sys.executable, "-c", text))


@pytest.mark.parametrize(
    "text",
    [
        "import os; os.kill(os.getpid(), 11)",
        "raise SystemExit(1)",
        "print('{\"head\"')",
        "print('null')",
        "import time; time.sleep(60)",
    ],
)
def test_a_process_that_fails_is_tried_three_times(start, reviewer, store, clock, monkeypatch, text):
    candidate, session = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    script(monkeypatch, text)
    monkeypatch.setattr(submissions, "MAX_SECONDS", 0.3)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert Submission.get().state == "waiting"
        read(store)
        read(store)  # not before the pause
        assert Submission.get().attempts == attempt
        clock.fixed += RETRY_PAUSE
    assert shown(reviewer, session)["submission"]["state"] == "unreadable"
    assert TaskFailure.select().count() == 0


def test_a_process_that_hangs_is_killed(start, store, monkeypatch, tmp_path):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    script(
        monkeypatch,
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)",
    )
    monkeypatch.setattr(submissions, "MAX_SECONDS", 0.5)
    read(store)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_worker_that_was_killed_while_reading_is_an_attempt(start, store, clock):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    for _ in range(MAX_ATTEMPTS):
        (due,) = reading.due()
        assert reading.claim(due)
        clock.fixed += timedelta(hours=1)
    read(store)
    assert Submission.get().state == "unreadable"


def test_one_worker_at_a_time_reads_a_submission(start, store):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    (first,), (second,) = reading.due(), reading.due()
    assert reading.claim(first)
    assert not reading.claim(second)
    assert reading.due() == []


def test_an_outage_of_the_store_is_no_attempt(start, store, clock, monkeypatch):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))

    def fail(object_key):
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(store, "size_and_sha256", fail)
        for _ in range(MAX_ATTEMPTS + 2):
            read(store)
            clock.fixed += RETRY_PAUSE
    assert (Submission.get().state, Submission.get().attempts) == ("waiting", 0)
    read(store)
    assert Submission.get().state == "read"


def test_a_bundle_that_was_replaced_in_the_store_is_unreadable(start, store):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    (file,) = store.folder.iterdir()
    file.write_bytes(bundle_of_blobs(a=b"2\n"))
    read(store)
    assert (Submission.get().state, Submission.get().problem) == ("unreadable", submissions.CHANGED)


def test_the_process_has_no_environment_no_other_files_and_limits(start, store, monkeypatch, tmp_path):
    candidate, _ = start()
    submit_work(candidate, bundle_of_blobs(a=b"1\n"))
    monkeypatch.setenv("SEAL_KEYS", "secret")
    text = f"""
import os, resource
from git_bundles.__main__ import limit_resources
limit_resources()
limits = [sorted(set(os.environ) - {{"LC_CTYPE"}}), sorted(os.listdir("/proc/self/fd"))[:5]]
limits += [resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
open({str(tmp_path / "limits")!r}, "w").write(repr(limits))
"""
    script(monkeypatch, text)
    read(store)
    environment, files, memory, seconds = eval((tmp_path / "limits").read_text())
    assert environment == []
    assert files == ["0", "1", "2", "3"]  # the last one lists the folder
    assert (memory, seconds) == ((512 * 1024 * 1024,) * 2, (60, 60))
