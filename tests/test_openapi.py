"""What the OpenAPI document promises: it is valid, complete, says what the service answers, and a client can use it."""

import re

import factories
import pytest
import schemathesis
from hypothesis import Phase, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from models import sessions
from schemas.base import Body, camel, example_of

METHODS = {"get", "post", "put", "patch", "delete"}
PROXIES = "/v1/proxy/"
REVIEWERS_RESOURCES = ["Assessments", "Candidate keys", "Candidates", "Cohort statistics", "Sessions"]


@pytest.fixture
def document(anonymous):
    return anonymous.get("/openapi.json").json


def operations(document):
    """Each operation with its path."""
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in paths(document)
        for method, operation in item.items()
        if method in METHODS
    ]


def paths(document):
    """All paths but those of the model proxies, which answer in their providers' shapes."""
    return [(path, item) for path, item in document["paths"].items() if not path.startswith(PROXIES)]


def parameters(document):
    """Each parameter with its path, those that a path's operations share included."""
    for path, item in paths(document):
        shared = item.get("parameters", [])
        for part in (item[method] for method in METHODS & item.keys()):
            yield from ((path, parameter) for parameter in [*shared, *part.get("parameters", [])])


def references(node):
    """Every $ref below a node."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from references(child)


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    validate(document)


def test_the_document_is_made_once(anonymous):
    first, second = (anonymous.get("/openapi.json") for _ in range(2))
    assert first.mimetype == "application/json"
    assert first.data == second.data


def test_every_route_of_the_api_is_documented(app, document):
    def path(rule):
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda name: "{" + camel(name[1]) + "}", rule)

    served = {
        f"{method} {path(rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/") and not rule.rule.startswith(PROXIES)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {name for name, _ in operations(document)} == served


def test_every_operation_has_a_summary_a_description_and_a_security(document):
    for name, operation in operations(document):
        assert operation.get("summary"), name
        assert operation.get("description"), name
        assert "security" in operation, name


def test_operation_ids_are_distinct_and_read_as_names(document):
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", one) for one in ids)


def test_every_operation_takes_the_credentials_that_its_decorator_names(document):
    security = {operation["operationId"]: operation["security"] for _, operation in operations(document)}
    assert security["createAssessment"] == [{"reviewerToken": []}]
    assert security["getAssessment"] == [{"reviewerToken": []}, {"candidateKey": []}]
    assert security["ingest"] == [{"candidateKey": []}]
    assert security["redeem"] == []
    assert {"reviewerToken", "candidateKey"} <= set(document["components"]["securitySchemes"])


def test_every_answer_has_a_description_and_a_shape(document):
    for name, operation in operations(document):
        assert any(status.startswith("2") for status in operation["responses"]), name
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                assert response["description"], (name, status)
                assert all(media["schema"] for media in response["content"].values()), (name, status)


def test_every_refusal_has_the_one_shape_and_an_example_for_each_code(document):
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")):
                media = response["content"]["application/json"]
                assert media["schema"] == {"$ref": "#/components/schemas/Error"}, (name, status)
                assert media["examples"], (name, status)
                for code, example in media["examples"].items():
                    assert example["value"]["code"] == code
                    check(document, media["schema"], example["value"])


def test_an_operation_documents_every_refusal_on_its_way(document):
    responses = dict(operations(document))["POST /v1/assessments"]["responses"]
    codes = {
        status: set(response["content"]["application/json"]["examples"])
        for status, response in responses.items()
        if status.startswith(("4", "5"))
    }
    assert codes == {
        "400": {"invalid_json", "invalid_request"},
        "401": {"unauthorized"},
        "402": {"no_subscription", "trial_expired", "subscription_inactive"},
        "403": {"insufficient_scope", "quota_exceeded"},
        "409": {"in_progress"},
        "413": {"too_large"},
        "415": {"unsupported_media_type"},
        "422": {"idempotency_key_reused"},
        "429": {"too_many_requests"},
        "503": {"unavailable", "database_full"},
        "507": {"disk_full"},
    }


def test_every_parameter_is_described(document):
    for path, parameter in parameters(document):
        assert parameter.get("description"), (path, parameter["name"])
        is_a_header = parameter["in"] == "header"
        assert is_a_header or re.fullmatch(r"[a-z][A-Za-z]*", parameter["name"])


def test_every_shape_and_each_of_its_fields_is_described(document):
    for name, shape in document["components"]["schemas"].items():
        assert shape.get("description"), name
        for field, its in shape["properties"].items():
            assert its.get("description"), (name, field)


def test_descriptions_name_no_source_of_a_rule(document):
    for name, shape in document["components"]["schemas"].items():
        assert not re.search(r"\bR\d", shape["description"]), name


def test_every_reference_leads_somewhere(document):
    for reference in references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node


def test_every_body_has_an_example_of_its_shape(document):
    for name, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media["example"], name
            check(document, media["schema"], media["example"])


@pytest.mark.parametrize("shape", Body.__subclasses__(), ids=lambda shape: shape.__name__)
def test_the_service_takes_the_example_of_a_body(shape):
    shape().load(example_of(shape()))


def test_the_examples_of_new_things_are_accepted_as_they_stand(document, reviewer, assessment):
    def tried(path, method="post"):
        return document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]

    for path in ("/v1/assessments", "/v1/issues", "/v1/rubrics", "/v1/org/tokens"):
        assert reviewer.post(path, tried(path)).status_code == 201
    keys = "/v1/assessments/{assessmentId}/keys"
    assert reviewer.post(f"/v1/assessments/{assessment.id}/keys", tried(keys)).status_code == 201


def test_the_reviewers_resources_come_first_and_the_candidates_after_them(document):
    tags = [tag["name"] for tag in document["tags"]]
    assert tags[: len(REVIEWERS_RESOURCES)] == REVIEWERS_RESOURCES
    assert tags.index("Candidate") > tags.index("Organization")
    assert {tag for _, operation in operations(document) for tag in operation["tags"]} <= set(tags)
    assert all(tag["description"] for tag in document["tags"])


def test_the_server_is_wherever_the_document_came_from(document):
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_answers_are_what_the_document_says(document, reviewer, candidate, assessment, key):
    factories.make_issue(reviewer.row.organization)
    factories.make_rubric(reviewer.row.organization)
    session = factories.make_session(factories.make_key(assessment))
    sessions.complete(session)
    asked = [
        (reviewer, "/v1/assessments", {}),
        (reviewer, "/v1/assessments/{assessmentId}", {"assessmentId": assessment.id}),
        (candidate, "/v1/assessments/{assessmentId}", {"assessmentId": assessment.id}),
        (reviewer, "/v1/assessments/{assessmentId}/keys", {"assessmentId": assessment.id}),
        (reviewer, "/v1/assessments/{assessmentId}/cohort-stats", {"assessmentId": assessment.id}),
        (reviewer, "/v1/candidates", {}),
        (reviewer, "/v1/sessions/{sessionId}", {"sessionId": session.id}),
        (reviewer, "/v1/issues", {}),
        (reviewer, "/v1/rubrics", {}),
        (reviewer, "/v1/org", {}),
        (reviewer, "/v1/org/tokens", {}),
        (reviewer, "/v1/me", {}),
        (candidate, "/v1/me", {}),
        (candidate, "/v1/candidate/consent", {}),
        (candidate, "/v1/health", {}),
    ]
    for caller, path, ids in asked:
        answer = caller.get(path.format(**ids))
        shape = document["paths"][path]["get"]["responses"][str(answer.status_code)]
        check(document, shape["content"]["application/json"]["schema"], answer.json)


@pytest.mark.slow
def test_a_client_can_be_generated(app):
    api = schemathesis.openapi.from_wsgi("/openapi.json", app)
    found = [result.ok() for result in api.get_all_operations()]
    assert len(found) == sum(len(METHODS & item.keys()) for item in api.raw_schema["paths"].values())
    for operation in found:
        generate_a_request(operation)


def generate_a_request(operation):
    """One request as the document describes it; raises where it describes none."""

    @settings(max_examples=1, phases=[Phase.generate], database=None, deadline=None)
    @given(operation.as_strategy())
    def generate(case):
        assert case.method == operation.method.upper()

    generate()


def check(document, schema, value):
    Draft202012Validator(document | schema).validate(value)
