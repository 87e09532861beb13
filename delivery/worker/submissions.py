"""Read submitted git bundles and zip archives, each in a separate process (git_bundles/)."""

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from errors import NotFound, StoreUnavailable, TooLarge, UnknownLedgerKey
from git_bundles import EMPTY_TREE, END, MAX_SECONDS, Unreadable, process
from git_bundles.process import Interrupted
from models import Event, Session, StorageMarker, Submission
from models.database import release_connection
from models.sessions.submissions import ZIP, reading
from models.sessions.submissions.reading import MAX_ATTEMPTS
from models.sessions.submissions.submission import UNREADABLE, WAITING
from models.task_failures import run_each
from rules.metrics.agent_lines import (
    BLANK,
    AgentLines,
    added_lines,
    collapse_ranges,
    expand_ranges,
    split_digests,
)
from storage import Storage

_COMMIT = re.compile("[0-9a-f]{4,40}", re.ASCII)
INTERRUPTED = (
    f"Reading the submission was interrupted {MAX_ATTEMPTS} times, or took longer than {MAX_SECONDS} seconds."
)

log = logging.getLogger("proofstone.worker")


class NotAsReceived(Exception):
    """The submission is missing in the store, or not the one that was received."""


def read_due(storage: Storage) -> int:
    """Read due submissions. Return the number of submissions read."""
    return run_each("submissions", reading.due(), lambda submission: _read(submission, storage))


def read_again(storage: Storage) -> None:
    """Look for all submissions in the store, and schedule an attempt to read those that could not be read."""
    # As a list: on SQLite, an open query rejects writes once another process has written.
    for submission in list(reading.received()):
        was_read = submission.state not in (WAITING, UNREADABLE)
        if was_read and not _is_stored(submission, storage):
            reading.record_lost(submission)
        elif submission.problem:
            reading.read_again(submission)


def _is_stored(submission: Submission, storage: Storage) -> bool:
    object_key: Any = submission.object_key
    try:
        return storage.size(object_key) == submission.size
    except NotFound:
        return False


def _read(submission: Submission, storage: Storage) -> int:
    if reading.is_up_to_date(submission):
        reading.finish(submission)
        return 1
    if not reading.claim(submission):
        return 0
    try:
        _read_claimed(submission, storage)
    except Unreadable as problem:
        reading.record_unreadable(submission, str(problem))
    except NotAsReceived:
        log.error("The bundle store has lost or changed submission %s.", submission.id)
        reading.record_lost(submission)
    except OSError:  # such as a full disk: doctor reports the failing task
        reading.retry_later(submission, counts=False)
        raise
    except (StoreUnavailable, UnknownLedgerKey) as error:
        log.warning("Submission %s will be read later. %s", submission.id, error)
        reading.retry_later(submission, counts=False)
    except Interrupted:
        log.warning("Reading submission %s was interrupted.", submission.id)
        if submission.attempts < MAX_ATTEMPTS:
            reading.retry_later(submission)
        else:
            reading.record_unreadable(submission, INTERRUPTED)
    return 1


def _read_claimed(submission: Submission, storage: Storage) -> None:
    if submission.attempts > MAX_ATTEMPTS:  # the worker itself was killed
        raise Unreadable(INTERRUPTED)
    session = submission.session
    base = _get_base_commit(session)
    StorageMarker.require(storage)
    release_connection()
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as output:
        _copy_object(submission, storage, file)
        if submission.format == ZIP:
            process.run(("check",), file, output)
            reading.record_zip(submission)
            return
        run(file, output, base)
        commits, *_ = _iterate_results(output)
        event_count = Session.get_by_id(session.id).event_count
        lines = _collect_agent_lines(session, output)
        files = (_build_columns(file, lines) for file in _iterate_files(output))
        reading.record_diff(submission, commits, files, event_count)


def _get_base_commit(session: Session) -> str | None:
    """Return the session's base commit, or None if its repository has no valid commit."""
    if not session.repository and not session.assessment.repo_url:
        return EMPTY_TREE
    commit = (session.repo_commit or "").strip().lower()
    return commit if _COMMIT.fullmatch(commit) else None


def _copy_object(submission: Submission, storage: Storage, file: IO[bytes]) -> None:
    object_key: Any = submission.object_key
    try:
        if storage.size_and_sha256(object_key) != (submission.size, submission.sha256):
            raise NotAsReceived()
        storage.copy_to_file(object_key, file)
    except (NotFound, TooLarge):
        raise NotAsReceived() from None


def run(bundle: IO[bytes], output: IO[bytes], base: str | None) -> None:
    """Read a bundle in a separate process. Raises like `process.run`.

    output -- file for the JSON lines from `git_bundles`
    """
    process.run(("diff", base) if base else ("diff",), bundle, output)
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - len(END)))
    if output.read() != END:
        raise Interrupted()


def _iterate_results(output: IO[bytes]) -> Iterator[dict[str, Any]]:
    output.seek(0)
    return map(json.loads, output)


def _iterate_files(output: IO[bytes]) -> Iterator[dict[str, Any]]:
    return (line for line in _iterate_results(output) if "path" in line)


def _collect_agent_lines(session: Session, output: IO[bytes]) -> AgentLines:
    """Collect the lines that the session's agents added, from events that count."""
    digests = {digest for file in _iterate_files(output) for digest in split_digests(file.get("digests", ""))}
    lines = AgentLines((file["path"] for file in _iterate_files(output)), digests)
    for _, envelope in Event.timeline(session):
        if change := added_lines(envelope):
            lines.add(*change)
        del envelope  # Free a potentially large envelope before reading the next one.
    return lines


def _build_columns(file: dict[str, Any], lines: AgentLines) -> dict[str, Any]:
    """Return the columns of models.SubmissionFile, including counted lines and lines that are not recorded."""
    digests = file.get("digests", "")
    added = zip(expand_ranges(file.get("added", [])), split_digests(digests), strict=True)
    not_recorded = list(lines.unrecorded_lines(file["path"], added))
    return {
        "path": file["path"],
        "old_path": file["oldPath"],
        "status": file["status"],
        "old_mode": file["oldMode"],
        "new_mode": file["newMode"],
        "is_binary": file["isBinary"],
        "is_truncated": file.get("isTruncated", False),
        "lines_added": file.get("linesAdded", 0),
        "lines_removed": file.get("linesRemoved", 0),
        "diff": file.get("diff"),
        "is_too_large": file["isTooLarge"],
        "size": file["size"],
        "not_recorded_ranges": collapse_ranges(not_recorded),
        "counted_lines": sum(digest != BLANK for digest in split_digests(digests)),
        "not_recorded_lines": len(not_recorded),
    }
