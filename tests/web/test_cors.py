"""Cross-origin requests are allowed to the pages of CORS_ORIGINS only, and never with cookies."""

import pytest
from callers import Caller

import config
import models
from app import create_app

PAGE, OTHER = "https://app.example.com", "https://app.example.com.evil.example"
PATH = "/v1/me"


@pytest.fixture
def client(app, database_url):
    connection = models.db.obj
    settings = {
        "DATABASE_URL": database_url,
        "RATELIMIT_ENABLED": "false",
        "CORS_ORIGINS": f"http://localhost:3000, {PAGE}",
    }
    created = create_app(config.load(settings))
    models.db.initialize(connection)
    return lambda method, path=PATH, **headers: Caller(created).request(
        method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_page_of_the_allow_list_may_call_the_api(client):
    preflight = client("OPTIONS", Origin=PAGE, Access_Control_Request_Method="PATCH")
    assert preflight.status_code == 200
    allowed = {
        name: preflight.headers[f"Access-Control-{name}"] for name in ("Allow-Origin", "Allow-Methods")
    }
    assert allowed == {"Allow-Origin": PAGE, "Allow-Methods": "GET, POST, PUT, PATCH, DELETE"}
    assert {"Authorization", "If-Match"} <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))
    response = client("GET", Origin=PAGE)
    assert response.status_code == 401  # a page can read errors too
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert {"ETag", "Location"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert client("GET", "/v1/nothing", Origin=PAGE).headers["Access-Control-Allow-Origin"] == PAGE


def test_no_other_page_may(client):
    for origin in (OTHER, "null", "*", "", PAGE.upper(), f"{PAGE}:8443", "http://app.example.com"):
        for method in ("OPTIONS", "GET"):
            response = client(method, Origin=origin)
            assert not [name for name, _ in response.headers if name.startswith("Access-Control")], origin
            assert "Origin" in response.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in client("GET", "/docs", Origin=PAGE).headers
