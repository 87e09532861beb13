"""Integrations: connect an applicant-tracking system, its rules and orders, and receive its webhooks."""

from collections.abc import Sequence
from typing import Any

from flask import request

from access import audit, auth, caller, etags, raises, rate_limits
from access.idempotency import before_transaction, idempotent
from blueprints import Blueprint, find, page, setting, with_location
from errors import (
    Conflict,
    EmailLimit,
    InvitationExpired,
    NoEmailAddress,
    NotFailed,
    NotFound,
    SessionEnded,
    TooLarge,
    TooManyRequests,
    invalid,
)
from integrations import commands, connection, integrations, orders, rules, schemas, secrets, worker
from integrations.adapter import CredentialRejected, Job, Rejected, Stage
from integrations.calls import system_calls
from integrations.connection import connect
from integrations.errors import DuplicateRule, InvalidSignature, NoIntegrationKeys, SystemFailed
from integrations.systems import adapters
from integrations.tables import Integration, IntegrationOrder, IntegrationReport, IntegrationRule
from models import ApiToken, Assessment, Session
from models.base import find_referenced
from models.visibility import hidden_candidates
from schemas.queries import PageQuery
from web.json import read_body

blp = Blueprint(
    "Integrations",
    __name__,
    description="Stage changes in applicant-tracking systems invite candidates; results return as notes.",
    cli_group="integrations",
)
blp.cli = commands.group
# These fields change with every call to the system.
CALL_FIELDS = ("lastCallAt", "lastError", "lastErrorAt", "calls", "attentionCount")


@blp.record_once
def _register(state: Any) -> None:
    secrets.use(state.app.config["INTEGRATION_KEYS"] or {})
    connection.use(state.app.config)
    state.app.extensions.setdefault("worker_tasks", []).extend(worker.build_tasks(state.app.config))


def _check(integration_id: Any) -> dict[str, Any]:
    """Call the system. Raises SystemFailed if it cannot be reached."""
    integration = find(Integration, integration_id)
    active = list(IntegrationRule.of(integration).where(IntegrationRule.active))
    with system_calls():
        try:
            api = connect(integration)
            adapters()[integration.system].jobs(api)
            counts = [
                {"rule_id": rule.id, "waiting": len(rules.waiting(integration, rule, api))} for rule in active
            ]
        except (CredentialRejected, Rejected) as error:
            return {"ok": False, "problem": error.message, "rules": []}
    return {"ok": True, "problem": None, "rules": counts}


def _find_stage(data: dict[str, Any], integration_id: Any) -> tuple[Stage, Job | None]:
    """Look up a new rule's stage and job in the system. Raises Invalid and SystemFailed."""
    integration = find(Integration, integration_id)
    find_referenced(Assessment.visible_to(caller), data["assessment_id"], "assessmentId")
    adapter, job_id = adapters()[integration.system], data["job_id"]
    with system_calls():
        api = connect(integration)
        jobs = {job.id: job for job in adapter.jobs(api)} if job_id else {}
        stages = {stage.id: stage for stage in adapter.stages(api, job_id)}
    if job_id and job_id not in jobs:
        raise invalid("jobId", "No such job in the system.")
    if data["stage_id"] not in stages:
        raise invalid("stageId", "No such stage in the system.")
    return stages[data["stage_id"]], jobs.get(job_id)


@blp.get("/integration-systems")
@auth.required(ApiToken)
@blp.response(200, schemas.Systems)
def list_systems():
    """List the systems that can be connected

    With the values that an admin enters to connect each of them.
    """
    systems = [
        {
            "system": name,
            "name": adapter.NAME,
            "credential": adapter.CREDENTIAL,
            "settings": adapter.SETTINGS,
            "steps": adapter.STEPS,
        }
        for name, adapter in adapters().items()
    ]
    return {"systems": systems, "enabled": bool(setting("INTEGRATION_KEYS"))}


@blp.get("/integrations")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.Integrations)
def list_integrations(query):
    """List integrations

    Oldest first, without secrets.
    """
    response = page("integrations", Integration.visible_to(caller), query)
    return response | {"integrations": _represent(response["integrations"])}


@blp.post("/integrations")
@auth.required(ApiToken, scope="admin")
@with_location
@idempotent
@raises(NoIntegrationKeys)
@blp.arguments(schemas.NewIntegration)
@blp.response(201, schemas.IntegrationWithSecret)
@audit.record_change(created="integration")
def create_integration(data):
    """Connect a system

    Enter `eventsUrl` and the secret as a webhook in the system. The secret is shown only in this response. The
    credential is stored encrypted and never returned. To test it, check the integration.
    """
    integration, secret = integrations.create(caller.organization, **data)
    return {"integration": _represent_one(integration), "secret": secret}


@blp.get("/integrations/<id:integration_id>")
@auth.required(ApiToken)
@etags.with_etag
@etags.ignore(*CALL_FIELDS)
@blp.response(200, schemas.IntegrationResponse)
def get_integration(integration_id):
    """Get an integration

    Includes its state and its calls of the last 7 days, which do not change the ETag.
    """
    return {"integration": _represent_one(find(Integration, integration_id))}


@blp.patch("/integrations/<id:integration_id>")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@etags.ignore(*CALL_FIELDS)
@raises(NoIntegrationKeys)
@blp.arguments(schemas.IntegrationUpdate)
@blp.response(200, schemas.IntegrationResponse)
@audit.record_change()
def update_integration(data, integration_id):
    """Update an integration

    A new credential resumes an integration that stopped because the system rejected the credential. Nothing is lost
    while it is paused or stopped.
    """
    check = etags.precondition(
        lambda: schemas.IntegrationResponse().dump(
            {"integration": _represent_one(find(Integration, integration_id))}
        )
    )
    integration = integrations.update(find(Integration, integration_id), data, check)
    return {"integration": _represent_one(integration)}


@blp.delete("/integrations/<id:integration_id>")
@auth.required(ApiToken, scope="admin")
@blp.response(200, schemas.DeletedIntegration)
@audit.record_change()
def delete_integration(integration_id):
    """Delete an integration

    Deletes its secrets, and erases the orders that have invited nobody. Invited candidates keep their keys, but are no
    longer reported.
    """
    integrations.delete(find(Integration, integration_id))
    return {"ok": True, "id": integration_id}


@blp.post("/integrations/<id:integration_id>/rotate-secret")
@auth.required(ApiToken, scope="admin")
@idempotent
@raises(NoIntegrationKeys)
@blp.response(200, schemas.IntegrationWithSecret)
@audit.record_change()
def rotate_signing_secret(integration_id):
    """Rotate an integration's signing secret

    The new secret is shown only in this response. The former one is valid for 24 more hours.
    """
    integration, secret = integrations.rotate(find(Integration, integration_id))
    return {"integration": _represent_one(integration), "secret": secret}


@blp.post("/integrations/<id:integration_id>/check")
@auth.required(ApiToken, scope="admin")
@before_transaction(_check)
@idempotent
@raises(SystemFailed)
@blp.response(200, schemas.IntegrationCheckResponse)
@audit.record_change()
def check_integration(integration_id, prepared):
    """Check an integration

    Calls the system, and counts for each active rule the applications in its stage that have no order, or a skipped
    one. List and invite them with the rule's `catch-up`.
    """
    return {"check": prepared}


@blp.get("/integrations/<id:integration_id>/jobs")
@auth.required(ApiToken)
@raises(SystemFailed)
@blp.response(200, schemas.SystemJobs)
def list_jobs(integration_id):
    """List the system's jobs

    Calls the system.
    """
    integration = find(Integration, integration_id)
    with system_calls():
        return {"jobs": adapters()[integration.system].jobs(connect(integration))}


@blp.get("/integrations/<id:integration_id>/stages")
@auth.required(ApiToken)
@raises(SystemFailed)
@blp.arguments(schemas.StageQuery, location="query")
@blp.response(200, schemas.SystemStages)
def list_stages(query, integration_id):
    """List the system's stages

    Calls the system. Lists the stages of one job or of all jobs.
    """
    integration = find(Integration, integration_id)
    with system_calls():
        api = connect(integration)
        return {"stages": adapters()[integration.system].stages(api, query.get("job_id"))}


@blp.get("/integrations/<id:integration_id>/rules")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.Rules)
def list_rules(query, integration_id):
    """List an integration's rules

    Oldest first.
    """
    return page("rules", IntegrationRule.of(find(Integration, integration_id)), query)


@blp.post("/integrations/<id:integration_id>/rules")
@auth.required(ApiToken, scope="admin")
@with_location
@before_transaction(_find_stage, body=schemas.NewRule())
@idempotent
@raises(DuplicateRule, SystemFailed)
@blp.arguments(schemas.NewRule)
@blp.response(201, schemas.RuleResponse)
@audit.record_change(created="rule")
def create_rule(data, integration_id, prepared):
    """Create a rule

    From now on, candidates whose application enters the stage are invited. A job's rule takes precedence over a rule
    for all jobs, even if it is inactive. Invite candidates who are already in the stage with the rule's `catch-up`.
    """
    stage, job = prepared
    integration = find(Integration, integration_id)
    values = {name: data[name] for name in ("reports", "include", "active")}
    return {"rule": rules.create(integration, stage, job, _find_assessment(data), **values)}


@blp.get("/integrations/<id:integration_id>/rules/<id:rule_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.RuleResponse)
def get_rule(integration_id, rule_id):
    """Get a rule

    Shows whether its assessment can still be assigned.
    """
    return {"rule": _find_rule(integration_id, rule_id)}


@blp.patch("/integrations/<id:integration_id>/rules/<id:rule_id>")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@blp.arguments(schemas.RuleUpdate)
@blp.response(200, schemas.RuleResponse)
@audit.record_change()
def update_rule(data, integration_id, rule_id):
    """Update a rule

    Changes its assessment, its reports, or whether it is active. To change the stage, create another rule.
    """
    rule = _find_rule(integration_id, rule_id)
    if "assessment_id" in data:
        data["assessment"] = _find_assessment(data)
    check = etags.precondition(
        lambda: schemas.RuleResponse().dump({"rule": _find_rule(integration_id, rule_id)})
    )
    return {"rule": rules.update(rule, data, check)}


@blp.delete("/integrations/<id:integration_id>/rules/<id:rule_id>")
@auth.required(ApiToken, scope="admin")
@blp.response(200, schemas.DeletedRule)
@audit.record_change()
def delete_rule(integration_id, rule_id):
    """Delete a rule

    Candidates who have been invited are still reported.
    """
    rules.delete(_find_rule(integration_id, rule_id))
    return {"ok": True, "id": rule_id}


@blp.get("/integrations/<id:integration_id>/rules/<id:rule_id>/catch-up")
@auth.required(ApiToken, scope="admin")
@raises(SystemFailed)
@blp.response(200, schemas.WaitingApplications)
def list_waiting_applications(integration_id, rule_id):
    """List the applications that a rule has missed

    Calls the system, and lists the active applications in the rule's stage that have no order, or a skipped one.
    """
    integration = find(Integration, integration_id)
    rule = _find_rule(integration_id, rule_id)
    with system_calls():
        return {"applications": rules.waiting(integration, rule, connect(integration))}


@blp.post("/integrations/<id:integration_id>/rules/<id:rule_id>/catch-up")
@auth.required(ApiToken, scope="admin")
@idempotent
@raises(Conflict, NoIntegrationKeys)
@blp.arguments(schemas.CatchUp)
@blp.response(201, schemas.NewOrders)
@audit.record_change()
def catch_up_rule(data, integration_id, rule_id):
    """Invite candidates that a rule has missed

    Creates an order for each application that has none, and reopens skipped ones. Candidates are invited if their
    application is still in the stage.
    """
    integration = find(Integration, integration_id)
    rule = _find_rule(integration_id, rule_id)
    if not rule.active:
        raise Conflict("The rule is inactive. Activate it, then invite the candidates.")
    return {"orders": _represent_orders(orders.create(integration, rule, data["application_ids"]))}


@blp.get("/integrations/<id:integration_id>/orders")
@auth.required(ApiToken)
@blp.arguments(schemas.OrderQuery, location="query")
@blp.response(200, schemas.Orders)
def list_orders(query, integration_id):
    """List an integration's orders

    Oldest first, with their reports. An order in the state `attention` has a reason, and says what to do.
    """
    rows = IntegrationOrder.of(find(Integration, integration_id))
    if "state" in query:
        rows = rows.where(IntegrationOrder.state == query["state"])
    if "rule_id" in query:
        rows = rows.where(IntegrationOrder.rule == query["rule_id"])
    response = page("orders", rows, query)
    return response | {"orders": _represent_orders(response["orders"])}


@blp.post("/integrations/<id:integration_id>/orders/<id:order_id>/retry")
@auth.required(ApiToken, scope="admin")
@idempotent
@raises(Conflict, EmailLimit, InvitationExpired, NoEmailAddress, NotFailed, SessionEnded)
@blp.arguments(schemas.OrderRetry)
@blp.response(200, schemas.OrderResponse)
@audit.record_change()
def retry_order(data, integration_id, order_id):
    """Retry an order

    Reads the application again, or tries a failed report again. Never sends a second email, except with the action
    `invite`. With `may_not_email`, a retry confirms that the candidate may be emailed: the system's API does not always
    repeat what its webhook said.
    """
    among = IntegrationOrder.of(find(Integration, integration_id))
    order = orders.retry(find(IntegrationOrder, order_id, among), data["action"])
    return {"order": _represent_orders([order])[0]}


@blp.post("/integrations/<id:integration_id>/events")
@rate_limits.limit(None)
@raises(InvalidSignature, NoIntegrationKeys, TooLarge, TooManyRequests)
@blp.response(200, schemas.ReceivedWebhook)
def receive_stage_change(integration_id):
    """Receive a system's webhook

    For the connected system only, which signs the body with the integration's secret. An application that enters a
    rule's stage gets an order. A candidate's deletion requests the erasure of their data; orders without an invitation
    are erased if their application no longer exists. Other events are ignored. The body is at most 1 MiB.
    """
    integration = integration_id and Integration.alive().where(Integration.id == integration_id).get_or_none()
    if not integration:
        rate_limits.count_unsigned("unknown integration")
        raise NotFound()
    adapter, body = adapters()[integration.system], read_body(request)
    try:
        signing_secrets = secrets.signing_secrets(integration)
    except secrets.Undecryptable:
        raise NoIntegrationKeys() from None
    if not adapter.verify(request.headers, body, signing_secrets):
        rate_limits.count_unsigned(integration.id)
        raise InvalidSignature()
    if hint := adapter.parse(body):
        orders.receive(integration, hint)
    return {"ok": True}


def _represent(rows: Sequence[Any]) -> Sequence[Any]:
    """Add the URL for webhooks, and counts."""
    for row in rows:
        row.events_url = f"{setting('BASE_URL')}/v1/integrations/{row.id}/events"
    return integrations.with_counts(rows)


def _represent_one(integration: Integration) -> Any:
    return _represent([integration])[0]


def _represent_orders(rows: Sequence[Any]) -> Sequence[Any]:
    """Add sessions, reports, the texts of reasons, and whether the candidate is hidden from the caller."""
    keys = [row.key_id for row in rows if row.key_id]
    found = Session.select(Session.id, Session.key).where(Session.key.in_(keys))
    sessions = {session.key_id: session.id for session in found}
    hidden = hidden_candidates(caller, keys)
    reports: dict[Any, list[Any]] = {row.id: [] for row in rows}
    selected: Any = IntegrationReport.select().where(IntegrationReport.order.in_(rows))
    for report in selected.order_by(IntegrationReport.number):
        reports[report.order_id].append(report)
    for row in rows:
        row.session_id, row.reports = sessions.get(row.key_id), reports[row.id]
        row.candidate_hidden = row.key_id in hidden
        row.message, row.remedy = orders.REASONS.get(row.reason, (None, None))
    return rows


def _find_rule(integration_id: Any, rule_id: Any) -> IntegrationRule:
    return find(IntegrationRule, rule_id, IntegrationRule.of(find(Integration, integration_id)))


def _find_assessment(data: dict[str, Any]) -> Assessment:
    return find_referenced(Assessment.visible_to(caller), data.pop("assessment_id"), "assessmentId")
