"""The organization, its settings and tokens, and the caller."""

from rules.plans import QUOTAS, SUBSCRIPTION_STATES
from rules.retention import MAX_DAYS, MIN_DAYS
from rules.roles import ROLES
from schemas import common
from schemas.analytics import ProxyUse
from schemas.base import Body, CursorPageOf, Deleted, Schema, shape
from schemas.candidate_session import Disclosure
from schemas.fields import Choice, Email, Id, Integer, Line, ListOf, Nested, Reference, String, TextList
from schemas.queries import Filter, QueryInteger
from schemas.timestamps import Timestamp

SCOPES = ("read", "write")
MAX_USAGE_MONTHS = 36
EXAMPLE_SECRET = "psk_live_" + "0" * 36


class Subscription(Schema):
    """Subscription of the organization."""

    state = Choice(SUBSCRIPTION_STATES, "State.", attribute="subscription", example="active", null=True)
    trial_ends_at = Timestamp("End of the trial.", null=True)


class Quota(Schema):
    """Assessments of this calendar month (UTC)."""

    used = Integer("Assessments created, including deleted ones.", example=2)
    quota = Integer("Assessments that the plan allows; null without a quota.", example=10, null=True)
    resets_at = Timestamp("Start of the next month.")


class Organization(Schema):
    """The caller's organization."""

    id = Id("Unique id.")
    name = common.ORG_NAME
    plan = Choice(QUOTAS, "Plan.", example="self_hosted")
    subscription = Nested(Subscription, "Subscription.")
    quota = Nested(Quota, "Monthly quota.")
    created_at = Timestamp("Time of creation.")


OneOrganization = shape("OneOrganization", "One organization.", org=Nested(Organization, "The organization."))


class DisclosureAdditions(Body):
    """Texts appended to the lists of the service's disclosure."""

    captures = TextList(500, "Further recorded data.", example=["Calls to our own model, with its responses"])
    does_not_capture = TextList(500, "Further data that is not recorded.", example=["Your other accounts"])
    evaluated = TextList(500, "Further evaluation criteria.", example=["How you write tests"])
    data_use = TextList(500, "Further uses of the data.", example=["We delete it after 180 days"])


class SettingsChange(Body):
    """Changes of the settings; null clears."""

    is_change = True

    display_name = Line(255, "Organization name for candidates.", example="Example", null=True)
    reply_to = Email("Address for replies to invitations.", example="hiring@example.com", null=True)
    retention_days = Integer(
        "Days after the end of a session or of an unused key until personal data is erased; null: never.",
        min=MIN_DAYS,
        max=MAX_DAYS,
        example=180,
        null=True,
    )
    disclosure_additions = Nested(DisclosureAdditions, "Additions to the disclosure.", null=True)


class Settings(SettingsChange):
    """Settings of the organization."""

    always_complete = True

    disclosure_version = String("Version of the current disclosure.", example="2026-11-26+3fa9c1d2")
    disclosure_hash = String("Hash of the current disclosure.", example="9f86d081884c7d65")


OneSettings = shape("OneSettings", "The organization's settings.", settings=Nested(Settings, "The settings."))


OneDisclosure = shape(
    "OneDisclosure",
    "The disclosure that candidates consent to.",
    disclosure=Nested(Disclosure, "The text."),
)


class UsageQuery(Filter):
    """Months of the usage."""

    months = QueryInteger(
        f"Number of calendar months (UTC), the current one included; at most {MAX_USAGE_MONTHS}.",
        min=1,
        max=MAX_USAGE_MONTHS,
        load_default=12,
    )


class MonthlyUse(ProxyUse):
    """Usage of one model in one month, as the providers reported it."""

    month = String("Month in which the calls started, in UTC.", example="2026-04")
    sessions = Integer("Sessions with such calls.", example=12)


class Usage(Schema):
    """Usage of models through the proxies."""

    since = Timestamp("Start of the first month.")
    usage = ListOf(MonthlyUse, "By month, newest first, then by cost.")


class NewToken(Body):
    """A new API token."""

    name = Line(255, "Purpose.", example="Applicant tracking", required=True)
    scopes = ListOf(
        Choice(SCOPES),
        "`write` includes `read`, and shows candidate keys in full.",
        min=1,
        load_default=lambda: ["read"],
        example=["read"],
    )
    expires_in_days = Integer("Days until it expires; without it, never.", min=1, max=3650, example=90)
    person_id = Reference("Person whose token it is; without it, the token is that of the service `name`.")


class Token(Schema):
    """An API token, without its secret."""

    id = Id("Unique id.")
    name = String("Purpose.", example="Applicant tracking")
    scopes = ListOf(Choice(SCOPES), "Scopes, within the person's role.", example=["read"])
    person_id = Id("Person whose token it is; null for a service's.", null=True, attribute="user_id")
    person_name = String("Name of the person.", example="Bob Sample", null=True, attribute="user_name")
    role = Choice(ROLES, "Role of the person.", example="reviewer", null=True)
    prefix = String("Prefix of all tokens.", example="psk_live_")
    last_four = String("Last four characters.", example="x7Qa")
    expires_at = Timestamp("Expiry.", null=True)
    last_used_at = Timestamp("Time when it was last used, to the minute.", null=True)
    created_at = Timestamp("Time of creation.")


class ReplayedToken(Schema):
    """The replayed response to creating an API token, without its secret."""

    token = Nested(Token, "Details of the token.")
    note = common.REPLAY_NOTE


class CreatedToken(Schema):
    """A new API token; its secret is shown only once."""

    replayed = ReplayedToken

    token = Nested(Token, "Details of the token.")
    secret = String("The token.", example=EXAMPLE_SECRET)


Tokens = shape(
    "Tokens",
    "API tokens, by default oldest first.",
    CursorPageOf,
    tokens=ListOf(Token, "Tokens that are not revoked."),
)
RevokedToken = shape("RevokedToken", "The token is revoked.", Deleted)


class CallingPerson(Schema):
    """Person whose token the request is authenticated with."""

    id = Id("Person id.")
    name = String("Name.", example="Bob Sample")
    email = String("Email address.", example="bob@example.com")
    role = Choice(ROLES, "Role.", example="reviewer")


class Me(Schema):
    """Owner of a credential."""

    kind = Choice(["reviewer", "candidate"], "Kind of caller.", example="reviewer")
    id = Id("Id of the token or the key.")
    name = String("Name of the token or the candidate.", example="First token", null=True)
    org_id = Id("Organization id.")
    org_name = common.ORG_NAME
    scopes = ListOf(
        Choice(SCOPES), "Scopes of an API token; empty for a candidate.", example=["read", "write"]
    )
    person = Nested(CallingPerson, "Owner of the token; null for services and candidates.", null=True)
    assessment_id = Id("A candidate's assessment.", null=True)
    expires_at = Timestamp("Expiry of the credential.", null=True)
