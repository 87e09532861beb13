"""Hosted repositories: read-only smart HTTP for git clients (docs/workspace.md#hosted-repositories).

A repository is one stored pack that every clone gets as a whole, so a request needs little memory and no temporary
file. Clients of protocol versions 1 and 2 accept the responses of version 0.
"""

import logging
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from dulwich.errors import GitProtocolError
from dulwich.protocol import PktLineParser, pkt_line, pkt_seq
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

import errors
from access import concurrency, credential_throttling
from blueprints import require_unchanged, store
from errors import build_response
from models import Session
from web.access_log import record_caller
from web.json import MAX_BODY_BYTES

UPLOAD_PACK = "git-upload-pack"
SIDE_BAND = b"side-band-64k"
CAPABILITIES = SIDE_BAND + b" shallow ofs-delta no-progress symref=HEAD:refs/heads/main agent=proofstone"
NOT_FOUND = (
    "This repository does not exist, or its session has ended. Copy the URL from your assessment page, or run the "
    "command on it."
)
READ_ONLY = "This repository is read-only. To submit your work, run ./submit."
DAMAGED = "The repository cannot be read right now. Retry later, or tell the person who invited you."
MAX_BAND_BYTES = 65_515
FLUSH = pkt_line(None)

blp = Blueprint("git", __name__, url_prefix="/git/<repository_token>/task.git")
log = logging.getLogger("proofstone")


@blp.errorhandler(HTTPException)
def respond(error: HTTPException) -> Any:
    """Respond with plain text, which git shows."""
    body, status, headers = build_response(error)
    return Response(f"{body['error']}\n", status, headers, mimetype="text/plain")


@blp.after_request
def set_headers(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.get("/info/refs")
@concurrency.clone
def advertise(repository_token):
    """List the references: HEAD and refs/heads/main."""
    repository = _find(repository_token)
    if request.args.get("service") != UPLOAD_PACK:
        return Response(f"{READ_ONLY}\n", 403, mimetype="text/plain")
    _require_intact(repository)
    commit = repository.commit_id.encode()
    references = (b"%b HEAD\0%b\n" % (commit, CAPABILITIES), b"%b refs/heads/main\n" % commit)
    body = pkt_seq(b"# service=%b\n" % UPLOAD_PACK.encode()) + pkt_seq(*references)
    return Response(body, mimetype=f"application/x-{UPLOAD_PACK}-advertisement")


@blp.post("/git-upload-pack")
@concurrency.clone
def upload_pack(repository_token):
    """Send the pack, if the client has finished its request."""
    repository = _find(repository_token)
    lines, rest = _read_lines(_read_body())
    wants = [line.split() for line in lines if line.startswith(b"want ")]
    commit = repository.commit_id.encode()
    if any(name != commit for _, name, *_ in wants):
        return _result([pkt_line(b"ERR The repository has only the commit %b." % commit)])
    # The commit has no parents, so no depth cuts its history: the list of shallow commits is empty.
    head = FLUSH if any(line.startswith(b"deepen") for line in lines) else b""
    if not wants or not rest:
        return _result([head])
    head += pkt_line(b"NAK\n")
    if b"done" not in rest:
        return _result([head])
    _require_intact(repository)
    chunks = store().chunks(repository.object_key)
    return _result(_send(head, chunks, has_bands=SIDE_BAND in wants[0]))


def _find(token: str) -> Any:
    """Return the repository with this token, a TaskFile. Raises KeyNotFound."""
    with credential_throttling.lookup_secret(token):
        session = Session.find_by_repository(token)
        if session is None:
            raise errors.KeyNotFound(NOT_FOUND)
    record_caller("candidate", session.key_id)
    return session.repository


def _require_intact(repository: Any) -> None:
    """Raise StoreUnavailable if the stored file is lost or was changed."""
    try:
        require_unchanged(repository.object_key, repository.size, repository.sha256)
    except (errors.NotFound, errors.BundleChanged, errors.TooLarge):
        log.error("The bundle store has lost or changed repository %s.", repository.id)
        raise errors.StoreUnavailable(DAMAGED) from None


def _send(head: bytes, bundle: Iterator[bytes], has_bands: bool) -> Iterator[bytes]:
    """Yield the response: its head, and the bundle's pack, which follows an empty line."""
    yield head
    pack = chain((next(bundle).partition(b"\n\n")[2],), bundle)
    if not has_bands:
        yield from pack
        return
    for chunk in pack:
        for start in range(0, len(chunk), MAX_BAND_BYTES):
            yield pkt_line(b"\1" + chunk[start : start + MAX_BAND_BYTES])
    yield FLUSH


def _result(chunks: Iterable[bytes]) -> Response:
    return Response(chunks, mimetype=f"application/x-{UPLOAD_PACK}-result")


def _read_body() -> bytes:
    """Return the body of at most 1 MiB. Git compresses bodies over 1 KiB."""
    body = request.get_data()
    if request.content_encoding in ("gzip", "x-gzip"):
        try:
            inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
            body = inflater.decompress(body, MAX_BODY_BYTES + 1)
        except zlib.error:
            raise errors.Invalid("The request body is not valid gzip.") from None
        if len(body) > MAX_BODY_BYTES:
            raise errors.TooLarge()
    return body


def _read_lines(body: bytes) -> tuple[list[bytes], list[bytes | None]]:
    """Return the request's lines before and after the first flush. None is a flush."""
    lines: list[bytes | None] = []
    try:
        PktLineParser(lines.append).parse(body)
        end = lines.index(None)
    except (GitProtocolError, ValueError):
        raise errors.ApiError("The request is not git's.") from None
    before = [line.strip() for line in lines[:end] if line]
    return before, [line and line.strip() for line in lines[end + 1 :]]
