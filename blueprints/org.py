"""The organization, its settings and tokens, and the caller."""

from datetime import timedelta
from itertools import chain

from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, build_disclosure, cursor_page, find, model_providers
from errors import LastWriteToken
from models import ApiToken, Assessment, CandidateKey, ModelUsage, Organization, clock, disclosure, users
from rules import plans
from rules.retention import conflicting_lines
from schemas import org as schemas
from schemas.queries import CursorPageQuery

blp = Blueprint("Organization", __name__, description="Your organization, its settings and its tokens.")


@blp.get("/org")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.OrganizationResponse)
def get_org():
    """Get the organization

    Includes the plan, the subscription, and the monthly quota and its usage.
    """
    organization = caller.organization
    quota = {
        "used": Assessment.used_this_month(organization),
        "quota": plans.QUOTAS[organization.plan],
        "resets_at": plans.calendar_month(clock.now())[1],
    }
    columns = {name: getattr(organization, name) for name in ("id", "name", "plan", "created_at")}
    return {"org": columns | {"subscription": organization, "quota": quota}}


@blp.get("/org/settings")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.SettingsResponse)
def get_settings():
    """Get the settings

    The display name, the reply-to address, additions to the disclosure, and the retention period for personal data.
    """
    return {"settings": _settings(caller.organization)}


@blp.patch("/org/settings")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@blp.arguments(schemas.SettingsUpdate)
@blp.response(200, schemas.SettingsResponse)
@audit.record_change()
def update_settings(data):
    """Update the settings

    Omitted fields keep their values; null clears a field. Changing the disclosure additions replaces all
    existing ones. This and a change of the retention period create a new disclosure version. Candidates who have not
    started must consent again.
    """
    check = etags.precondition(
        lambda: schemas.SettingsResponse().dump(
            {"settings": _settings(Organization.get_by_id(caller.organization_id))}
        )
    )
    return {"settings": _settings(caller.organization.update_settings(data, check))}


@blp.get("/org/disclosure")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.DisclosureResponse)
def get_disclosure():
    """Get the disclosure

    The text that candidates consent to, with the organization's retention period, and its additions at the end of each
    list.
    """
    return {"disclosure": build_disclosure(caller.organization)}


@blp.get("/org/usage")
@auth.required(ApiToken)
@blp.arguments(schemas.UsageQuery, location="query")
@blp.response(200, schemas.Usage)
def get_usage(query):
    """Get model usage

    Tokens and cost of candidates' calls through the model proxies, by month (UTC), provider and model; newest first.
    Includes deleted assessments and erased candidates.
    """
    since = plans.month_start(clock.now(), query["months"] - 1)
    return {"usage": ModelUsage.by_month(caller.organization, since), "since": since}


@blp.get("/org/tokens")
@auth.required(ApiToken)
@blp.arguments(CursorPageQuery, location="query")
@blp.response(200, schemas.Tokens)
def list_tokens(query):
    """List tokens

    All tokens except revoked ones, oldest first, without their secrets. Set `limit` to paginate.
    """
    return cursor_page("tokens", ApiToken.visible_to(caller), query)


@blp.post("/org/tokens")
@auth.required(ApiToken, scope="admin")
@idempotent
@blp.arguments(schemas.NewToken)
@blp.response(201, schemas.CreatedToken)
@audit.record_change(created="token")
def create_token(data):
    """Create a token

    For a person (`personId`) or a named service account. The person's current role limits what the token can do. Only
    admins can create tokens for admins. The secret is returned only in this response.
    """
    scope = "write" if "write" in data["scopes"] else "read"
    days = data.get("expires_in_days")
    expires_at = clock.now() + timedelta(days=days) if days else None
    token, secret = users.issue_token(caller, data.get("person_id"), data["name"], scope, expires_at)
    return {"token": token, "secret": secret}


@blp.delete("/org/tokens/<id:token_id>")
@auth.required(ApiToken, scope="admin")
@raises(LastWriteToken)
@blp.response(200, schemas.RevokedToken)
@audit.record_change()
def revoke_token(token_id):
    """Revoke a token

    A token can revoke itself, unless it is the organization's last one with the `write` scope. Only admins can revoke
    admins' tokens.
    """
    users.revoke_token(find(ApiToken, token_id), caller)
    return {"ok": True, "id": token_id}


@blp.get("/me")
@auth.required(ApiToken | CandidateKey)
@blp.response(200, schemas.Me)
def get_me():
    """Get the caller

    The API token or candidate key that authenticated the request. Use this to check a credential.
    """
    return serialize_caller(caller)


def serialize_caller(credential):
    """Build the `/me` response for an API token or candidate key."""
    is_reviewer = isinstance(credential, ApiToken)
    return {
        "kind": "reviewer" if is_reviewer else "candidate",
        "id": credential.id,
        "name": credential.name if is_reviewer else credential.candidate_name,
        "org_id": credential.organization_id,
        "org_name": credential.organization.name if is_reviewer else credential.organization.public_name,
        "scopes": credential.scopes if is_reviewer else [],
        "person": credential.user if is_reviewer else None,
        "assessment_id": None if is_reviewer else credential.assessment_id,
        "expires_at": credential.expires_at,
    }


def _settings(organization):
    current = build_disclosure(organization)
    additions = {name: [] for name in disclosure.LISTS} | (organization.disclosure_additions or {})
    columns = ("display_name", "reply_to", "retention_days")
    return {name: getattr(organization, name) for name in columns} | {
        "disclosure_additions": additions,
        "disclosure_version": current["version"],
        "disclosure_hash": current["hash"],
        "retention_conflicts": conflicting_lines(chain(*additions.values()), organization.retention_days),
        "model_providers": model_providers(),
    }
