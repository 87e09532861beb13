"""The organization, its settings and tokens, and the caller."""

from rules.plans import QUOTAS, SUBSCRIPTION_STATES
from rules.retention import MAX_DAYS, MIN_DAYS
from schemas import members
from schemas.base import Body, Deleted, Schema
from schemas.fields import Choice, Email, Id, Integer, Line, ListOf, Nested, String, TextList, Timestamp

EXAMPLE_SECRET = "psk_live_" + "0" * 36
SCOPES = ("read", "write")


def _statements(description: str, example: str) -> TextList:
    return TextList(500, description, example=[example])


class Subscription(Schema):
    """Subscription of the organization."""

    state = Choice(SUBSCRIPTION_STATES, "State.", attribute="subscription", example="active", null=True)
    trial_ends_at = Timestamp("When a trial ends.", null=True)


class Quota(Schema):
    """Assessments of this calendar month (UTC)."""

    used = Integer("Assessments created, including deleted ones.", example=2)
    quota = Integer("Assessments that the plan allows; null without a quota.", example=10, null=True)
    resets_at = Timestamp("When the next month starts.")


class Organization(Schema):
    """The caller's organization."""

    id = Id("Unique id.")
    name = members.ORG_NAME
    plan = Choice(QUOTAS, "Plan.", example="self_hosted")
    subscription = Nested(Subscription, "Subscription.")
    quota = Nested(Quota, "Monthly quota.")
    created_at = Timestamp("When it was created.")


class OneOrganization(Schema):
    """One organization."""

    org = Nested(Organization, "The organization.")


class DisclosureAdditions(Body):
    """Texts appended to the lists of the service's disclosure."""

    captures = _statements("Further recorded data.", "Calls to our own language model, with their answers")
    does_not_capture = _statements("Further data that is not recorded.", "Your other accounts")
    evaluated = _statements("Further evaluation criteria.", "How you write tests")
    data_use = _statements("Further statements on the use of the data.", "We delete it after 180 days")


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

    disclosure_version = String("Version of the current disclosure.", example="2026-11-25+3fa9c1d2")
    disclosure_hash = String("Hash of the current disclosure.", example="9f86d081884c7d65")


class OneSettings(Schema):
    """The organization's settings."""

    settings = Nested(Settings, "The settings.")


class NewToken(Body):
    """A new API token."""

    name = Line(255, "Purpose.", example="Applicant tracking", required=True)
    scopes = ListOf(
        Choice(SCOPES), "`write` includes `read`.", min=1, load_default=lambda: ["read"], example=["read"]
    )
    expires_in_days = Integer("Days until it expires; without it, never.", min=1, max=3650, example=90)


class Token(Schema):
    """An API token, without its secret."""

    id = Id("Unique id.")
    name = String("Purpose.", example="Applicant tracking")
    scopes = ListOf(String(), "Scopes.", example=["read"])
    prefix = String("Prefix of all tokens.", example="psk_live_")
    last_four = String("Last four characters.", example="x7Qa")
    expires_at = Timestamp("When it expires.", null=True)
    last_used_at = Timestamp("When it was last used, to the minute.", null=True)
    created_at = Timestamp("When it was created.")


class ShownToken(Schema):
    """A new API token; its secret is shown only once."""

    token = Nested(Token, "The token's record.")
    secret = String("The token; null in a replayed response.", example=EXAMPLE_SECRET, null=True)
    note = String("Only in a replayed response: why the secret is missing.", optional=True)


class Tokens(Schema):
    """API tokens of the organization, oldest first."""

    tokens = ListOf(Token, "Tokens that are not revoked.")


class RevokedToken(Deleted):
    """The token is revoked."""


class Me(Schema):
    """Owner of a credential."""

    kind = Choice(["reviewer", "candidate"], "Kind of caller.", example="reviewer")
    id = Id("Id of the token or the key.")
    name = String("Name of the token or the candidate.", example="First token", null=True)
    org_id = Id("Organization id.")
    org_name = members.ORG_NAME
    scopes = ListOf(String(), "Scopes of an API token; empty for a candidate.", example=["read", "write"])
    assessment_id = Id("A candidate's assessment.", null=True)
    expires_at = Timestamp("When the credential expires.", null=True)
