"""Rules: the stages whose candidates get an assessment."""

from collections.abc import Callable, Iterable
from typing import Any

from integrations import secrets
from integrations.adapter import Application, Job, Stage
from integrations.systems import adapters
from integrations.tables import ATTENTION, RECEIVED, SKIPPED, Integration, IntegrationOrder, IntegrationRule
from models import Assessment, clock, db


def find(
    integration: Integration, stage_id: str | None, job_ids: Iterable[str | None]
) -> IntegrationRule | None:
    """Find the active rule for a stage. A job's rules take precedence over a rule for all jobs, even if inactive."""
    if stage_id is None:
        return None
    rules = IntegrationRule.of(integration).where(
        IntegrationRule.stage_id == stage_id, IntegrationRule.job_id.in_({*filter(None, job_ids), ""})
    )
    found = list(rules.order_by(IntegrationRule.job_id.desc()))
    of_jobs = [rule for rule in found if rule.job_id] or found
    return next((rule for rule in of_jobs if rule.active), None)


def create(
    integration: Integration,
    stage: Stage,
    job: Job | None,
    assessment: Assessment,
    reports: list[str],
    include: list[str],
    active: bool = True,
) -> IntegrationRule:
    """Create a rule; without a job it is for all jobs. Raises DuplicateRule."""
    columns = {"stage_id": stage.id, "stage_name": stage.name, "reports": reports, "include": include}
    columns |= {"job_id": job.id, "job_name": job.name} if job else {}
    return IntegrationRule.create(integration=integration, assessment=assessment, active=active, **columns)


def update(
    rule: IntegrationRule, values: dict[str, Any], check: Callable[[], None] = lambda: None
) -> IntegrationRule:
    """Update the rule; `check` is called after the row is locked. Raises DuplicateRule."""
    with db.atomic():
        rule = rule.lock()
        check()
        if changes := rule.changed_columns(values):
            rule.update_columns(**changes, updated_at=clock.now())
    return rule


def delete(rule: IntegrationRule) -> None:
    """Delete the rule. Orders that have invited nobody yet are skipped; others are still reported."""
    with db.atomic():
        rule.set_once("deleted_at")
        is_waiting = IntegrationOrder.state.in_((RECEIVED, ATTENTION)) & IntegrationOrder.key.is_null()
        skipped = {"state": SKIPPED, "reason": None, "due_at": None, "updated_at": clock.now()}
        IntegrationOrder.update(skipped).where(IntegrationOrder.rule == rule, is_waiting).execute()


def waiting(integration: Integration, rule: IntegrationRule, api: Any) -> list[Application]:
    """Return the applications in the rule's stage without an order, or with a skipped one."""
    orders = IntegrationOrder.of(integration)
    has_order = (IntegrationOrder.rule == rule) & (IntegrationOrder.state != SKIPPED)
    known_ids = {order.application_id for order in orders.where(has_order)}
    macs = {order.erased_mac for order in orders.where(IntegrationOrder.erased_mac.is_null(False))}
    others = IntegrationRule.of(integration).where(IntegrationRule.stage_id == rule.stage_id)
    other_jobs = {other.job_id for other in others} if not rule.job_id else set()
    found = adapters()[integration.system].in_stage(api, rule.stage_id, rule.system_job_id)
    return [
        application
        for application in found
        if application.id not in known_ids
        and application.job_id not in other_jobs
        and macs.isdisjoint(secrets.application_macs(integration.id, application.id))
    ]
