"""Integrations, their rules and their orders."""

from typing import Any

from integrations.orders import REASONS
from integrations.systems import adapters
from integrations.tables import DROPPED, ERASED, FAILED, QUEUED, SENT, STATES
from schemas.base import Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.common import REPLAY_NOTE
from schemas.fields import Choice, Dict, Flag, Id, Integer, Line, ListOf, Nested, Reference, String
from schemas.queries import Filter, PageQuery
from schemas.timestamps import Timestamp

MAX_CATCH_UP = 200
MAX_VALUE_CHARACTERS = 2000
MAX_ID_CHARACTERS = 255
REPORTED = ("invited", "started", "submitted", "scored", "expired", "revoked")
DEFAULT_REPORTED = ("submitted", "scored", "expired", "revoked")
PARTS = ("score", "duration", "criteria", "tests")
DEFAULT_PARTS = ("score", "duration")
ACTIONS = ("invite", "report")
EXAMPLE_APPLICATION = "265277"

# The first system, for an example that its adapter accepts.
_SYSTEM, _ADAPTER = next(iter(adapters().items()))
_CREDENTIAL = {field.name: "example" for field in _ADAPTER.CREDENTIAL}
_SETTINGS = {field.name: field.choices[0] for field in _ADAPTER.SETTINGS if field.choices}


def _values(description: str, **options: Any) -> Dict:
    return Dict(description, keys=String(), values=Line(MAX_VALUE_CHARACTERS, null=True), **options)


class InputField(Schema):
    """A value that an admin enters to connect a system."""

    name = String("Name in `credential` or `settings`.", example="apiKey")
    label = String("Label.", example="API key")
    help = String("Location of the value in the system.", example="Admin > Integrations > API Keys.")
    required = Flag("True if the value is required.", attribute="is_required", example=True)
    choices = ListOf(String(), "Accepted values, the default first; empty for any text.", example=[])


class System(Schema):
    """An applicant-tracking system that can be connected."""

    system = Choice(adapters(), "Identifier.", example=_SYSTEM)
    name = String("Name.", example=_ADAPTER.NAME)
    credential = ListOf(InputField, "Secrets to enter.")
    settings = ListOf(InputField, "Other settings.")
    steps = ListOf(
        String(),
        "Steps to create the webhook in the system.",
        example=["Open Admin, Integrations, Webhooks."],
    )


class Systems(Schema):
    """The systems that can be connected."""

    systems = ListOf(System, "Systems.")
    enabled = Flag("False if INTEGRATION_KEYS is not set, so nothing can be connected.", example=True)


class NewIntegration(Body):
    """A system to connect."""

    system = Choice(adapters(), "System.", example=_SYSTEM, required=True)
    name = Line(255, "Name.", example="Engineering hiring", required=True)
    credential = _values("The system's secrets, by name.", example=_CREDENTIAL, required=True)
    settings = _values("The system's settings, by name.", load_default=dict, example=_SETTINGS)


class IntegrationUpdate(Body):
    """Changes to an integration."""

    is_update = True

    name = Line(255, "Name.", example="Engineering hiring")
    credential = _values(
        "New secrets, instead of all current ones. They resume a stopped integration.", example=_CREDENTIAL
    )
    settings = _values("New settings, instead of all current ones.", example=_SETTINGS)
    active = Flag("False pauses the integration: nothing is read, invited or reported.", example=True)


class DailyCalls(Schema):
    """Calls to the system on one day."""

    day = String("UTC day.", example="2026-04-01")
    calls = Integer("Number of calls.", example=120)
    failures = Integer("Number of failed calls.", example=0)


class Integration(Schema):
    """A connected system, without its secrets."""

    id = Id("Unique id.")
    system = Choice(adapters(), "System.", example=_SYSTEM)
    name = String("Name.", example="Engineering hiring")
    state = Choice(
        ["active", "paused", "stopped"],
        "`paused` by a person. `stopped` until the credential is replaced.",
        example="active",
    )
    stopped_reason = Choice(["credential_rejected"], "Reason of `stopped`.", null=True)
    events_url = String(
        "URL for the system's webhook.", example="https://assess.example.com/v1/integrations/ID/events"
    )
    credential_end = String("Last 4 characters of the credential.", example="9f3a")
    settings = Dict("The system's settings, by name.", values=String(), example=_SETTINGS)
    last_call_at = Timestamp("Time of the last call to the system.", null=True)
    last_error = String(
        "Error of the last failed call, even after a success.",
        example="The system responded with 503.",
        null=True,
    )
    last_error_at = Timestamp("Time of the last failed call.", null=True)
    calls = ListOf(DailyCalls, "Calls of the last 7 days, oldest first.")
    attention_count = Integer(
        "Number of orders in the state `attention`, without `email_suppressed`, which continue automatically.",
        example=0,
    )
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


IntegrationResponse = define_response("integration", Integration, "The integration.")
Integrations = define_schema(
    "Integrations",
    "Integrations, oldest first.",
    PageOf,
    integrations=ListOf(Integration, "Integrations."),
)
ReplayedIntegration = define_schema(
    "ReplayedIntegration",
    "The replayed response, without the secret.",
    integration=Nested(Integration, "The integration."),
    note=REPLAY_NOTE,
)
DeletedIntegration = define_schema("DeletedIntegration", "The integration is deleted.", Deleted)


class IntegrationWithSecret(Schema):
    """An integration with its signing secret, which is shown only once."""

    replay_schema = ReplayedIntegration

    integration = Nested(Integration, "The integration.")
    secret = String("Key with which the system signs webhooks.", example="5f6e1c0a9b7d4e3f8a2b1c0d9e8f7a6b")


class WaitingCount(Schema):
    """The applications in a rule's stage that have no order, or a skipped one."""

    rule_id = Id("Rule id.")
    waiting = Integer("Number of applications.", example=2)


class IntegrationCheck(Schema):
    """The result of a check."""

    ok = Flag("True if the system accepted the credential.", example=True)
    problem = String("Error of the call.", example="Ashby responded with 403 (invalid_api_key).", null=True)
    rules = ListOf(WaitingCount, "Each active rule's waiting applications.")


IntegrationCheckResponse = define_response("check", IntegrationCheck, "The check.")


class SystemJob(Schema):
    """A job in the system."""

    id = String("The system's id.", example="4011")
    name = String("Name.", example="Backend Engineer")


class SystemStage(Schema):
    """A stage in the system."""

    id = String("The system's id.", example="7021")
    name = String("Name.", example="Take-home")
    job_id = String("The system's id of its job; null if several jobs share it.", example="4011", null=True)
    group = String(
        "Name of the job or plan that the stage belongs to.", example="Backend Engineer", null=True
    )


SystemJobs = define_schema("SystemJobs", "The system's jobs.", jobs=ListOf(SystemJob, "Jobs."))
SystemStages = define_schema("SystemStages", "The system's stages.", stages=ListOf(SystemStage, "Stages."))


class StageQuery(Filter):
    """Stage filter."""

    job_id = String("Only this job's stages.", min=1, max=MAX_ID_CHARACTERS)


_REPORTS = "States to report."
_INCLUDE = "Parts of a report, in addition to title, status and link."


class NewRule(Body):
    """A stage whose candidates get an assessment."""

    stage_id = Line(MAX_ID_CHARACTERS, "The system's id of the stage.", example="7021", required=True)
    job_id = Line(
        MAX_ID_CHARACTERS,
        "The system's id of the job; omit it for all jobs.",
        load_default=None,
        example="4011",
    )
    assessment_id = Reference("Assessment to invite to.", required=True)
    reports = ListOf(
        Choice(REPORTED),
        _REPORTS,
        max=len(REPORTED),
        distinct=True,
        load_default=lambda: list(DEFAULT_REPORTED),
        example=list(DEFAULT_REPORTED),
    )
    include = ListOf(
        Choice(PARTS),
        _INCLUDE,
        max=len(PARTS),
        distinct=True,
        load_default=lambda: list(DEFAULT_PARTS),
        example=list(DEFAULT_PARTS),
    )
    active = Flag("False if candidates in the stage are not invited.", load_default=True, example=True)


class RuleUpdate(Body):
    """Changes to a rule. They apply to its open orders, too."""

    is_update = True

    assessment_id = Reference("Assessment to invite to.")
    reports = ListOf(
        Choice(REPORTED), _REPORTS, max=len(REPORTED), distinct=True, example=list(DEFAULT_REPORTED)
    )
    include = ListOf(Choice(PARTS), _INCLUDE, max=len(PARTS), distinct=True, example=list(DEFAULT_PARTS))
    active = Flag("False if candidates in the stage are not invited.", example=True)


class Rule(Schema):
    """A stage whose candidates get an assessment."""

    id = Id("Unique id.")
    stage_id = String("The system's id of the stage.", example="7021")
    stage_name = String("Name of the stage when the rule was created.", example="Take-home")
    job_id = String(
        "The system's id of the job; null for all jobs.", attribute="system_job_id", example="4011", null=True
    )
    job_name = String("Name of the job when the rule was created.", example="Backend Engineer", null=True)
    assessment_id = Id("Assessment id.")
    assessment_title = String(
        "Assessment name.", attribute="assessment.title", example="Backend API Challenge"
    )
    assessment_available = Flag("False if the assessment is archived or deleted.", example=True)
    reports = ListOf(Choice(REPORTED), _REPORTS, example=list(DEFAULT_REPORTED))
    include = ListOf(Choice(PARTS), _INCLUDE, example=list(DEFAULT_PARTS))
    active = Flag("False if candidates in the stage are not invited.", example=True)
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


RuleResponse = define_response("rule", Rule, "The rule.")
Rules = define_schema("Rules", "Rules, oldest first.", PageOf, rules=ListOf(Rule, "Rules."))
DeletedRule = define_schema("DeletedRule", "The rule is deleted.", Deleted)


class WaitingApplication(Schema):
    """An application in a rule's stage that has no order, or a skipped one. Name and address are not stored."""

    application_id = String(
        "The system's id of the application.", attribute="id", example=EXAMPLE_APPLICATION
    )
    name = String("Candidate's name, if the system's list contains it.", example="Alice", null=True)
    email = String(
        "Candidate's email address, if the system's list contains it.", example="alice@example.com", null=True
    )


WaitingApplications = define_schema(
    "WaitingApplications",
    "The applications in the rule's stage that have no order, or a skipped one.",
    applications=ListOf(WaitingApplication, "Applications."),
)


class CatchUp(Body):
    """Applications to invite."""

    application_ids = ListOf(
        Line(MAX_ID_CHARACTERS),
        "The system's ids of the applications.",
        min=1,
        max=MAX_CATCH_UP,
        required=True,
        example=[EXAMPLE_APPLICATION],
    )


class OrderQuery(PageQuery):
    """Order filter."""

    state = Choice(STATES, "Only orders in this state.")
    rule_id = Id("Only this rule's orders.")


class OrderReport(Schema):
    """A note about a candidate in the system."""

    number = Integer("Position among the order's reports, from 1.", example=1)
    status = Choice((*REPORTED, ERASED), "Reported state.", example="submitted")
    state = Choice(
        [QUEUED, SENT, DROPPED, FAILED],
        "`dropped`: a newer report replaced it. `failed`: not tried again.",
        example=SENT,
    )
    reference = String("Reference in the note's last line.", example="3f09ac-1")
    sent_at = Timestamp("Time when the system accepted the note.", null=True)
    last_error = String("Last error.", example="The system responded with 503.", null=True)


class Order(Schema):
    """An application in a rule's stage, from the invitation to the last report."""

    id = Id("Unique id.")
    rule_id = Id("Rule id.")
    application_id = String(
        "The system's id of the application; null after an erasure.", example=EXAMPLE_APPLICATION, null=True
    )
    state = Choice(STATES, "State.", example="submitted")
    reason = Choice(REASONS, "Reason of `attention`.", null=True)
    message = String(
        "With `attention`: the problem.",
        example="The candidate has no valid email address in the applicant-tracking system.",
        null=True,
    )
    remedy = String("With `attention`: the remedy.", example="Add an address there, then retry.", null=True)
    candidate_id = Id("Id of the candidate key.", attribute="key_id", null=True)
    session_id = Id("Session id.", null=True)
    candidate_hidden = Flag(
        "True if the assessment is blind and the candidate's name is hidden from the caller. The application's page in "
        "the system shows it.",
        example=False,
    )
    next_try_at = Timestamp("Time of the next try.", attribute="due_at", null=True)
    last_error = String("Last error.", example="The system responded with 503.", null=True)
    reports = ListOf(OrderReport, "Reports, oldest first.")
    created_at = Timestamp("Time of creation.")
    updated_at = Timestamp("Time of the last change.")


OrderResponse = define_response("order", Order, "The order.")
Orders = define_schema("Orders", "Orders, oldest first.", PageOf, orders=ListOf(Order, "Orders."))
NewOrders = define_schema(
    "NewOrders", "The applications' orders, new or existing.", orders=ListOf(Order, "Orders.")
)


class OrderRetry(Body):
    """A retry of an order."""

    action = Choice(
        ACTIONS,
        "`report`: report an invited candidate's state again, or with `already_assessed` the existing result. "
        "`invite`: with `already_assessed`, invite the candidate again. Otherwise omit it.",
        load_default=None,
        example="report",
    )


class ReceivedWebhook(Schema):
    """The webhook was received."""

    ok = Flag("Always true.", dump_default=True, example=True)
