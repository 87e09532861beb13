"""Schemathesis generates requests from the OpenAPI document and checks the responses against it."""

from contextlib import suppress

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import models
from tests.hostile.operations import DOCUMENT

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
SETTINGS = hypothesis.settings(max_examples=5, suppress_health_check=list(hypothesis.HealthCheck))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
@pytest.mark.parametrize("who", ["reviewer", "candidate"])
def test_responses_match_the_document(world, who, mode):
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = world.app
    operations = list(schema.exclude(path_regex="^/v1/proxy/").get_all_operations())
    assert len(operations) > 80
    for operation in operations:
        check_operation(operation.ok(), mode, getattr(world.own, who), world.own.ids)


def check_operation(operation, mode, caller, ids):
    """Call the operation with generated values. Half of the calls use existing ids."""

    @SETTINGS
    @hypothesis.given(operation.as_strategy(generation_mode=mode), strategies.booleans())
    def call(case, use_existing):
        if use_existing:
            known = {name: str(id) for name, id in ids.items() if name in case.path_parameters}
            case.path_parameters.update(known)
        with models.db.atomic() as savepoint:
            # Schemathesis does not decompress responses.
            response = case.call(headers=caller.headers | {"Accept-Encoding": "identity"})
            savepoint.rollback()
        case.validate_response(response, checks=CHECKS)

    # Operations without parameters have no invalid requests.
    with suppress(hypothesis.errors.Unsatisfiable):
        call()
