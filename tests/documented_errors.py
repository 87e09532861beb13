"""Check that each error response in a test is documented for its operation."""

from collections import defaultdict

from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.hostile.operations import APP, DOCUMENT, operations, route_of

ROUTES = APP.url_map.bind("")
ANY_OPERATION = {"internal_error", "not_ready"}
CODES: dict[str, set[tuple[int, str]]] = defaultdict(set)
for operation in operations():
    responses = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
    for status, response in responses.items():
        for code in response.get("content", {}).get("application/json", {}).get("examples", ()):
            CODES[operation.route].add((int(status), code))


def check(response: TestResponse) -> None:
    if response.status_code < 400 or not response.is_json:
        return
    try:
        rule, _ = ROUTES.match(response.request.path, response.request.method, return_rule=True)
    except HTTPException:
        return
    route = route_of(rule, response.request.method)
    if route in CODES and (code := response.json.get("code")) not in ANY_OPERATION:
        assert (response.status_code, code) in CODES[route], (
            f"{route} does not document {response.status_code} {code}. "
            f"Add the error to @raises(...) above {rule.endpoint.rpartition('.')[2]}() in blueprints/."
        )
