"""Hostile paths, queries, methods and credentials for every operation."""

from functools import partial

import pytest

from tests.hostile.operations import operations
from tests.hostile.values import INVALID_CREDENTIALS, INVALID_IDS, QUERY_VALUES
from tests.hostile.world import NOT_FOUND, UNAUTHENTICATED, rolled_back, snapshot

pytestmark = pytest.mark.slow

# A changed upload URL is rejected, because it is signed. Scores are revealed to people only, whatever the id.
WITH_IDS = [
    operation
    for operation in operations()
    if {*operation.path_parameters} - {"objectKey"} and not operation.path.endswith("/scores/reveal")
]
WITH_QUERY = [operation for operation in operations() if operation.query_parameters]
PROTECTED = [operation for operation in operations() if operation.callers]
UNKNOWN = (
    "/", "/v1", "/v1/", "/v1/unknown", "/v2/me", "/v1/me/x", "/V1/me", "/v1//me", "/v1/me//", "/.env", "/app.py", "*",
    "", "/../config.py", "/v1/../v1/me", "/v1/./me", "/v1/me;x", "/v1/me%00", "/v1/me\x00", "/v1/\xff\xfe",
    "/v1/\xed\xa0\x80", "/*", "/v1/assessments/\r\nX: y/keys", "/" + "x" * 100_000,
    "/v1/" + "a/" * 10_000, "/v1/assessments/" + "/" * 1000,
)  # fmt: skip
ODD_METHODS = {"TRACE", "CONNECT", "PROPFIND", "FOO", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS"}


def test_invalid_ids_are_not_found(world):
    before = snapshot()
    for operation in WITH_IDS:
        for parameter in operation.path_parameters:
            for text in INVALID_IDS:
                response = world.call(operation, world.path(operation, **{parameter: text}))
                assert response.json == NOT_FOUND, (operation, text[:50])
    assert snapshot() == before


def test_ids_of_other_resources_are_not_found(world):
    before = snapshot()
    for operation in WITH_IDS:
        for parameter in operation.path_parameters:
            # A candidate's id is the key's id, and a job's id the test run's.
            same = ({"keyId", "candidateId"}, {"jobId", "runId"})
            names = next((names for names in same if parameter in names), {parameter})
            for row_id in (row_id for name, row_id in world.own.ids.items() if name not in names):
                response = world.call(operation, world.path(operation, **{parameter: row_id}))
                assert response.json == NOT_FOUND, (operation, parameter)
    assert snapshot() == before


def test_ids_are_case_insensitive(world):
    for operation in world.served():
        path = world.path(operation)
        upper = "/".join(part.upper() if len(part) == 36 else part for part in path.split("/"))
        assert world.call(operation, upper).status_code < 300, operation


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("operation", WITH_QUERY, ids=str)
def test_rejected_queries_change_nothing(world, operation):
    before = snapshot()
    for parameter in operation.query_parameters:
        for value in QUERY_VALUES:
            world.call(operation, query=f"{parameter}={value}")
    for query in ("%00=1", "%FF=1", "\xff=1", "&&&", "=", "a", "?", "%", "[]=1", "&".join(["x=1"] * 2000)):
        world.call(operation, query=query)
    assert snapshot() == before


def test_queries_with_nul_or_invalid_utf_8_are_rejected(world):
    for operation in WITH_QUERY:
        for parameter in operation.query_parameters:
            for hostile in ("%00", "a%00", "\xff", "%ED%A0%80%00"):
                response = world.call(operation, query=f"{parameter}={hostile}")
                assert response.status_code == 400, (operation, parameter, hostile)


def test_all_invalid_credentials_get_the_same_401(world):
    before = snapshot()
    for operation in PROTECTED:
        for headers in INVALID_CREDENTIALS:
            call = partial(world.anonymous.request, operation.method, world.path(operation), headers)
            response = rolled_back(call)
            assert response.json == UNAUTHENTICATED, (operation, headers)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
    assert snapshot() == before


def test_unsupported_methods_are_rejected_with_allow(world):
    before = snapshot()
    for operation in operations():
        # `export` also matches {candidateId}, and `reveal` {criterion}.
        path = operation.path.replace("/candidates/export", "/candidates/{candidateId}")
        paths = {operation.path, path.replace("{sessionId}/scores/reveal", "{sessionId}/scores/{criterion}")}
        known = {other.method for other in operations() if other.path in paths}
        known |= {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
        for method in ODD_METHODS - known:
            response = rolled_back(partial(world.own.reviewer.request, method, world.path(operation)))
            assert response.status_code == 405, (operation, method)
            assert set(response.headers["Allow"].split(", ")) == known
    assert snapshot() == before


def test_head_responds_like_get_without_a_body(world):
    for operation in (operation for operation in operations() if operation.method == "GET"):
        caller, path = world.caller(operation), world.path(operation)
        request = partial(caller.request, path=path, query_string=world.query(operation))
        get, head = (rolled_back(partial(request, method)) for method in ("GET", "HEAD"))
        assert (head.status_code, head.data) == (get.status_code, b""), operation
        assert head.content_type == get.content_type


def test_options_lists_the_methods_and_has_no_body(world):
    for operation in operations():
        response = rolled_back(partial(world.anonymous.request, "OPTIONS", world.path(operation)))
        assert operation.method in response.headers["Allow"]
        assert (response.status_code, response.data, response.content_type) == (200, b"", None)


def test_unknown_urls_get_an_api_error(world):
    before = snapshot()
    for path in UNKNOWN:
        for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "FOO"):
            for caller in (world.anonymous, world.own.reviewer):
                rolled_back(partial(caller.request, method, "/", environ_overrides={"PATH_INFO": path}))
    assert snapshot() == before


def test_leading_and_trailing_slashes_are_ignored_without_a_redirect(world):
    for operation in world.served():
        # An event id can contain slashes, so a trailing slash changes the id.
        for form in ("/{}", "//{}", *([] if "eventId" in operation.path_parameters else ["{}/"])):
            assert world.call(operation, form.format(world.path(operation))).status_code < 300, operation


def test_a_doubled_slash_inside_a_path_is_not_found(world):
    for operation in operations():
        response = world.call(operation, world.path(operation).replace("/v1/", "/v1//"))
        assert response.json == NOT_FOUND, operation


def test_no_response_sets_a_cookie_or_allows_other_origins(world):
    # tests/access/test_sign_ins.py tests the sign-in's cookie.
    for operation in (each for each in operations() if not each.path.startswith("/v1/sign-in")):
        response = world.call(operation, **{"Origin": "https://other.example", "Cookie": "session=x"})
        preflight = {"Origin": "https://other.example", "Access-Control-Request-Method": operation.method}
        options = rolled_back(partial(world.anonymous.request, "OPTIONS", world.path(operation), preflight))
        names = (*response.headers.keys(), *options.headers.keys())
        assert not [name for name in names if name == "Set-Cookie" or name.startswith("Access-Control")]
