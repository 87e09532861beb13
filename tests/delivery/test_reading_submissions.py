"""The worker reads submissions: the final diff, lines that no agent added, and failures."""

import os
import shutil
import sys
from datetime import timedelta

import pytest
from bundle_stores import make_zip
from factories import (
    add_event,
    envelope,
    make_key,
    make_recorded_session,
    record,
)
from response_checks import body_of

import git_bundles
from delivery.worker import submissions
from errors import StoreUnavailable
from git_bundles import MAX_OBJECT_BYTES
from models import Session, Submission, SubmissionFile, TaskFailure, sessions
from models.ledger.integrity import check_closed
from models.sessions.submissions import reading
from models.sessions.submissions.reading import LOST_RETRY_DELAY, MAX_ATTEMPTS, MAX_DUE, RETRY_DELAY
from rules.events.recorded_events import RecordedEvent
from tests.delivery.conftest import ONE_LINE
from tests.git_bundles.bundles import bundle, bundle_of_blobs, commit, git, make_repository

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
AFTER_FLUSH = timedelta(minutes=10, seconds=1)
REPOSITORY = "https://git.example.com/orders"


def change(path, diff="", kind="file_diff", attribution="likely_ai", at=0, **data):
    return envelope(kind, at, {"path": path, "diff": diff} | data, provenance={"attribution": attribution})


def get_session(reviewer, session):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}"))


def recorded_line_ratio(reviewer, session):
    return get_session(reviewer, session)["metrics"]["recordedLineRatio"]


def final_diff(reviewer, session, **query):
    return body_of(reviewer.get(f"/v1/sessions/{session.id}/final-diff", **query))


def codes(reviewer, session):
    findings = body_of(reviewer.get(f"/v1/sessions/{session.id}/integrity"))["findings"]
    return {finding["code"]: finding["count"] for finding in findings}


@needs_git
def test_the_final_diff_has_the_ranges_that_no_agent_added(start, submit, read, reviewer, tmp_path):
    base = make_repository(tmp_path / "work", {"orders.py": "import json\n"})
    session = start(repo_url=REPOSITORY)
    session.assessment.update_columns(repo_commit=base)
    add_event(session, change("orders.py", "@@ -1 +1,3 @@\n import json\n+import csv\n+\n"))
    add_event(session, change("/home/alice/work/new.py", kind="file_create", content="one\ntwo\n"))
    add_event(session, change("new.py", "@@ -0,0 +1 @@\n+three\n", attribution="likely_human"))
    work = {"orders.py": "import json\nimport csv\n\nimport time\n", "new.py": "one\nthree\nfour\n  two\n"}
    head = commit(tmp_path / "work", work)
    submit(bundle(tmp_path / "work"), session)
    sessions.complete(session)
    read()
    diff = final_diff(reviewer, session)
    for name in ("receivedAt", "sha256", "size"):
        del diff["submission"][name]
    assert diff["submission"] == {
        "format": "git", "state": "read", "problem": None, "baseVerified": True, "baseCommit": base,
        "headCommit": head, "countedLines": 6, "notRecordedLines": 3,
    }  # fmt: skip
    ranges = {file["path"]: file["notRecordedRanges"] for file in diff["files"]}
    assert ranges == {"new.py": [[2, 3]], "orders.py": [[4, 4]]}
    assert recorded_line_ratio(reviewer, session) == 0.5
    assert codes(reviewer, session).keys().isdisjoint({"base_unverified", "submission_unreadable"})


def test_the_final_diffs_files_are_paginated(submit, read, reviewer):
    session = submit(bundle_of_blobs(c=b"c\n", a=b"a\n", b=b"b\n"))
    read()
    first = final_diff(reviewer, session, limit=2)
    assert ([file["path"] for file in first["files"]], first["total"]) == (["a", "b"], 3)
    second = final_diff(reviewer, session, limit=2, after=first["next"])
    assert ([file["path"] for file in second["files"]], second["next"]) == (["c"], None)


@pytest.mark.parametrize("commit_id", [None, "1" * 40, "not a commit"])
def test_without_a_base_there_is_no_final_diff(start, submit, read, reviewer, commit_id):
    session = start(repo_url=REPOSITORY)
    session.assessment.update_columns(repo_commit=commit_id)
    submit(ONE_LINE, session)
    sessions.complete(session)
    read()
    diff = final_diff(reviewer, session)
    assert (diff["submission"]["state"], diff["noDiffReason"], diff["files"]) == ("read", "no_base", [])
    assert diff["submission"]["baseVerified"] is False
    assert recorded_line_ratio(reviewer, session) is None
    assert codes(reviewer, session)["base_unverified"] == 1


@needs_git
def test_without_the_assessments_commit_the_base_is_the_workspaces(start, submit, read, reviewer, tmp_path):
    folder, session = tmp_path / "work", start(repo_url=REPOSITORY)
    base = make_repository(folder, {"orders.py": "import json\n"})
    git(folder, "update-ref", "refs/proofstone/base", base)
    commit(folder, {"orders.py": "import csv\n"})
    submit(bundle(folder, "HEAD", "refs/proofstone/base"), session)
    sessions.complete(session)
    read()
    diff = final_diff(reviewer, session)
    assert (diff["noDiffReason"], [file["path"] for file in diff["files"]]) == (None, ["orders.py"])
    assert (diff["submission"]["baseCommit"], diff["submission"]["baseVerified"]) == (base, False)
    assert recorded_line_ratio(reviewer, session) is None
    assert codes(reviewer, session)["base_unverified"] == 1


def test_an_unreadable_bundle_is_a_finding_and_is_kept(submit, read, reviewer):
    session = submit(ONE_LINE[:-30])
    sessions.complete(session)
    read()
    diff = final_diff(reviewer, session)
    assert (diff["noDiffReason"], diff["submission"]["problem"]) == ("unreadable", "The bundle is damaged.")
    assert codes(reviewer, session)["submission_unreadable"] == 1
    assert reviewer.get(f"/v1/sessions/{session.id}/submission").data == ONE_LINE[:-30]
    assert recorded_line_ratio(reviewer, session) is None


def test_a_new_submission_replaces_an_unreadable_submission(start, submit, read, reviewer):
    session = start()
    for content in (b"# v2 git bundle\n", ONE_LINE):
        submit(content, session)
        read()
    assert get_session(reviewer, session)["submission"]["state"] == "read"
    assert "submission_unreadable" not in codes(reviewer, session)


@pytest.mark.slow
def test_a_large_file_does_not_hide_the_others(submit, read, reviewer):
    session = submit(bundle_of_blobs(large=bytes(MAX_OBJECT_BYTES + 1), small=b"1\n"))
    read()
    diff = final_diff(reviewer, session)
    large, small = diff["files"]
    assert (large["isTooLarge"], large["size"], large["diff"]) == (True, MAX_OBJECT_BYTES + 1, None)
    assert (small["isTooLarge"], small["size"], small["linesAdded"]) == (False, None, 1)
    assert diff["submission"]["countedLines"] == 1


def test_a_zip_archive_has_no_diff(submit, read, reviewer):
    session = submit(make_zip(a="a"), media_type="application/zip")
    sessions.complete(session)
    assert final_diff(reviewer, session)["noDiffReason"] == "waiting"
    assert (read(), read()) == (1, 0)
    diff = final_diff(reviewer, session)
    assert (diff["noDiffReason"], diff["files"]) == ("stored", [])
    assert recorded_line_ratio(reviewer, session) is None
    assert codes(reviewer, session).keys().isdisjoint({"base_unverified", "submission_unreadable"})


@pytest.mark.bypasses_ledger
def test_a_changed_ratio_is_a_finding(submitted, read, reviewer, clock):
    clock.fixed += AFTER_FLUSH
    read()
    assert "metrics_changed" not in codes(reviewer, submitted)
    Session.update(recorded_line_ratio=1).execute()
    assert "metrics_changed" in codes(reviewer, submitted)


def test_an_open_session_has_a_final_diff_and_no_ratio(submit, read, reviewer):
    session = submit()
    read()
    assert final_diff(reviewer, session)["submission"]["notRecordedLines"] == 1
    assert Session.get_by_id(session.id).recorded_line_ratio is None


def test_events_after_the_close_change_the_ratio_until_they_are_late(submit, read, reviewer, clock):
    session = submit(bundle_of_blobs(a=b"1\n2\n3\n4\n"))
    add_event(session, change("a", "@@ -0,0 +1 @@\n+1\n"))
    read()
    sessions.complete(session)
    read()
    assert recorded_line_ratio(reviewer, session) == 0.25
    clock.fixed += timedelta(minutes=5)
    add_event(session, change("a", "@@ -1 +1,2 @@\n 1\n+2\n", at=1))
    sessions.close_all_due()
    read()
    assert recorded_line_ratio(reviewer, session) == 0.5
    clock.fixed += AFTER_FLUSH
    add_event(session, change("a", "@@ -2 +2,2 @@\n 2\n+3\n", at=2))
    sessions.close_all_due()
    read()
    assert recorded_line_ratio(reviewer, session) == 0.5
    assert Submission.get().retry_at is None


@pytest.mark.usefixtures("submitted")
def test_a_submission_is_read_once_without_new_events(read, clock, monkeypatch):
    runs = []
    run = submissions.run
    monkeypatch.setattr(submissions, "run", lambda *arguments: runs.append(1) or run(*arguments))
    for _ in range(20):
        read()
        clock.fixed += timedelta(minutes=1)
    assert (len(runs), Submission.get().retry_at) == (1, None)


def test_reading_updates_the_findings_of_a_checked_session(submit, read, clock):
    session = submit(repo_url=REPOSITORY)
    sessions.complete(session)
    clock.fixed += AFTER_FLUSH
    check_closed()
    assert "base_unverified" not in Session.get_by_id(session.id).integrity_codes
    read()
    check_closed()
    assert "base_unverified" in Session.get_by_id(session.id).integrity_codes


def test_cohort_statistics_do_not_include_the_ratio(submitted, read, reviewer):
    path = f"/v1/assessments/{submitted.assessment_id}/cohort-stats"
    before = reviewer.get(path).json
    read()
    assert recorded_line_ratio(reviewer, submitted) == 0
    assert reviewer.get(path).json == before
    assert "recordedLine" not in str(before)


def test_lines_of_an_unknown_tool_are_not_recorded_and_not_manual(submit, assessment, read, reviewer):
    session = submit(bundle_of_blobs(a=b"1\n2\n"), make_recorded_session(make_key(assessment)))
    record(session, "proxy", RecordedEvent("tool_use", {"toolName": "write_file"}, "1"), tool=None)
    sessions.complete(session)
    read()
    assert final_diff(reviewer, session)["submission"]["notRecordedLines"] == 2
    metrics = get_session(reviewer, session)["metrics"]
    assert (metrics["recordedLineRatio"], metrics["manualEditRatio"]) == (0, 0)
    assert not [name for name in metrics if "manualLine" in name]


def test_an_erasure_deletes_the_diff_and_keeps_the_ratio(submitted, read, reviewer):
    read()
    body_of(reviewer.delete(f"/v1/candidates/{submitted.key_id}/data"))
    assert SubmissionFile.select().count() == 0
    assert recorded_line_ratio(reviewer, submitted) == 0


def test_an_erasure_during_reading_deletes_everything(submitted, read, reviewer, monkeypatch):
    run = submissions.run

    def run_and_erase(*arguments):
        run(*arguments)
        reviewer.delete(f"/v1/candidates/{submitted.key_id}/data")

    monkeypatch.setattr(submissions, "run", run_and_erase)
    read()
    assert Submission.select().count() == SubmissionFile.select().count() == TaskFailure.select().count() == 0


def replace_process(monkeypatch, script):
    monkeypatch.setattr(git_bundles.process, "COMMAND", (sys.executable, "-c", script))


@pytest.mark.parametrize(
    "script",
    [
        "import os; os.kill(os.getpid(), 11)",
        "raise SystemExit(1)",
        "print('{\"head\"')",
        "print('null')",
        "import time; time.sleep(60)",
    ],
)
def test_a_failing_process_is_tried_three_times(submit, read, reviewer, clock, monkeypatch, script):
    session = submit()
    replace_process(monkeypatch, script)
    monkeypatch.setattr(submissions.process, "MAX_SECONDS", 0.3)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert Submission.get().state == "waiting"
        read()
        read()  # too early
        assert Submission.get().attempts == attempt
        clock.fixed += RETRY_DELAY
    assert get_session(reviewer, session)["submission"]["state"] == "unreadable"
    assert TaskFailure.select().count() == 0


def test_an_interrupted_comparison_keeps_what_was_read(submit, read, clock, monkeypatch):
    session = submit()
    read()
    sessions.complete(session)
    replace_process(monkeypatch, "raise SystemExit(1)")
    for _ in range(2 * MAX_ATTEMPTS):
        read()
        clock.fixed += LOST_RETRY_DELAY
    assert Submission.get().state == "read"


def test_a_hanging_process_is_killed(submit, read, monkeypatch, tmp_path):
    submit()
    file = tmp_path / "pid"
    script = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    replace_process(monkeypatch, script)
    monkeypatch.setattr(submissions.process, "MAX_SECONDS", 2)
    read()
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_a_killed_worker_has_used_an_attempt(submit, read, clock):
    submit()
    for _ in range(MAX_ATTEMPTS):
        (due,) = reading.due()
        assert reading.claim(due)
        clock.fixed += timedelta(hours=1)
    read()
    assert Submission.get().state == "unreadable"


def test_a_submission_is_claimed_by_one_worker(submit):
    submit()
    (first,), (second,) = reading.due(), reading.due()
    assert reading.claim(first)
    assert not reading.claim(second)
    assert reading.due() == []


def test_a_session_with_failed_attempts_does_not_delay_others(submit, clock):
    slow = submit()
    for _ in range(MAX_DUE):
        submit(session=slow)
    other = submit()
    first, second = reading.due()
    assert (first.session_id, second.session_id) == (slow.id, other.id)
    assert first == Submission.latest(slow)
    assert reading.claim(first)
    assert [due.session_id for due in reading.due()] == [other.id, slow.id]


def test_a_submission_is_read_before_the_earlier_ones_that_it_replaces(submit, read):
    session = submit()
    for number in range(3):
        submit(bundle_of_blobs(a=b"%d\n" % number), session=session)
    assert read() == 1
    assert [row.state for row in Submission.of(session)] == ["replaced"] * 3 + ["read"]
    assert read() == 0


def test_an_outage_of_the_store_uses_no_attempt(submit, read, store, clock, monkeypatch):
    submit()

    def fail(object_key):
        raise StoreUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(store, "size_and_sha256", fail)
        for _ in range(MAX_ATTEMPTS + 2):
            read()
            clock.fixed += RETRY_DELAY
    assert (Submission.get().state, Submission.get().attempts) == ("waiting", 0)
    read()
    assert Submission.get().state == "read"


def test_unreadable_bundles_are_read_again_by_command(submit, read, reviewer, flask, monkeypatch):
    session = submit()
    with monkeypatch.context() as patch:
        script = f"""print('{{"problem": "It is too large."}}'); raise SystemExit({git_bundles.UNREADABLE})"""
        replace_process(patch, script)
        read()
    assert get_session(reviewer, session)["submission"]["state"] == "unreadable"
    flask("submissions", "read", "--again")
    assert get_session(reviewer, session)["submission"]["state"] == "read"


def test_a_full_disk_is_a_failing_task_and_not_a_finding(submitted, read, reviewer, clock, monkeypatch):
    disk_full = f"raise SystemExit({git_bundles.DISK_FULL})"
    with monkeypatch.context() as patch:
        replace_process(patch, disk_full)
        for _ in range(MAX_ATTEMPTS + 2):
            read()
            clock.fixed += timedelta(hours=1)
    assert (Submission.get().state, Submission.get().attempts) == ("waiting", 0)
    assert TaskFailure.counts() == {"submissions": 1}
    read()
    assert get_session(reviewer, submitted)["submission"]["state"] == "read"
    assert TaskFailure.counts() == {}


def test_the_process_has_limits_and_no_environment_or_other_files(submit, read, monkeypatch, tmp_path):
    submit()
    monkeypatch.setenv("LEDGER_KEYS", "secret")
    file = tmp_path / "limits"
    script = f"""
import os, resource
from git_bundles.__main__ import limit_resources
limit_resources()
limits = [sorted(set(os.environ) - {{"LC_CTYPE"}}), sorted(os.listdir("/proc/self/fd"))[:5]]
limits += [resource.getrlimit(limit) for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
open({str(file)!r}, "w").write(repr(limits))
"""
    replace_process(monkeypatch, script)
    read()
    environment, files, memory, seconds = eval(file.read_text())
    assert environment == []
    assert files == ["0", "1", "2", "3"]  # listdir opened the last file
    assert (memory, seconds) == ((512 * 1024 * 1024,) * 2, (60, 60))
