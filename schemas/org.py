"""The organization, its tokens, and who is calling."""

from marshmallow import fields, validate

from rules.plans import QUOTAS, SUBSCRIPTION_STATES
from rules.retention import MAX_DAYS, MIN_DAYS
from schemas import Body, Count, Deleted, Id, Schema, Text, Timestamp, Words, described
from schemas.keys import Email

SCOPES = ("read", "write")
LONGEST_ADDITION = 500


class Subscription(Schema):
    """Whether the organization may begin new work."""

    state = fields.String(
        attribute="subscription",
        allow_none=True,
        metadata=described(
            "Its state; null without a subscription.", "active", enum=[*SUBSCRIPTION_STATES, None]
        ),
    )
    trial_ends_at = Timestamp(allow_none=True, metadata=described("When a trial ends."))


class Quota(Schema):
    """Assessments of this calendar month (UTC)."""

    used = fields.Integer(metadata=described("How many were created, deleted ones included.", 2))
    quota = fields.Integer(
        allow_none=True, metadata=described("How many the plan allows; null without a quota.", 10)
    )
    resets_at = Timestamp(metadata=described("When the next month begins."))


class Organization(Schema):
    """The organization of the caller."""

    id = Id(metadata=described("Its id."))
    name = fields.String(metadata=described("Its name.", "Example Ltd"))
    plan = fields.String(metadata=described("Its plan.", "self_hosted", enum=list(QUOTAS)))
    subscription = fields.Nested(Subscription, metadata=described("Its subscription."))
    quota = fields.Nested(Quota, metadata=described("Its monthly quota."))
    created_at = Timestamp(metadata=described("When it was created."))


class OneOrganization(Schema):
    """One organization."""

    org = fields.Nested(Organization, metadata=described("The organization."))


class DisclosureAdditions(Body):
    """Texts that the disclosure has besides the service's own, at the end of its lists."""

    captures = Words(
        LONGEST_ADDITION,
        metadata=described("What else is recorded.", ["Calls to our own language model, with their answers"]),
    )
    does_not_capture = Words(
        LONGEST_ADDITION, metadata=described("What else is not.", ["Your other accounts"])
    )
    evaluated = Words(
        LONGEST_ADDITION, metadata=described("What else reviewers look at.", ["How you write tests"])
    )
    data_use = Words(
        LONGEST_ADDITION,
        metadata=described("What else the data is used for, or is not.", ["We delete it after 180 days"]),
    )


class SettingsChange(Body):
    """What changes; null clears."""

    is_change = True

    display_name = Text(
        255,
        one_line=True,
        allow_none=True,
        metadata=described("What candidates read instead of the organization's name.", "Example"),
    )
    reply_to = Email(
        validate=validate.Length(max=254),
        allow_none=True,
        metadata=described("Where candidates' answers to an invitation go.", "hiring@example.com"),
    )
    retention_days = Count(
        MIN_DAYS,
        MAX_DAYS,
        allow_none=True,
        metadata=described(
            "Days after the end of a session, or of a key that was never redeemed, after which what is personal is "
            "erased; null keeps it.",
            180,
        ),
    )
    disclosure_additions = fields.Nested(
        DisclosureAdditions,
        allow_none=True,
        metadata=described("What the disclosure tells besides; as a whole."),
    )


class Settings(SettingsChange):
    """How the organization treats its candidates."""

    always_complete = True

    disclosure_version = fields.String(
        metadata=described("The version of the text that candidates agree to now.", "2026-11-25+3fa9c1d2")
    )
    disclosure_hash = fields.String(metadata=described("The hash of that text.", "9f86d081884c7d65"))


class OneSettings(Schema):
    """The organization's settings."""

    settings = fields.Nested(Settings, metadata=described("The settings."))


class NewToken(Body):
    """What a new token may do."""

    name = Text(
        255, one_line=True, required=True, metadata=described("What it is for.", "Applicant tracking")
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        load_default=lambda: ["read"],
        validate=validate.Length(min=1),
        metadata=described("`read`, or `write`, which includes it.", ["read"]),
    )
    expires_in_days = Count(1, 3650, metadata=described("Days until it expires; never if left out.", 90))


class Token(Schema):
    """A reviewer's token, without its secret."""

    id = Id(metadata=described("Its id."))
    name = fields.String(metadata=described("What it is for.", "Applicant tracking"))
    scopes = fields.List(fields.String(), metadata=described("What it may do.", ["read"]))
    prefix = fields.String(metadata=described("How every token begins.", "psk_live_"))
    last_four = fields.String(metadata=described("Its last four characters.", "x7Qa"))
    expires_at = Timestamp(allow_none=True, metadata=described("When it expires."))
    last_used_at = Timestamp(allow_none=True, metadata=described("When it was last used, to the minute."))
    created_at = Timestamp(metadata=described("When it was made."))


class ShownToken(Schema):
    """A new token; its secret is shown this once."""

    token = fields.Nested(Token, metadata=described("The token's record."))
    secret = fields.String(
        allow_none=True,
        metadata=described(
            "The token itself. It is not stored and cannot be shown again; null in an answer that is given again.",
            "psk_live_" + "0" * 36,
        ),
    )
    note = fields.String(
        metadata=described(
            "Only in an answer that is given again: why the secret is missing.", sometimes=True
        )
    )


class Tokens(Schema):
    """The organization's tokens, oldest first."""

    tokens = fields.List(fields.Nested(Token), metadata=described("The tokens that are not revoked."))


class RevokedToken(Deleted):
    """The token is refused from now on."""


class Me(Schema):
    """Who a credential is."""

    kind = fields.String(metadata=described("What it is.", "reviewer", enum=["reviewer", "candidate"]))
    id = Id(metadata=described("The id of the token or the key."))
    name = fields.String(
        allow_none=True, metadata=described("The token's or the candidate's name.", "First token")
    )
    org_id = Id(metadata=described("The organization."))
    org_name = fields.String(metadata=described("The organization's name.", "Example Ltd"))
    scopes = fields.List(
        fields.String(),
        metadata=described("What a reviewer's token may do; empty for a candidate.", ["read", "write"]),
    )
    assessment_id = Id(allow_none=True, metadata=described("A candidate's assessment."))
    expires_at = Timestamp(allow_none=True, metadata=described("When the credential expires."))
