"""Files of assessments' and problems' tasks: repository, hidden tests, reference solution (docs/tasks.md)."""

from tempfile import TemporaryFile
from typing import Any

from flask import request

import errors
from access import audit, auth, caller, concurrency, raises
from blueprints import Blueprint, find, or_not_found, store
from models import ApiToken, Assessment, Issue, TaskFile
from models.database import release_connection
from models.tasks.files import REFERENCE, REPOSITORY, TESTS
from ops import task_files
from rules.archives import TAR, ZIP
from schemas import task_files as schemas
from schemas.base import Deleted
from storage.base import copy_body, validate_length

blp = Blueprint("Tasks", __name__, description="Files of tasks that the service hosts and tests.")

ARCHIVES = {"application/zip": ZIP, "application/gzip": TAR}
FORMATS = {
    REPOSITORY: ARCHIVES | {"application/x-git-bundle": "git"},
    TESTS: ARCHIVES,
    REFERENCE: ARCHIVES | {"text/x-patch": task_files.PATCH},
}
SCHEMAS = {
    REPOSITORY: schemas.TaskRepositoryResponse,
    TESTS: schemas.TaskTestsResponse,
    REFERENCE: schemas.TaskReferenceResponse,
}
NAMES = {REPOSITORY: "repository", TESTS: "hidden tests", REFERENCE: "reference solution"}
UPLOADS = {
    REPOSITORY: "A zip archive, a tar.gz or a git bundle of at most 64 MiB. The service hosts its files as one commit, "
    "and `repoUrl` and `repoCommit` become null. Candidates who have started keep their version.",
    TESTS: "A zip archive or a tar.gz of at most 20 MiB, with `tests.json` in its root.",
    REFERENCE: "A zip archive or a tar.gz of at most 20 MiB with the files that the solution adds or changes, or a "
    "patch of at most 5 MiB, which is applied to the current repository.",
}
UPLOAD_ERRORS = (
    *(errors.TaskFileType, errors.Invalid, errors.LengthRequired, errors.TooLarge, errors.Incomplete),
    errors.StoreUnavailable,
)
KIND_ERRORS = {REPOSITORY: [errors.AlreadyStarted], TESTS: [], REFERENCE: [errors.NoRepository]}


def _find_owner(model: Any, row_id: Any, writes: bool = False) -> Any:
    """Find the assessment or problem. Only the organization's own problems can be changed."""
    return find(model, row_id, Issue.owned_by(caller) if writes and model is Issue else None)


def _receive(owner: Any, kind: str) -> Any:
    """Read and convert the body, and store it without its row."""
    format = FORMATS[kind].get(request.mimetype)
    if format is None:
        raise errors.TaskFileType()
    max_bytes = task_files.MAX_PATCH_BYTES if format == task_files.PATCH else task_files.MAX_BYTES[kind]
    length = validate_length(request.content_length)
    if length > max_bytes:
        raise errors.TooLarge()
    bundles, request.max_content_length = store(), max_bytes
    release_connection()
    with TemporaryFile() as body:
        copy_body(request.stream, length, body)
        body.seek(0)
        return task_files.prepare(caller.organization, owner.id, kind, format, body, bundles)


def _add_operations(model: Any, noun: str, kind: str) -> None:
    """Add the operations of a kind of file below an assessment or a problem."""
    parameter, name = f"{noun}_id", NAMES[kind]
    path = f"/{noun}s/<id:{parameter}>/{kind}"
    of_owner = f"an {noun}'s {name}"

    def receive(prepared: Any, **ids: Any) -> Any:
        return {kind: TaskFile.store(_find_owner(model, ids[parameter], writes=True), prepared)}

    def get(**ids: Any) -> Any:
        return {kind: or_not_found(TaskFile.find(_find_owner(model, ids[parameter]).id, kind))}

    def delete(**ids: Any) -> Any:
        removed = TaskFile.remove(_find_owner(model, ids[parameter], writes=True), kind)
        return {"ok": True, "id": or_not_found(next(iter(removed), None)).id}

    for view, summary, description in (
        (receive, f"Upload {of_owner}", f"{UPLOADS[kind]} Replaces the previous version."),
        (get, f"Get {of_owner}", "Metadata and digests. The content cannot be downloaded."),
        (delete, f"Delete {of_owner}", "Sessions and test runs that use this version keep it."),
    ):
        view.__name__ = f"{view.__name__}_{noun}_{kind}"
        view.__doc__ = f"{summary}\n\n{description}"

    prepare = audit.record_change(
        prepare=lambda **ids: _receive(_find_owner(model, ids[parameter], writes=True), kind)
    )
    receive = blp.response(200, SCHEMAS[kind])(prepare(receive))
    receive = raises(*UPLOAD_ERRORS, *KIND_ERRORS[kind])(receive)
    receive = concurrency.limit(concurrency.LARGE_BODY, lambda **ids: True)(receive)
    blp.put(path)(auth.required(ApiToken, scope="write")(blp.doc(requestBody=_body(kind))(receive)))

    get = blp.response(200, SCHEMAS[kind])(get)
    blp.get(path)(auth.required(ApiToken)(get))

    delete = blp.response(200, Deleted)(audit.record_change()(delete))
    blp.delete(path)(auth.required(ApiToken, scope="write")(delete))


def _body(kind: str) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"required": True, "content": dict.fromkeys(FORMATS[kind], binary)}


for _kind in FORMATS:
    _add_operations(Assessment, "assessment", _kind)
    _add_operations(Issue, "issue", _kind)
