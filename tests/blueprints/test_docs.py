"""The root, the pages and their files: headers, caching, and no other HTML."""

import gzip
import html
import re

import pytest
from response_checks import error_of

from blueprints.guides import GUIDES
from blueprints.guides import PAGES as DOCUMENTS

PAGES = ["/docs", "/docs/errors.md", "/start", "/replay/01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"]
STATIC = ["site.css", "start.js", "workspace.js", "icon.svg"]
FILES = [
    "/workspace.sh",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    *(f"/pages/{name}" for name in STATIC),
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
def test_pages_and_files_have_the_strict_policy(anonymous, path):
    response = anonymous.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_inline_script_or_style_and_no_foreign_address(anonymous, path):
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


def test_other_paths_are_the_json_404(anonymous):
    paths = (
        "/docs/index.html",
        "/docs/..%2fLICENSE",
        "/pages/start.html",
        "/pages/x.js",
        "/replay",
        "/favicon.ico",
    )
    for path in paths:
        assert error_of(anonymous.get(path)) == (404, "not_found"), path


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_page_of_the_docs_is_served_with_its_links(anonymous, name):
    page = anonymous.get(f"/docs/{name}.md")
    assert (f'href="/docs/{name}.md" aria-current="page"' in page.text) == (name in GUIDES)
    article = page.text.partition("<article>")[2].partition("</article>")[0]
    assert re.match(r'<h1 id="[\w-]+">', article)
    for path, anchor in re.findall(r'href="(?!https?:)([^"#]*)#?([^"]*)"', article):
        target = anonymous.get(f"/docs/{path or name + '.md'}")
        assert target.status_code == 200, f"{path}: name files outside docs/ without a link."
        assert not anchor or f'id="{anchor}"' in target.text, f"{path}#{anchor}"
    for image in re.findall(r'<img src="([^"]+)"', article):
        response = anonymous.get(f"/docs/{image}")
        assert (response.status_code, response.mimetype) == (200, "image/png")
        assert response.headers["Content-Security-Policy"] == POLICY


def test_docs_page_links_to_every_guide(anonymous):
    assert re.findall(r'href="/docs/([\w-]+)\.md"', anonymous.get("/docs").text) == list(GUIDES)


def test_an_error_links_to_its_code_in_the_documentation(anonymous):
    for path, code in (("/v1/none", "not_found"), ("/v1/org", "unauthorized")):
        response = anonymous.get(path)
        assert response.headers["Link"] == f'</docs/errors.md#{code}>; rel="help"'
        assert f'<h3 id="{code}">' in anonymous.get("/docs/errors.md").text


def test_unchanged_files_are_304(anonymous):
    etag = anonymous.get("/pages/site.css").headers["ETag"]
    response = anonymous.request("GET", "/pages/site.css", headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")


def test_files_are_compressed_on_request(anonymous):
    path = "/docs/swagger-ui-bundle.js"
    plain = anonymous.get(path)
    packed = anonymous.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 3
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_a_compressed_file_is_the_same_in_every_process(anonymous):
    packed = anonymous.request("GET", "/pages/site.css", headers={"Accept-Encoding": "gzip"}).data
    assert packed[4:8] == bytes(4), "The time in the header would change the ETag."


def start_page(anonymous) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", anonymous.get("/start").text))


def test_start_page_has_the_command_that_prepares_the_workspace(app, anonymous):
    page = start_page(anonymous)
    assert f"curl -fsSL {app.config['BASE_URL']}/workspace.sh | sh" in page
    assert "promptster" not in page.lower()


def test_start_page_has_the_clients_commands_if_its_installation_is_set(app, anonymous, monkeypatch):
    monkeypatch.setitem(app.config, "CLIENT_INSTALL", "npm install -g <client>")
    page, address = start_page(anonymous), app.config["BASE_URL"]
    assert "npm install -g <client>" in page
    assert f"PROMPTSTER_API_URL={address} PROMPTSTER_APP_URL={address} promptster start PST-XXXX-XXXX" in page
    assert f"PROMPTSTER_APP_URL={address} promptster done" in page
