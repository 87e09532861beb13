"""The organization, its settings and tokens, and the caller."""

from rules.plans import QUOTAS, SUBSCRIPTION_STATES
from rules.retention import MAX_DAYS, MIN_DAYS
from rules.roles import ROLES
from rules.workspace_files import MODEL_PROVIDERS
from schemas import common
from schemas.analytics import ProxyUse
from schemas.base import Body, CursorPageOf, Deleted, Schema, define_response, define_schema
from schemas.candidate_session import Disclosure
from schemas.fields import Choice, Email, Id, Integer, Line, LineList, ListOf, Nested, Reference, String
from schemas.queries import Filter, QueryInteger
from schemas.timestamps import Timestamp

SCOPES = ("read", "write")
MAX_USAGE_MONTHS = 36


class Subscription(Schema):
    """The organization's subscription."""

    state = Choice(SUBSCRIPTION_STATES, "State.", attribute="subscription", example="active", null=True)
    trial_ends_at = Timestamp("End of the trial.", null=True)


class Quota(Schema):
    """Monthly quota of assessments."""

    used = Integer("Assessments created this calendar month (UTC), including deleted ones.", example=2)
    quota = Integer("Assessments per month in the plan; null if unlimited.", example=10, null=True)
    resets_at = Timestamp("Start of the next month.")


class Organization(Schema):
    """The caller's organization."""

    id = Id("Unique id.")
    name = common.ORG_NAME
    plan = Choice(QUOTAS, "Plan.", example="self_hosted")
    subscription = Nested(Subscription, "Subscription.")
    quota = Nested(Quota, "Monthly quota.")
    created_at = Timestamp("Time of creation.")


OrganizationResponse = define_response("org", Organization, "The organization.")


class DisclosureAdditions(Body):
    """Entries to append to the disclosure's lists."""

    captures = LineList(500, "Other recorded data.", example=["Calls to our own model, with its responses"])
    does_not_capture = LineList(500, "Other data that is not recorded.", example=["Your other accounts"])
    evaluated = LineList(500, "Other evaluation criteria.", example=["How you write tests"])
    data_use = LineList(500, "Other uses of the data.", example=["Your interviewers can see it"])


class SettingsUpdate(Body):
    """Changes to the settings; null clears a field."""

    is_update = True

    display_name = Line(
        255, "Organization name in emails and on pages for candidates.", example="Example", null=True
    )
    reply_to = Email("Address for replies to invitations.", example="hiring@example.com", null=True)
    retention_days = Integer(
        "Days to keep personal data after a session ends or an unused key expires; null keeps it indefinitely.",
        min=MIN_DAYS,
        max=MAX_DAYS,
        example=180,
        null=True,
    )
    disclosure_additions = Nested(DisclosureAdditions, "Additions to the disclosure.", null=True)


class Settings(SettingsUpdate):
    """The organization's settings."""

    always_complete = True

    disclosure_version = String("The current disclosure's version.", example="2026-11-30+3fa9c1d2")
    disclosure_hash = String("The current disclosure's hash.", example="9f86d081884c7d65")
    retention_conflicts = ListOf(
        String(),
        "Additions to the disclosure that seem to contradict the retention period, which the disclosure states.",
        example=["We delete it 180 days after our decision"],
    )
    model_providers = ListOf(
        Choice(MODEL_PROVIDERS),
        "Model providers that this service has an API key for. Candidates see only tools that use one of them.",
        example=["anthropic"],
    )


SettingsResponse = define_response("settings", Settings, "The settings.")
DisclosureResponse = define_response("disclosure", Disclosure, "The disclosure.")


class UsageQuery(Filter):
    """Period of the usage report."""

    months = QueryInteger(
        f"Number of calendar months (UTC), including the current one; at most {MAX_USAGE_MONTHS}.",
        min=1,
        max=MAX_USAGE_MONTHS,
        load_default=12,
    )


class MonthlyUse(ProxyUse):
    """A model's usage in one month, reported by its provider."""

    month = String("Month when the calls started, in UTC.", example="2026-04")
    sessions = Integer("Number of sessions with these calls.", example=12)


class Usage(Schema):
    """Usage through the model proxies."""

    since = Timestamp("Start of the first month.")
    usage = ListOf(MonthlyUse, "By month, newest first, then by cost.")


class NewToken(Body):
    """A new API token."""

    name = Line(255, "Purpose.", example="Applicant tracking", required=True)
    scopes = ListOf(
        Choice(SCOPES),
        "`write` includes `read` and reveals candidate keys.",
        min=1,
        load_default=lambda: ["read"],
        example=["read"],
    )
    expires_in_days = Integer("Days until expiry. If omitted, it never expires.", min=1, max=3650, example=90)
    person_id = Reference("The token's person. If omitted, creates a service account called `name`.")


class Token(Schema):
    """An API token, without its secret."""

    id = Id("Unique id.")
    name = String("Purpose.", example="Applicant tracking")
    scopes = ListOf(Choice(SCOPES), "Scopes, limited by the person's role.", example=["read"])
    person_id = Id("Person id; null for a service account's token.", null=True, attribute="user_id")
    person_name = String("The person's name.", example="Bob Sample", null=True, attribute="user_name")
    role = Choice(ROLES, "The person's role.", example="reviewer", null=True)
    prefix = String("Prefix of all tokens.", example="psk_live_")
    last_four = String("Last four characters.", example="x7Qa")
    expires_at = Timestamp("Expiry.", null=True)
    last_used_at = Timestamp("Time when it was last used, to the minute.", null=True)
    created_at = Timestamp("Time of creation.")


class ReplayedToken(Schema):
    """The replayed response to creating an API token, without the secret."""

    token = Nested(Token, "The token's details.")
    note = common.REPLAY_NOTE


class CreatedToken(Schema):
    """A new API token with its secret, which is returned only once."""

    replay_schema = ReplayedToken

    token = Nested(Token, "The token's details.")
    secret = String("The secret, to send as `Authorization: Bearer`.", example="psk_live_" + "0" * 36)


Tokens = define_schema(
    "Tokens",
    "API tokens, by default oldest first.",
    CursorPageOf,
    tokens=ListOf(Token, "Tokens that are not revoked."),
)
RevokedToken = define_schema("RevokedToken", "The token is revoked.", Deleted)


class CallingPerson(Schema):
    """The token's owner."""

    id = Id("Person id.")
    name = String("Name.", example="Bob Sample")
    email = String("Email address.", example="bob@example.com")
    role = Choice(ROLES, "Role.", example="reviewer")


class Me(Schema):
    """The caller."""

    kind = Choice(["reviewer", "candidate"], "Kind of caller.", example="reviewer")
    id = Id("Id of the token or key.")
    name = String("Name of the token or candidate.", example="First token", null=True)
    org_id = Id("Organization id.")
    org_name = common.ORG_NAME
    scopes = ListOf(Choice(SCOPES), "An API token's scopes; empty for candidates.", example=["read", "write"])
    person = Nested(CallingPerson, "The token's owner; null for service accounts and candidates.", null=True)
    assessment_id = Id("Id of the candidate's assessment.", null=True)
    expires_at = Timestamp("Time when the credential expires.", null=True)
