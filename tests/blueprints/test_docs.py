"""Where to begin, and the pages: their headers, and that they are the only HTML."""

import gzip

import pytest

PAGES = ["/docs", "/start", "/replay/01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"]
FILES = [
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/pages/site.css",
    "/pages/start.js",
    "/pages/icon.svg",
]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def test_the_root_says_where_to_begin(anonymous):
    links = anonymous.get("/").json
    assert links["name"] == "Proofstone"
    for name in ("docs", "openapi", "health"):
        assert anonymous.get(links[name]).status_code == 200


@pytest.mark.parametrize("path", PAGES + FILES)
def test_pages_and_their_files_carry_the_strict_policy(anonymous, path):
    answer = anonymous.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_html_without_inline_script_style_or_foreign_address(anonymous, path):
    page = anonymous.get(path)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert "<script>" not in page.text
    assert 'src="http' not in page.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer_head_and_options(anonymous, path):
    head = anonymous.request("HEAD", path)
    assert (head.status_code, head.data) == (200, b"")
    options = anonymous.request("OPTIONS", path)
    assert (options.status_code, set(options.headers["Allow"].split(", "))) == (
        200,
        {"GET", "HEAD", "OPTIONS"},
    )


@pytest.mark.parametrize("path", PAGES)
def test_other_methods_are_refused_in_the_one_shape(anonymous, path):
    answer = anonymous.post(path)
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "path",
    [
        "/docs/index.html",
        "/docs/..%2fLICENSE",
        "/pages/start.html",
        "/pages/nothing.js",
        "/replay",
        "/favicon.ico",
    ],
)
def test_everything_else_is_the_json_404(anonymous, path):
    answer = anonymous.get(path)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_files_are_asked_for_again_only_when_they_changed(anonymous):
    etag = anonymous.get("/pages/site.css").headers["ETag"]
    again = anonymous.request("GET", "/pages/site.css", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


def test_files_are_compressed_for_those_who_can_read_it(anonymous):
    path = "/docs/swagger-ui-bundle.js"
    plain = anonymous.get(path)
    packed = anonymous.request("GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data) / 3
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_the_start_page_has_the_commands_of_the_invitation(app, anonymous):
    page = anonymous.get("/start").text
    address = app.config["BASE_URL"]
    assert f"PROMPTSTER_API_URL={address} PROMPTSTER_APP_URL={address} promptster start PST-XXXX-XXXX" in page
    assert f"PROMPTSTER_APP_URL={address} promptster done" in page
