"""Serve the console's HTML, scripts and styles."""

from pathlib import Path
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, render_template

from blueprints import setting
from blueprints.docs import set_headers, static_file

FILES = Path(__file__).parent
SERVED = {file.relative_to(FILES).as_posix() for file in FILES.rglob("*") if file.suffix in (".css", ".js")}
# The modules that app.js imports. Browsers fetch them in parallel with it.
PRELOADED = tuple(f"shared/{name}.js" for name in ("url_state", "api", "dialogs", "dom", "states", "texts"))

blp = Blueprint("console", __name__, template_folder=str(FILES))
blp.after_request(set_headers)


@blp.get("/console")
def page():
    """Return the single-page app, which routes by URL fragment."""
    html = render_template(
        "console.html",
        root=urlsplit(setting("BASE_URL")).path,
        preloaded=PRELOADED,
        has_integrations="Integrations" in current_app.blueprints,
    )
    return Response(html, headers={"Cache-Control": "no-store"})


@blp.get("/console/<path:name>")
def file(name):
    return static_file(FILES, name, SERVED)
