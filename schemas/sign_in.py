"""Signing in to the console."""

import marshmallow as ma

from rules.roles import ROLES
from rules.sign_ins import METHODS
from schemas import common
from schemas.base import Body, Schema, shape
from schemas.fields import Choice, Email, Flag, Id, Integer, ListOf, Nested, Reference, String
from schemas.org import Me
from schemas.timestamps import Timestamp

_METHOD = "`oidc`: at the OpenID provider. `email`: with an emailed link. `token`: with an API token."


class SignInMethods(Schema):
    """Ways to sign in here."""

    methods = ListOf(Choice(METHODS, _METHOD), "Ways that are set up.", example=["email", "token"])
    https_required = Flag("True if signing in is impossible because BASE_URL is not https.", example=False)
    console_url = String("The console's address.", example="https://assess.example.com/console")
    me = Nested(Me, "Caller, if this request has a valid sign-in or API token: as `GET /v1/me`.", null=True)


class SignInEmailRequest(Body):
    """Address to send a link to."""

    email = Email("Email address of a person.", example="bob@example.com", required=True)


class NewSignIn(Body):
    """Credential to sign in with: `token` or `grant`."""

    alternatives = ("grant",)

    token = String("API token.", max=255, example="psk_live_...")
    grant = String("Secret of an emailed link: the part after `grant=`.", max=255, example="pss_...")
    person_id = Reference("With a `grant`: the person to sign in as, of its `choices`.")

    @ma.validates_schema
    def _require_one(self, data, **kwargs):
        if ("token" in data) == ("grant" in data):
            raise ma.ValidationError("Send either `token` or `grant`.", "token")


class SignIn(Schema):
    """A browser that is signed in."""

    id = Id("Unique id.")
    method = Choice(METHODS, _METHOD, example="email")
    is_current = Flag("True if this request came with it.", example=True)
    created_at = Timestamp("Start.")
    expires_at = Timestamp("End.")
    last_used_at = Timestamp("Time when it was last used, to the minute.", null=True)


class SignInChoice(Schema):
    """A person with the mailbox."""

    person_id = Id("Person id.")
    email = String("Email address.", example="bob@example.com")
    org_name = common.ORG_NAME
    role = Choice(ROLES, "Role in that organization.", example="reviewer")


SignInResult = shape(
    "SignInResult",
    "The sign-in, or the people to choose from.",
    sign_in=Nested(SignIn, "The new sign-in; null without a `personId`.", null=True),
    choices=ListOf(SignInChoice, "People with the mailbox of a `grant`, one of each organization."),
)
SignIns = shape("SignIns", "Your valid sign-ins.", sign_ins=ListOf(SignIn, "Sign-ins, oldest first."))
SignedOut = shape("SignedOut", "The sign-in has ended.", ok=Flag("Always true.", example=True))
SignedOutEverywhere = shape(
    "SignedOutEverywhere", "All your sign-ins have ended.", ended=Integer("Number of them.", example=2)
)
SignInEmailQueued = shape(
    "SignInEmailQueued",
    "The same whether there is such a person.",
    ok=Flag("Always true.", example=True),
)
