"""The runner's operations: claim a job, download its inputs, report its result (docs/runner.md)."""

import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from flask import Response, current_app, request

import config
from access import audit, auth, caller, concurrency, raises
from blueprints import Blueprint, find, or_not_found, require_unchanged, store
from errors import BundleChanged, ClaimLost, InputUnavailable, NotFound, StoreUnavailable, TooLarge
from git_bundles import Unreadable
from git_bundles.process import Interrupted, export_files
from models import RunnerToken, TestRun, db
from models.database import release_connection
from models.sessions.submissions import GIT, TAR, ZIP
from models.tasks import claims
from models.tasks.runs import RUNNING
from schemas import runners as schemas
from storage.base import CHUNK_BYTES
from web.json import MAX_EVENT_BYTES, body_limit
from web.sockets import is_closed, stopping

POLL_SECONDS = 1
WAITING_CLAIMS = "waiting_claims"
MEDIA_TYPE = "application/octet-stream"
# Formats of a job's inputs, by their formats in the store
SENT_FORMATS = {GIT: "tar", ZIP: "zip", TAR: "tar.gz"}

blp = Blueprint("Runner", __name__, description="Jobs for runners. Only a runner's token can call these.")


@blp.record_once
def limit_waiting_claims(state: Any) -> None:
    """Let waiting claims use a quarter of the threads without model calls."""
    quarter = max(1, config.other_threads(state.app.config) // 4)
    state.app.extensions[WAITING_CLAIMS] = threading.BoundedSemaphore(quarter)


@blp.post("/runner/jobs/claim")
@auth.required(RunnerToken, lookups=auth.RUNNER_LOOKUPS)
@blp.arguments(schemas.Claim)
@blp.response(200, schemas.ClaimedJob)
@blp.alt_response(204, description="No job.")
def claim_job(data):
    """Claim a job

    Waits for one. A token of an organization gets only its jobs.
    """
    job = _claim(data) or _wait_for_claim(data)
    return {"job": job} if job else Response(status=204)


def _claim(data: dict[str, Any]) -> dict[str, Any] | None:
    if not claims.has_job(caller):
        return None
    with db.atomic():
        run = claims.claim(caller, data["runner"], data["engine"])
        if run is None:
            return None
        audit.record_runner(run, "claimJob")
    try:
        return _job(run)
    except ClaimLost:
        with suppress(NotFound):  # erased in the meantime
            claims.end_replaced(run)
        return None


def _job(run: TestRun) -> dict[str, Any]:
    inputs: dict[str, Any] = {"reference": None}
    for name, (_, format) in claims.find_inputs(run).items():
        inputs[name] = {"url": f"/v1/runner/jobs/{run.id}/inputs/{name}", "format": SENT_FORMATS[format]}
    return {
        "id": run.id,
        "attempt": run.attempts,
        "purpose": run.purpose,
        "lease_seconds": claims.LEASE.seconds,
        "settings": run.tests.settings,
        "inputs": inputs,
    }


def _wait_for_claim(data: dict[str, Any]) -> dict[str, Any] | None:
    """Poll until there is a job, the time is over, the runner has disconnected, or this process stops."""
    slots = current_app.extensions[WAITING_CLAIMS]
    deadline = time.monotonic() + data["wait_seconds"]
    if not data["wait_seconds"] or not slots.acquire(blocking=False):
        return None
    try:
        while (remaining := deadline - time.monotonic()) > 0:
            release_connection()
            if stopping.wait(min(POLL_SECONDS, remaining)):
                return None
            client = request.environ.get("gunicorn.socket")
            # Otherwise, a job that a stopped runner claims would wait for the end of its lease.
            if client is not None and is_closed(client):
                return None
            if job := _claim(data):
                return job
        return None
    finally:
        slots.release()


@blp.post("/runner/jobs/<id:job_id>/heartbeat")
@auth.required(RunnerToken, lookups=auth.RUNNER_LOOKUPS)
@raises(ClaimLost)
@blp.arguments(schemas.Heartbeat)
@blp.response(200, schemas.RenewedLease)
def renew_job(data, job_id):
    """Renew a job's lease

    Send it every 20 seconds. After 404 or `claim_lost`, stop the job.
    """
    claims.renew(_find(job_id), caller, data["attempt"])
    return {"lease_seconds": claims.LEASE.seconds}


@blp.put("/runner/jobs/<id:job_id>/result")
@auth.required(RunnerToken, lookups=auth.RUNNER_LOOKUPS)
@concurrency.large_body
@body_limit(MAX_EVENT_BYTES)
@raises(ClaimLost)
@blp.arguments(schemas.JobResult)
@blp.response(200, schemas.RecordedResult)
def record_job_result(data, job_id):
    """Report a job's result

    Can be repeated. The service compares the tests with the known ones, masks secrets, and truncates outputs to 16 KiB
    a test and 1 MiB in all.
    """
    run = _find(job_id)
    with db.atomic():
        if claims.record_result(run, caller, data["attempt"], data):
            audit.record_runner(run, "recordJobResult")
    return {"ok": True}


@blp.get("/runner/jobs/<id:job_id>/inputs/<name>")
@auth.required(RunnerToken, lookups=auth.RUNNER_LOOKUPS)
@concurrency.limit(concurrency.LONG_READ, lambda **path: True)
@raises(ClaimLost, InputUnavailable, StoreUnavailable)
@blp.response(
    200, {"type": "string", "format": "binary"}, content_type=MEDIA_TYPE, description="The archive."
)
def get_job_input(job_id, name):
    """Download a job's input

    `work`, `tests` or `reference`, in the format that the job states. A submitted git bundle is sent as a tar of its
    HEAD's files. After an error other than `claim_lost`, report the job as `failed` with its message. A submission is
    untrusted: unpack it in the sandbox.
    """
    run = _find(job_id)
    if name not in schemas.JobInputs().fields:
        raise NotFound()
    if run.state != RUNNING or run.runner_token_id != caller.id:
        raise ClaimLost()
    file, format = or_not_found(claims.find_inputs(run).get(name))
    try:
        require_unchanged(file.object_key, file.size, file.sha256)
        response = _export(file.object_key) if format == GIT else Response(store().chunks(file.object_key))
    except (NotFound, BundleChanged, TooLarge, Interrupted):
        raise InputUnavailable() from None
    except Unreadable as problem:
        raise InputUnavailable(str(problem)) from None
    response.mimetype = MEDIA_TYPE
    return response


def _export(object_key: str) -> Response:
    """Send a git bundle as a tar of its files."""
    with ExitStack() as stack, tempfile.TemporaryFile() as bundle:
        output = stack.enter_context(tempfile.TemporaryFile())
        store().copy_to_file(object_key, bundle)
        export_files(bundle, output)
        response = Response(iter(partial(output.read, CHUNK_BYTES), b""))
        response.call_on_close(stack.pop_all().close)
    return response


def _find(job_id: Any) -> TestRun:
    return find(TestRun, job_id, claims.jobs(caller))
