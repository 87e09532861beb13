"""Cross-origin requests are allowed from CORS_ORIGINS only, and never with cookies."""

import pytest
from callers import Caller

PAGE, OTHER = "https://app.example.com", "https://app.example.com.evil.example"


@pytest.fixture
def request_from(app_with):
    app = app_with(RATELIMIT_ENABLED="false", CORS_ORIGINS=f"http://localhost:3000, {PAGE}")
    return lambda origin, method="GET", path="/v1/me": Caller(app, Origin=origin).request(method, path)


def test_a_listed_origin_can_call_the_api(request_from):
    preflight = request_from(PAGE, "OPTIONS")
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert {"Authorization", "If-Match"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    response = request_from(PAGE)
    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert {"ETag", "Location"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert request_from(PAGE, path="/v1/nothing").headers["Access-Control-Allow-Origin"] == PAGE


def test_other_origins_cannot_call_the_api(request_from):
    for origin in (OTHER, "null", "*", "", PAGE.upper(), f"{PAGE}:8443", "http://app.example.com"):
        for method in ("OPTIONS", "GET"):
            response = request_from(origin, method)
            assert not [name for name, _ in response.headers if name.startswith("Access-Control")], origin
            assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in request_from(PAGE, path="/docs").headers
