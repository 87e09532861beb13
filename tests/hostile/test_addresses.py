"""Hostile paths, queries, methods and credentials, on every operation."""

from functools import partial

import pytest

from tests.hostile.operations import operations
from tests.hostile.values import NO_IDS, NOBODY, QUERY_VALUES
from tests.hostile.world import FOREIGN_MARK, NOT_FOUND, UNAUTHENTICATED, quick_on, snapshot, undone

# Every operation with every value takes its time.
pytestmark = pytest.mark.slow

# The address of an upload is signed as a whole, and refused as a whole.
WITH_IDS = [operation for operation in operations() if {*operation.path_parameters} - {"objectKey"}]
WITH_QUERY = [operation for operation in operations() if operation.query_parameters]
PROTECTED = [operation for operation in operations() if operation.callers]
UNKNOWN = (
    "/", "/v1", "/v1/", "/v1/unknown", "/v2/me", "/v1/me/x", "/V1/me", "/v1//me", "/v1/me//", "/.env", "/app.py", "*",
    "", "/../config.py", "/v1/../v1/me", "/v1/./me", "/v1/me;x", "/v1/me%00", "/v1/me\x00", "/v1/\xff\xfe",
    "/v1/\xed\xa0\x80", "/*", "/v1/assessments/\r\nX: y/keys", "/" + "x" * 100_000,
    "/v1/" + "a/" * 10_000, "/v1/assessments/" + "/" * 1000,
)  # fmt: skip
ODD_METHODS = {"TRACE", "CONNECT", "PROPFIND", "FOO", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS"}


@quick_on("postgresql")
def test_what_is_no_id_is_not_found(world):
    before = snapshot()
    for operation in WITH_IDS:
        for parameter in operation.path_parameters:
            for text in NO_IDS:
                answer = world.call(operation, world.path(operation, **{parameter: text}))
                assert answer.json == NOT_FOUND, (operation, text[:50])
    assert snapshot() == before


@quick_on("sqlite")
def test_ids_of_others_and_of_other_things_are_not_found(world):
    before = snapshot()
    for operation in WITH_IDS:
        for parameter in operation.path_parameters:
            for one in _other_things(world, parameter):
                answer = world.call(operation, world.path(operation, **{parameter: one}))
                assert answer.json == NOT_FOUND, (operation, parameter)
    assert snapshot() == before


def _other_things(world, parameter):
    # A candidate goes by the id of the key; the names of criteria are the same everywhere.
    same = {"keyId", "candidateId"} if parameter in ("keyId", "candidateId") else {parameter}
    own = [one for name, one in world.own.ids.items() if name not in same]
    foreign = [one for name, one in world.foreign.ids.items() if name != "criterion"]
    return [*own, *foreign, world.foreign.organization.id]


def test_an_id_in_capitals_is_the_same_id(world):
    for operation in world.served():
        path = world.path(operation)
        capitals = "/".join(part.upper() if len(part) == 36 else part for part in path.split("/"))
        assert world.call(operation, capitals).status_code < 300, operation


@quick_on("sqlite")
@pytest.mark.parametrize("operation", WITH_QUERY, ids=str)
def test_no_query_breaks_an_operation(world, operation):
    before = snapshot()
    for parameter in operation.query_parameters:
        for value in QUERY_VALUES:
            world.call(operation, query=f"{parameter}={value}")
    for query in ("%00=1", "%FF=1", "\xff=1", "&&&", "=", "a", "?", "%", "[]=1", "&".join(["x=1"] * 2000)):
        world.call(operation, query=query)
    assert snapshot() == before


@quick_on("sqlite")
def test_a_query_with_what_belongs_to_others_shows_nothing_of_it(world):
    foreign = [*world.foreign.ids.values(), world.foreign.organization.id, FOREIGN_MARK, FOREIGN_MARK.lower()]
    for operation in WITH_QUERY:
        for parameter in (name for name in operation.query_parameters if name != "key"):
            for one in foreign:
                world.call(operation, query=f"{parameter}={one}")


def test_a_query_that_is_no_text_is_refused(world):
    for operation in WITH_QUERY:
        for parameter in operation.query_parameters:
            for hostile in ("%00", "a%00", "\xff", "%ED%A0%80%00"):
                answer = world.call(operation, query=f"{parameter}={hostile}")
                assert answer.status_code == 400, (operation, parameter, hostile)


@quick_on("postgresql")
def test_whoever_cannot_say_who_they_are_gets_the_one_401(world):
    before = snapshot()
    for operation in PROTECTED:
        for headers in NOBODY:
            call = partial(world.anonymous.request, operation.method, world.path(operation), headers)
            answer = undone(call)
            assert answer.json == UNAUTHENTICATED, (operation, headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert snapshot() == before


def test_methods_that_a_path_does_not_have_are_refused_with_allow(world):
    before = snapshot()
    for operation in operations():
        known = {other.method for other in operations() if other.path == operation.path}
        known |= {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
        for method in ODD_METHODS - known:
            answer = undone(partial(world.own.reviewer.request, method, world.path(operation)))
            assert answer.status_code == 405, (operation, method)
            assert set(answer.headers["Allow"].split(", ")) == known
    assert snapshot() == before


def test_head_answers_like_get_without_a_body(world):
    for operation in (operation for operation in operations() if operation.method == "GET"):
        caller, path = world.caller(operation), world.path(operation)
        ask = partial(caller.request, path=path, query_string=operation.query)
        got, headed = (undone(partial(ask, method)) for method in ("GET", "HEAD"))
        assert (headed.status_code, headed.data) == (got.status_code, b""), operation
        assert headed.content_type == got.content_type


def test_options_names_the_methods_and_shows_no_html(world):
    for operation in operations():
        answer = undone(partial(world.anonymous.request, "OPTIONS", world.path(operation)))
        assert operation.method in answer.headers["Allow"]
        assert (answer.status_code, answer.data, answer.content_type) == (200, b"", None)


def test_unknown_addresses_are_answered_in_the_one_shape(world):
    before = snapshot()
    for path in UNKNOWN:
        for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "FOO"):
            for caller in (world.anonymous, world.own.reviewer):
                undone(partial(caller.request, method, "/", environ_overrides={"PATH_INFO": path}))
    assert snapshot() == before


@quick_on("sqlite")
def test_doubled_leading_and_trailing_slashes_are_served_directly(world):
    for operation in world.served():
        # An event's id may hold slashes, so that one more makes another id of it.
        for form in ("/{}", "//{}", *([] if "eventId" in operation.path_parameters else ["{}/"])):
            assert world.call(operation, form.format(world.path(operation))).status_code < 300, operation


def test_a_doubled_slash_inside_an_address_is_not_found(world):
    for operation in operations():
        answer = world.call(operation, world.path(operation).replace("/v1/", "/v1//"))
        assert answer.json == NOT_FOUND, operation


def test_no_answer_sets_a_cookie_or_opens_the_api_to_other_origins(world):
    for operation in operations():
        answer = world.call(operation, **{"Origin": "https://elsewhere.example", "Cookie": "session=x"})
        preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": operation.method}
        asked = undone(partial(world.anonymous.request, "OPTIONS", world.path(operation), preflight))
        names = (*answer.headers.keys(), *asked.headers.keys())
        assert not [name for name in names if name == "Set-Cookie" or name.startswith("Access-Control")]
