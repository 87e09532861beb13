"""The OpenAPI document is valid, complete and correct."""

import re

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from rules.delivery.event_types import EVENT_TYPES, TEST_EVENT
from schemas.base import camel
from tests.hostile.operations import DOCUMENT, METHODS

# The model proxies and OTLP follow other protocols.
OTHER_PROTOCOLS = ("/v1/proxy/", "/v1/otlp/")
PATHS = {path: item for path, item in DOCUMENT["paths"].items() if not path.startswith(OTHER_PROTOCOLS)}
OPERATIONS = {
    f"{name.upper()} {path}": PATHS[path][name] for path in PATHS for name in PATHS[path].keys() & METHODS
}
BODIES = {
    operation["operationId"]: operation["requestBody"]["content"]["application/json"]
    for operation in OPERATIONS.values()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
}
CANDIDATE_TAGS = {"Candidate", "Client", "Events", "Agents", "Runner"}
FIRST_TAGS = ["Assessments", "Candidate keys", "Candidates", "Cohort statistics", "Sessions"]


def check(schema, value):
    Draft202012Validator(DOCUMENT | schema).validate(value)


def test_the_document_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT)


def test_the_document_is_served_with_a_relative_server_url(anonymous):
    first, second = (anonymous.get("/openapi.json") for _ in range(2))
    assert first.mimetype == "application/json"
    assert first.data == second.data
    assert first.json == DOCUMENT
    assert [server["url"] for server in DOCUMENT["servers"]] == ["/"]


def test_every_route_is_documented(app):
    def path(rule):
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda name: "{" + camel(name[1]) + "}", rule)

    served = {
        f"{method} {path(rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/") and not rule.rule.startswith(OTHER_PROTOCOLS)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == OPERATIONS.keys()


def test_every_operation_is_described():
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    for name, operation in OPERATIONS.items():
        is_verb_and_object = re.fullmatch(r"[a-z]+([A-Z][a-z]*)+", operation["operationId"])
        assert is_verb_and_object, f"{name}: name the view with verb and object, such as get_cohort_stats."
        missing = [field for field in ("summary", "description", "tags") if not operation.get(field)]
        assert missing == [], f"{name}: the docstring needs a summary, an empty line and a description."
        assert "security" in operation, name


def test_responses_are_described_and_errors_have_examples():
    for name, operation in OPERATIONS.items():
        classes = {status[0] for status in operation["responses"]}
        assert "2" in classes, name
        assert classes & {"4", "5"}, name
        for status, response in operation["responses"].items():
            if "$ref" in response:
                continue
            assert response["description"] not in ("", "OK", "Created"), (name, status)
            if status in ("204", "304"):
                continue
            assert all(media["schema"] for media in response["content"].values()), (name, status)
            if status[0] in "45":
                media = response["content"]["application/json"]
                assert media["schema"] == {"$ref": "#/components/schemas/Error"}, (name, status)
                assert media["examples"], (name, status)
                for code, example in media["examples"].items():
                    assert example["value"]["code"] == code
                    check(media["schema"], example["value"])


def test_every_parameter_and_every_field_is_described():
    items = [*PATHS.items(), *OPERATIONS.items()]
    parameters = [(name, parameter) for name, item in items for parameter in item.get("parameters", [])]
    assert {parameter["in"] for _, parameter in parameters} == {"path", "query", "header"}
    for name, parameter in parameters:
        assert parameter["description"], (name, parameter["name"])
        assert parameter["in"] == "header" or re.fullmatch(r"[a-z][A-Za-z]*", parameter["name"])
    for name, component in DOCUMENT["components"]["schemas"].items():
        assert component["description"], name
        assert not re.search(r"\bR\d|client contract", component["description"]), (
            f"{name} mentions an internal rule"
        )
        assert all(schema["description"] for schema in component.get("properties", {}).values()), name


def test_client_generators_understand_the_document():
    """Patterns are valid in ECMA-262, no field has a default, and no enum includes null."""
    for name, schema in fields(DOCUMENT["components"]["schemas"]):
        assert "default" not in schema, name
        assert None not in schema.get("enum", ()), name
        assert re.fullmatch(r"\^[^^$\\]+\$", schema.get("pattern", "^x$")), name
    for name, operation in OPERATIONS.items():
        assert all(len(response.get("content", "1")) == 1 for response in operation["responses"].values()), (
            name
        )


def fields(schemas):
    for name, schema in schemas.items():
        yield from ((f"{name}.{field}", value) for field, value in schema.get("properties", {}).items())


def successes():
    for name, operation in OPERATIONS.items():
        yield from (
            (name, operation, status, response)
            for status, response in operation["responses"].items()
            if status[0] == "2"
        )


def test_each_event_type_is_a_webhook_with_a_typed_payload():
    assert DOCUMENT["webhooks"].keys() == EVENT_TYPES.keys() | {TEST_EVENT}, "See schemas/feed_events.py."
    event = DOCUMENT["components"]["schemas"]["FeedEvent"]
    assert event["discriminator"]["mapping"].keys() == EVENT_TYPES.keys()
    for name, item in DOCUMENT["webhooks"].items():
        media = item["post"]["requestBody"]["content"]["application/json"]
        assert media["example"]["type"] == name
        check(media["schema"], media["example"])


def test_objects_are_typed_except_those_with_client_data():
    untyped = {name for name, schema in fields(DOCUMENT["components"]["schemas"]) if has_bare_object(schema)}
    expected = {"Envelope.data", "Envelope.source", "DeviceCheck.fingerprint", "Job.settings"}
    assert untyped == expected, "Use Nested, Dict with `values`, or Verbatim for unchecked data."


def has_bare_object(schema):
    types = schema.get("type", ())
    is_object = "object" in (types if isinstance(types, list) else [types])
    inner = [schema["items"]] if "items" in schema else schema.get("anyOf", [])
    is_bare = is_object and not schema.get("properties") and not schema.get("additionalProperties")
    return is_bare or any(has_bare_object(schema) for schema in inner)


def test_fields_with_a_fixed_set_of_values_are_enumerations():
    for name, schema in fields(DOCUMENT["components"]["schemas"]):
        is_string = schema.get("type") in ("string", ["string", "null"]) and "enum" not in schema
        values = re.findall(r"`([a-z_]+)`(?=,| or|:)", schema["description"]) if is_string else []
        assert len(values) < 2, f"{name} lists the values {values}: use Choice."


def test_equally_named_inputs_and_outputs_accept_the_same_values():
    all_fields = list(fields(DOCUMENT["components"]["schemas"]))
    tools = [tool_list["items"] for name, tool_list in all_fields if name.endswith(".allowedTools")]
    assert len(tools) > 3
    assert len({tuple(tool["enum"]) for tool in tools}) == 1
    statuses = {
        name: schema
        for name, schema in all_fields
        if name.endswith(".status") and "string" in schema.get("type", ())
    }
    without_values = {name for name, schema in statuses.items() if "enum" not in schema}
    assert without_values == {"PlanStep.status"}  # free text


def test_replays_without_a_secret_have_their_own_schema(reviewer):
    webhook = {"url": "https://93.184.216.34/hooks"}
    for route, body in (("POST /v1/org/tokens", {"name": "One"}), ("POST /v1/webhooks", webhook)):
        response = OPERATIONS[route]["responses"]["201"]
        schema = response["content"]["application/json"]["schema"]
        name = schema["$ref"].rpartition("/")[2]
        assert DOCUMENT["components"]["schemas"][name]["properties"]["secret"]["type"] == "string"
        path, headers = route.removeprefix("POST "), {"Idempotency-Key": route.replace(" ", "")}
        for expected in (schema, response["x-replayed"]):
            created = reviewer.request("POST", path, json=body, headers=headers)
            check(expected, created.json)


def test_every_success_has_a_valid_example():
    for name, _, status, response in successes():
        for media_type, media in response.get("content", {}).items():
            if media_type == "application/json":
                check(media["schema"], media["example"])
            elif media["schema"].get("format") != "binary":
                assert media["example"], (name, status)


def test_responses_document_their_headers():
    for name, operation in OPERATIONS.items():
        for status, response in operation["responses"].items():
            if status == "default" or "$ref" in response:
                continue
            assert "X-Request-Id" in response["headers"], name
            assert ("Link" in response["headers"]) == (status >= "400"), name
            assert status not in ("429", "503", "507") or "Retry-After" in response["headers"], name
    issue = OPERATIONS["POST /v1/issues"]["responses"]
    limits = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
    assert [header for header in issue["201"]["headers"] if "RateLimit" in header] == limits
    assert "Idempotent-Replayed" in issue["201"]["headers"]


def test_tags_separate_candidate_operations_and_proxies():
    for name, operation in OPERATIONS.items():
        is_for_reviewers = {"reviewerToken": []} in operation["security"]
        is_for_systems = operation["operationId"] == "receiveStageChange"
        if operation["tags"] not in (["Health"], ["Sign-in"]) and not is_for_systems:
            assert is_for_reviewers == (operation["tags"][0] not in CANDIDATE_TAGS), name
    for path, item in DOCUMENT["paths"].items():
        for method in item.keys() & METHODS:
            is_other_protocol = item[method]["tags"] in (["Model proxies"], ["Telemetry"])
            assert is_other_protocol == path.startswith(OTHER_PROTOCOLS), path


def test_body_examples_are_valid(app):
    arguments = {camel(view.__name__): getattr(view, "arguments", {}) for view in app.view_functions.values()}
    schemas = {name: by_location["json"] for name, by_location in arguments.items() if "json" in by_location}
    assert schemas.keys() == BODIES.keys()
    for name, media in BODIES.items():
        check(media["schema"], media["example"])
        schemas[name].load(media["example"])


def test_reviewer_tags_come_first():
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    assert tags[: len(FIRST_TAGS)] == FIRST_TAGS
    assert tags.index("Candidate") > tags.index("Organization")
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} <= set(tags)
    assert all(tag["description"] for tag in DOCUMENT["tags"])
