"""Create organizations."""

from models.base import db
from models.ledger.protection import Owner, append
from models.orgs import ApiToken, Organization
from rules.ledger.entries import EPOCH


def create_organization(name: str, plan: str = "self_hosted") -> tuple[Organization, str]:
    """Create an organization, and return it with its first API token. The `trial` plan lasts 14 days."""
    with db.atomic():
        organization = Organization.create(name=name, plan=plan)
        organization.subscribe("trialing" if plan == "trial" else "active")
        append(Owner(organization.id), EPOCH, "created")
        _, token = ApiToken.issue(organization, "First token", "write")
    return organization, token
