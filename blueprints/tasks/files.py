"""Assessments' and problems' tasks: repository, hidden tests, reference solution, and checks (docs/tasks.md)."""

from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from flask import request

import errors
from access import audit, auth, caller, concurrency, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, or_not_found, store
from models import ApiToken, Assessment, Issue, TaskCheck, TaskFile
from models.tasks import queue
from models.tasks.files import REFERENCE, REPOSITORY, TESTS
from ops import task_files
from rules.archives import TAR, ZIP
from schemas import task_files as schemas
from schemas import test_runs
from schemas.base import Deleted
from storage.base import copy_body, validate_length

blp = Blueprint("Tasks", __name__, description="Tasks that the service hosts and tests.")

ARCHIVES = {"application/zip": ZIP, "application/gzip": TAR}
BODY = "The body is a zip archive (`application/zip`) or a tar.gz (`application/gzip`)"


class Kind(NamedTuple):
    """A kind of file: its formats by media type, and the documentation of its operations."""

    name: str
    schema: Any
    formats: dict[str, str]
    upload: str
    errors: tuple[Any, ...] = ()


KINDS = {
    REPOSITORY: Kind(
        "repository",
        schemas.TaskRepositoryResponse,
        ARCHIVES | {"application/x-git-bundle": "git"},
        f"{BODY}, or a git bundle (`application/x-git-bundle`), of at most 64 MiB. The service hosts its files as one "
        "commit, and `repoUrl` and `repoCommit` become null. Candidates who have started keep their version.",
        (errors.AlreadyStarted,),
    ),
    TESTS: Kind(
        "hidden tests",
        schemas.TaskTestsResponse,
        ARCHIVES,
        f"{BODY} of at most 20 MiB, with `tests.json` in its root.",
    ),
    REFERENCE: Kind(
        "reference solution",
        schemas.TaskReferenceResponse,
        ARCHIVES | {"text/x-patch": task_files.PATCH},
        f"{BODY} of at most 20 MiB, with the files that the solution adds or changes, or a patch (`text/x-patch`) of "
        "at most 5 MiB, which is applied to the current repository.",
        (errors.NoRepository,),
    ),
}
BODY_ERRORS = (errors.TaskFileType, errors.Invalid, errors.LengthRequired, errors.TooLarge, errors.Incomplete)


def _receive(owner: Any, kind: str) -> Any:
    """Read and convert the body, and store it without its row."""
    format = KINDS[kind].formats.get(request.mimetype)
    if format is None:
        raise errors.TaskFileType()
    max_bytes = task_files.MAX_PATCH_BYTES if format == task_files.PATCH else task_files.MAX_BYTES[kind]
    length = validate_length(request.content_length)
    if length > max_bytes:
        raise errors.TooLarge()
    bundles, request.max_content_length = store(), max_bytes  # without a database connection from here
    with TemporaryFile() as body:
        copy_body(request.stream, length, body)
        body.seek(0)
        return task_files.prepare(caller.organization, owner.id, kind, format, body, bundles)


def _named(name: str, title: str, description: str) -> Callable:
    """Set a view's name and documentation."""

    def decorate(view: Any) -> Any:
        view.__name__, view.__doc__ = name, f"{title}\n\n{description}"
        return view

    return decorate


def _find_own(ids: dict[str, Any]) -> Any:
    """Find the path's assessment, or the organization's own problem."""
    if "issue_id" in ids:
        return find(Issue, ids["issue_id"], Issue.owned_by(caller))
    return find(Assessment, ids["assessment_id"])


def _add_file(model: Any, noun: str, kind: str) -> None:
    """Add the operations of a kind of file below an assessment or a problem."""
    name, schema, _, upload, own_errors = KINDS[kind]
    path = f"/{noun}s/<id:{noun}_id>/{kind}"

    @blp.put(path)
    @auth.required(ApiToken, scope="write")
    @concurrency.limit(concurrency.LARGE_BODY, lambda **ids: True)
    @raises(*BODY_ERRORS, errors.StoreUnavailable, *own_errors)
    @blp.response(200, schema)
    @audit.record_change(prepare=lambda **ids: _receive(_find_own(ids), kind))
    @_named(
        f"receive_{noun}_{kind}", f"Upload an {noun}'s {name}", f"{upload} Replaces the previous version."
    )
    def receive(prepared, **ids):
        return {kind: TaskFile.store(_find_own(ids), prepared)}

    @blp.get(path)
    @auth.required(ApiToken)
    @blp.response(200, schema)
    @_named(
        f"get_{noun}_{kind}", f"Get an {noun}'s {name}", "Its metadata. The content cannot be downloaded."
    )
    def get(**ids):
        return {kind: or_not_found(TaskFile.find(find(model, ids[f"{noun}_id"]).id, kind))}

    @blp.delete(path)
    @auth.required(ApiToken, scope="write")
    @blp.response(200, Deleted)
    @audit.record_change()
    @_named(
        f"delete_{noun}_{kind}", f"Delete an {noun}'s {name}", "Sessions and test runs keep their version."
    )
    def delete(**ids):
        removed = TaskFile.remove(_find_own(ids), kind)
        return {"ok": True, "id": or_not_found(next(iter(removed), None)).id}


def _add_check(noun: str) -> None:
    """Add the operations of the check of an assessment's or a problem's task."""
    path = f"/{noun}s/<id:{noun}_id>/tests/check"

    @blp.get(path)
    @auth.required(ApiToken)
    @blp.response(200, test_runs.CheckResponse)
    @_named(
        f"get_{noun}_check",
        f"Get the latest check of an {noun}'s task",
        "Names the tests that count, and the reason why the task is not ready.",
    )
    def get(**ids):
        return {"check": or_not_found(TaskCheck.latest(_find_own(ids).id))}

    @blp.post(path)
    @auth.required(ApiToken, scope="write")
    @idempotent
    @raises(errors.TaskIncomplete, errors.CheckRunning)
    @blp.response(202, test_runs.CheckResponse)
    @audit.record_change()
    @_named(
        f"check_{noun}",
        f"Check an {noun}'s task",
        "Runs the hidden tests once on the repository and five times on the reference solution. Submissions are tested "
        "once the task is ready.",
    )
    def start(**ids):
        return {"check": queue.start_check(_find_own(ids))}


for _model, _noun in ((Assessment, "assessment"), (Issue, "issue")):
    for _kind in KINDS:
        _add_file(_model, _noun, _kind)
    _add_check(_noun)
