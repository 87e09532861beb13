"""schemathesis makes requests out of the OpenAPI document, and checks that the answers are what it promises."""

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
EXAMPLES = 8
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
@pytest.mark.parametrize("who", ["reviewer", "candidate"])
def test_answers_are_what_the_document_promises(world, who, mode):
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.app = world.app
    caller = getattr(world.own, who)
    schema = schema.exclude(path_regex="^/v1/proxy/")
    for found in schema.get_all_operations():
        keep_promises(found.ok(), mode, caller, world.own.ids)


def keep_promises(operation, mode, caller, ids):
    """Call the operation with what schemathesis makes up, half of the time for things that are there."""

    @SETTINGS
    @hypothesis.given(operation.as_strategy(generation_mode=mode), strategies.booleans())
    def all_kept(case, there):
        if there:
            known = {name: str(one) for name, one in ids.items() if name in case.path_parameters}
            case.path_parameters.update(known)
        with models.db.atomic() as savepoint:
            response = case.call(headers=caller.headers)
            savepoint.rollback()
        case.validate_response(response, checks=CHECKS)

    # What takes nothing can be sent nothing wrong.
    with suppress(hypothesis.errors.Unsatisfiable):
        all_kept()
