"""The root endpoint, and public pages with their static files."""

import gzip
import html
import re

import pytest
from response_checks import error_of

from blueprints.guides import GUIDES
from blueprints.guides import PAGES as DOCS_PAGES

PAGES = ["/docs", "/docs/errors.md", "/start", "/replay/01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"]
FILES = [
    *("/workspace.sh", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
    *(f"/pages/{name}" for name in ("site.css", "start.js", "workspace.js", "icon.svg")),
]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_root_links_to_docs_openapi_and_health(anonymous):
    links = anonymous.get("/").json
    assert links["name"] == "Proofstone"
    for name in ("docs", "openapi", "health"):
        assert anonymous.get(links[name]).status_code == 200


@pytest.mark.parametrize("path", PAGES + FILES)
def test_pages_and_files_have_a_strict_content_security_policy(anonymous, path):
    response = anonymous.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_inline_or_external_scripts_and_styles(anonymous, path):
    page = anonymous.get(path)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    for forbidden in ("<style", " style=", "<script>", 'src="http'):
        assert forbidden not in page.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_accept_only_get_head_and_options(anonymous, path):
    head = anonymous.request("HEAD", path)
    assert (head.status_code, head.data) == (200, b"")
    options = anonymous.request("OPTIONS", path)
    assert options.status_code == 200
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert error_of(anonymous.post(path)) == (405, "method_not_allowed")


def test_unknown_paths_return_a_json_404(anonymous):
    for path in (
        "/docs/index.html",
        "/docs/..%2fLICENSE",
        "/pages/start.html",
        "/pages/x.js",
        "/replay",
        "/x.ico",
    ):
        assert error_of(anonymous.get(path)) == (404, "not_found"), path


@pytest.mark.parametrize("name", sorted(DOCS_PAGES))
def test_every_docs_page_is_served_with_working_links(anonymous, name):
    page = anonymous.get(f"/docs/{name}.md")
    assert (f'href="/docs/{name}.md" aria-current="page"' in page.text) == (name in GUIDES)
    article = page.text.partition("<article>")[2].partition("</article>")[0]
    assert re.match(r'<h1 id="[\w-]+">', article)
    for path, anchor in re.findall(r'href="(?!https?:)([^"#]*)#?([^"]*)"', article):
        target = anonymous.get(f"/docs/{path or name + '.md'}")
        assert target.status_code == 200, f"{path}: mention files outside docs/ without a link."
        assert not anchor or f'id="{anchor}"' in target.text, f"{path}#{anchor}"
    for image in re.findall(r'<img src="([^"]+)"', article):
        response = anonymous.get(f"/docs/{image}")
        assert (response.status_code, response.mimetype) == (200, "image/png")
        assert response.headers["Content-Security-Policy"] == POLICY


def test_docs_page_links_to_every_guide(anonymous):
    assert re.findall(r'href="/docs/([\w-]+)\.md"', anonymous.get("/docs").text) == list(GUIDES)


def test_errors_link_to_their_documentation(anonymous):
    for path, code in (("/v1/none", "not_found"), ("/v1/org", "unauthorized")):
        response = anonymous.get(path)
        assert response.headers["Link"] == f'</docs/errors.md#{code}>; rel="help"'
        assert f'<h3 id="{code}">' in anonymous.get("/docs/errors.md").text


def test_unchanged_files_return_304(anonymous):
    etag = anonymous.get("/pages/site.css").headers["ETag"]
    response = anonymous.request("GET", "/pages/site.css", headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")


def test_files_are_compressed_if_the_client_accepts_gzip(anonymous):
    path = "/docs/swagger-ui-bundle.js"
    plain = anonymous.get(path)
    compressed = anonymous.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert len(compressed.data) < len(plain.data) / 3
    assert gzip.decompress(compressed.data) == plain.data
    assert compressed.headers["ETag"] != plain.headers["ETag"]
    assert compressed.data[4:8] == bytes(4), (
        "The gzip header contains a timestamp, so each process returns a different ETag."
    )


def start_page_text(anonymous):
    return html.unescape(re.sub(r"<[^>]+>", "", anonymous.get("/start").text))


def test_start_page_shows_the_workspace_command(app, anonymous):
    page = start_page_text(anonymous)
    assert f"curl -fsSL {app.config['BASE_URL']}/workspace.sh | sh" in page
    assert "promptster" not in page.lower()


def test_start_page_shows_the_clients_commands_if_client_install_is_set(app, anonymous, monkeypatch):
    monkeypatch.setitem(app.config, "CLIENT_INSTALL", "npm install -g <client>")
    page, base_url = start_page_text(anonymous), app.config["BASE_URL"]
    assert "npm install -g <client>" in page
    urls = f"PROMPTSTER_API_URL={base_url} PROMPTSTER_APP_URL={base_url}"
    assert f"{urls} promptster start PST-XXXX-XXXX" in page
    assert f"PROMPTSTER_APP_URL={base_url} promptster done" in page
