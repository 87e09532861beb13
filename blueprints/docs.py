"""The documents: where to begin, OpenAPI, and the pages that people see, which are the only HTML there is.

A page is a template in `pages/` with scripts and styles from the service itself, so that the policy can be strict.
"""

import gzip
import hashlib
import mimetypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Response, current_app, render_template, request

from blueprints import openapi, setting
from delivery.mail import commands
from errors import NotFound

PAGES = Path(__file__).parent.parent / "pages"
OWN_FILES = {file.name for file in PAGES.iterdir() if file.suffix in (".css", ".js", ".svg")}
SWAGGER = Path(str(find_spec("flask_swagger_ui").origin)).parent / "dist"  # type: ignore[union-attr]
SWAGGER_FILES = {"swagger-ui.css", "swagger-ui-bundle.js"}
KEY_TO_COME = "PST-XXXX-XXXX"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

blp = Blueprint("docs", __name__, template_folder=str(PAGES))


@blp.after_request
def _guard(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@blp.get("/")
def index():
    """Where to begin."""
    return {"name": "Proofstone", "docs": "/docs", "openapi": "/openapi.json", "health": "/v1/health"}


@blp.get("/openapi.json", endpoint="openapi")
def openapi_document():
    """The OpenAPI document, made once in each process that is asked."""
    made = current_app.extensions
    if "openapi" not in made:
        made["openapi"] = orjson.dumps(openapi.document_of(current_app))
    return Response(made["openapi"], mimetype="application/json")


@blp.get("/docs")
def docs():
    """The OpenAPI document, to read and to try."""
    return _page("docs.html")


@blp.get("/docs/<name>")
def swagger_file(name):
    return _file(SWAGGER, name, SWAGGER_FILES)


@blp.get("/pages/<name>")
def own_file(name):
    return _file(PAGES, name, OWN_FILES)


@blp.get("/start")
def start():
    """Behind the link of an invitation; the key stands after the `#` and never reaches the service's logs."""
    return _page("start.html", key=KEY_TO_COME, **commands(setting("BASE_URL"), KEY_TO_COME))


@blp.get("/replay/<session_id>")
def replay(session_id):
    """What the candidate's client prints at the end (client contract, section 2)."""
    return _page("replay.html")


def _page(template: str, **values: Any) -> Response:
    address = setting("BASE_URL")
    response = Response(render_template(template, address=address, root=urlsplit(address).path, **values))
    response.headers["Cache-Control"] = "no-store"
    return response


def _file(folder: Path, name: str, served: set[str]) -> Response:
    """One of the files, for whoever does not have it yet; compressed for whoever can read that."""
    if name not in served:
        raise NotFound()
    body, etag = _contents(folder / name, bool(request.accept_encodings["gzip"]))
    response = Response(body, mimetype=mimetypes.guess_type(name)[0])
    response.headers.update({"Vary": "Accept-Encoding", "Cache-Control": "no-cache"})
    if request.accept_encodings["gzip"]:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(etag)
    response.make_conditional(request)
    return response


@cache
def _contents(file: Path, compressed: bool) -> tuple[bytes, str]:
    """A file's bytes and their ETag; they change with a new release only, and stay in memory until then."""
    body = gzip.compress(file.read_bytes(), mtime=0) if compressed else file.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:32]
