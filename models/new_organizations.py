"""Create organizations."""

from models.base import db
from models.ledger.audit import AuditChain
from models.orgs import ApiToken, Organization


def create_organization(name: str, plan: str = "self_hosted") -> tuple[Organization, str]:
    """Create an organization, and return it with its first API token. The `trial` plan lasts 14 days."""
    with db.atomic():
        organization = Organization.create(name=name, plan=plan)
        organization.subscribe("trialing" if plan == "trial" else "active")
        AuditChain.open(organization)
        _, token = ApiToken.issue(organization, "First token", "write")
    return organization, token
