"""The root, the OpenAPI document, and the HTML pages with their static files."""

import gzip
import hashlib
import mimetypes
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Blueprint, Response, current_app, render_template, request

from blueprints import guides, openapi, setting
from delivery.email import client_commands
from errors import NotFound
from rules.workspace_files import script_command

PAGES = Path(__file__).parent.parent / "pages"
PAGE_FILES = {file.name for file in PAGES.iterdir() if file.suffix in (".css", ".js", ".svg")}
IMAGES = guides.DOCS / "images"
IMAGE_FILES = {file.name for file in IMAGES.glob("*.png")}
SWAGGER = Path(str(find_spec("flask_swagger_ui").origin)).parent / "dist"  # type: ignore[union-attr]
SWAGGER_FILES = {"swagger-ui.css", "swagger-ui-bundle.js"}
PLACEHOLDER_KEY = "PST-XXXX-XXXX"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}

blp = Blueprint("docs", __name__, template_folder=str(PAGES))


@blp.after_request
def set_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


@blp.get("/")
def index():
    return {"name": "Proofstone", "docs": "/docs", "openapi": "/openapi.json", "health": "/v1/health"}


@blp.get("/openapi.json", endpoint="openapi")
def openapi_document():
    """Serve the OpenAPI document, generated once per process."""
    extensions = current_app.extensions
    if "openapi" not in extensions:
        extensions["openapi"] = orjson.dumps(openapi.build_document(current_app))
    return Response(extensions["openapi"], mimetype="application/json")


@blp.get("/docs")
def docs():
    return _page("docs.html", guides=guides.navigation())


@blp.get("/docs/<name>.md")
def guide(name):
    if name not in guides.PAGES:
        raise NotFound()
    return _page("guide.html", guide=guides.guide(name), guides=guides.navigation())


@blp.get("/docs/<name>")
def swagger_file(name):
    return static_file(SWAGGER, name, SWAGGER_FILES)


@blp.get("/docs/images/<name>")
def image(name):
    return static_file(IMAGES, name, IMAGE_FILES)


@blp.get("/pages/<name>")
def page_file(name):
    return static_file(PAGES, name, PAGE_FILES)


@blp.get("/start")
def start():
    """Serve the page that invitations link to. The key is in the fragment, so it never reaches the service's logs."""
    install = {
        "client_install": setting("CLIENT_INSTALL"),
        "script_command": script_command(setting("BASE_URL")),
    }
    return _page(
        "start.html", key=PLACEHOLDER_KEY, **install, **client_commands(setting("BASE_URL"), PLACEHOLDER_KEY)
    )


@blp.get("/workspace.sh")
def workspace_script():
    """Serve the script that prepares a candidate's workspace."""
    script = (PAGES / "workspace.sh").read_text(encoding="utf-8")
    script = script.replace("@SERVICE@", shlex.quote(setting("BASE_URL")))
    return Response(script, mimetype="text/plain", headers={"Cache-Control": "no-cache"})


@blp.get("/replay/<session_id>")
def replay(session_id):
    """Serve the page that the candidate's client links to (docs/candidate-client.md#2-after-submission)."""
    return _page("replay.html")


def _page(template: str, **values: Any) -> Response:
    base_url = setting("BASE_URL")
    html = render_template(template, base_url=base_url, root=urlsplit(base_url).path, **values)
    return Response(html, headers={"Cache-Control": "no-store"})


def static_file(folder: Path, name: str, allowed: set[str]) -> Response:
    """Serve a file with an ETag, compressed if the client accepts gzip. Raises NotFound unless it is in `allowed`."""
    if name not in allowed:
        raise NotFound()
    is_compressed = bool(request.accept_encodings["gzip"])
    body, etag = _contents(folder / name, is_compressed)
    response = Response(body, mimetype=mimetypes.guess_type(name)[0])
    response.headers.update({"Vary": "Accept-Encoding", "Cache-Control": "no-cache"})
    if is_compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(etag)
    response.make_conditional(request)
    return response


@cache
def _contents(file: Path, is_compressed: bool) -> tuple[bytes, str]:
    """Return a file's bytes and their ETag."""
    # Without mtime=0, the ETag would differ between processes.
    body = gzip.compress(file.read_bytes(), mtime=0) if is_compressed else file.read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:32]
