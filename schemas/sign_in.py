"""Console sign-in."""

import marshmallow as ma

from rules.roles import ROLES
from rules.sign_ins import METHODS
from schemas import common
from schemas.base import Body, Schema, define_schema
from schemas.fields import Choice, Email, Flag, Id, Integer, ListOf, Nested, Reference, String
from schemas.org import Me
from schemas.timestamps import Timestamp

_METHOD = "`oidc`: through the OpenID provider. `email`: with an emailed link. `token`: with an API token."


class SignInMethods(Schema):
    """The configured sign-in methods."""

    methods = ListOf(Choice(METHODS, _METHOD), "Configured methods.", example=["email", "token"])
    https_required = Flag("True if signing in is impossible because BASE_URL is not https.", example=False)
    console_url = String("The console's URL.", example="https://assess.example.com/console")
    me = Nested(
        Me, "The caller, as in `GET /v1/me`, if the request contains a valid sign-in or API token.", null=True
    )


class SignInEmailRequest(Body):
    """Email address to send a sign-in link to."""

    email = Email("A person's email address.", example="bob@example.com", required=True)


class NewSignIn(Body):
    """Credential to sign in with: `token` or `grant`."""

    alternatives = ("grant",)

    token = String("API token.", max=255, example="psk_live_...")
    grant = String("Secret from the emailed link: the part after `grant=`.", max=255, example="pss_...")
    person_id = Reference("With `grant`: the person to sign in as, from `choices`.")

    @ma.validates_schema
    def _require_one(self, data, **kwargs):
        if ("token" in data) == ("grant" in data):
            raise ma.ValidationError("Send either `token` or `grant`.", "token")


class SignIn(Schema):
    """A signed-in browser."""

    id = Id("Unique id.")
    method = Choice(METHODS, _METHOD, example="email")
    is_current = Flag("True for the browser that sent the request.", example=True)
    created_at = Timestamp("Time when the sign-in started.")
    expires_at = Timestamp("Time when the sign-in expires.")
    last_used_at = Timestamp("Time when it was last used, to the minute.", null=True)


class SignInChoice(Schema):
    """A person with the grant's address."""

    person_id = Id("Person id.", attribute="id")
    email = String("Email address.", example="bob@example.com")
    org_name = String("Organization name.", attribute="organization.name", example="Example Ltd")
    role = Choice(ROLES, "Role in that organization.", example="reviewer")


SignInResult = define_schema(
    "SignInResult",
    "The sign-in, or the people to choose from.",
    sign_in=Nested(SignIn, "The new sign-in; null without a `personId`.", null=True),
    choices=ListOf(SignInChoice, "People with the grant's address, one per organization."),
)
SignIns = define_schema("SignIns", "Your valid sign-ins.", sign_ins=ListOf(SignIn, "Sign-ins, oldest first."))
SignedOut = define_schema("SignedOut", "The sign-in has ended.", ok=common.ALWAYS_TRUE)
SignedOutEverywhere = define_schema(
    "SignedOutEverywhere", "All your sign-ins have ended.", ended=Integer("Number of sign-ins.", example=2)
)
SignInEmailQueued = define_schema(
    "SignInEmailQueued",
    "The response is the same if no such person exists.",
    ok=common.ALWAYS_TRUE,
)
