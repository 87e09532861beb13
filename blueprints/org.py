"""The organization, its tokens, and who is calling."""

from datetime import timedelta

from access import audit, auth
from access.auth import caller
from access.idempotency import idempotent
from blueprints import Blueprint, find, refuses
from errors import LastWriteToken
from models import ApiToken, Assessment, CandidateKey, clock, disclosure
from rules import plans
from schemas.org import (
    Me,
    NewToken,
    OneOrganization,
    OneSettings,
    RevokedToken,
    SettingsChange,
    ShownToken,
    Tokens,
)

blp = Blueprint("Organization", __name__, description="Your organization, its settings and its tokens.")


@blp.get("/org")
@auth.required(ApiToken)
@blp.response(200, OneOrganization)
def get_org():
    """Get the organization

    Its plan, its subscription, and how much of the month's quota is used.
    """
    organization = caller.organization
    quota = {
        "used": Assessment.used_this_month(organization),
        "quota": plans.QUOTAS[organization.plan],
        "resets_at": plans.calendar_month(clock.now())[1],
    }
    shown = {"id": organization.id, "name": organization.name, "plan": organization.plan}
    return {
        "org": shown | {"created_at": organization.created_at, "subscription": organization, "quota": quota}
    }


@blp.get("/org/settings")
@auth.required(ApiToken)
@blp.response(200, OneSettings)
def get_settings():
    """Get the settings

    How candidates see the organization, what the disclosure tells them, and how long their data is kept.
    """
    return {"settings": _settings(caller.organization)}


@blp.patch("/org/settings")
@auth.required(ApiToken, scope="write")
@blp.arguments(SettingsChange)
@blp.response(200, OneSettings)
@audit.change()
def change_settings(data):
    """Change the settings

    What is left out stays; null clears. Additions to the disclosure replace all earlier ones and make a new version
    of it: who agreed to another text is asked again before the session begins.
    """
    caller.organization.update_columns(**data)
    return {"settings": _settings(caller.organization)}


@blp.get("/org/tokens")
@auth.required(ApiToken)
@blp.response(200, Tokens)
def list_tokens():
    """List tokens

    All that are not revoked, oldest first, without their secrets.
    """
    return {"tokens": list(ApiToken.visible_to(caller).order_by(ApiToken.created_at, ApiToken.id))}


@blp.post("/org/tokens")
@auth.required(ApiToken, scope="write")
@idempotent
@blp.arguments(NewToken)
@blp.response(201, ShownToken)
@audit.change(created="token")
def create_token(data):
    """Create a token

    The secret is in this answer and cannot be shown again.
    """
    scope = "write" if "write" in data["scopes"] else "read"
    days = data.get("expires_in_days")
    expires_at = clock.now() + timedelta(days=days) if days else None
    reviewer, token = ApiToken.issue(caller.organization, data["name"], scope, expires_at)
    return {"token": reviewer, "secret": token}


@blp.delete("/org/tokens/<id:token_id>")
@auth.required(ApiToken, scope="write")
@refuses(LastWriteToken)
@blp.response(200, RevokedToken)
@audit.change()
def revoke_token(token_id):
    """Revoke a token

    A token can revoke itself, but not the organization's last one with the scope `write`.
    """
    find(ApiToken, token_id).revoke()
    return {"ok": True, "id": token_id}


@blp.get("/me")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, Me)
def get_me():
    """Who this credential is

    Of a token or of a candidate's key: the quickest way to see that a credential works.
    """
    is_reviewer = isinstance(caller, ApiToken)
    return {
        "kind": "reviewer" if is_reviewer else "candidate",
        "id": caller.id,
        "name": caller.name if is_reviewer else caller.candidate_name,
        "org_id": caller.organization_id,
        "org_name": caller.organization.name if is_reviewer else caller.organization.shown_name,
        "scopes": caller.scopes if is_reviewer else [],
        "assessment_id": None if is_reviewer else caller.assessment_id,
        "expires_at": caller.expires_at,
    }


def _settings(organization):
    told = disclosure.for_organization(organization)
    return {
        "display_name": organization.display_name,
        "reply_to": organization.reply_to,
        "retention_days": organization.retention_days,
        "disclosure_additions": {name: [] for name in disclosure.LISTS}
        | (organization.disclosure_additions or {}),
        "disclosure_version": told["version"],
        "disclosure_hash": told["hash"],
    }
