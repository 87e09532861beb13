"""Sign in to the console and out (docs/sign-in.md)."""

from flask import after_this_request, current_app

from access import audit, auth, caller, console, credential_throttling, raises, rate_limits
from access.counters import fingerprint
from blueprints import Blueprint, or_not_found, setting
from blueprints.org import serialize_caller
from errors import ForeignOrigin, NotFound, SignInExpired, Unauthenticated, invalid
from models import ApiToken, SignIn, SignInGrant
from models.sign_ins import users_with_mailbox
from rules import sign_ins
from rules.delivery.email_addresses import mailbox
from schemas import sign_in as schemas

blp = Blueprint(
    "Sign-in", __name__, description="Sign in to the console in a browser. Programs send a token."
)


@blp.get("/sign-in")
@blp.response(200, schemas.SignInMethods)
def get_sign_in_methods():
    """List the sign-in methods

    The configured methods, and the caller if they are already signed in. Signing in requires https or localhost.
    """
    methods = {
        "oidc": "oidc" in current_app.blueprints and setting("OIDC_ISSUER"),
        "email": setting("SMTP_URL"),
        "token": True,
    }
    try:
        me = serialize_caller(auth.authenticate(ApiToken))
    except (ForeignOrigin, Unauthenticated):
        me = None
    return {
        "methods": [name for name, is_configured in methods.items() if is_configured],
        "https_required": not sign_ins.is_secure_context(setting("BASE_URL")),
        "console_url": f"{setting('BASE_URL')}/console",
        "me": me,
    }


@blp.post("/sign-in/email")
@console.only
@blp.arguments(schemas.SignInEmailRequest)
@blp.response(202, schemas.SignInEmailQueued)
def request_sign_in_email(data):
    """Request a sign-in link by email

    The link works once, for 15 minutes. The response does not reveal whether the person exists.
    """
    address = mailbox(data["email"])
    rate_limits.count_sign_in()
    rate_limits.count(rate_limits.SIGN_IN_EMAILS, fingerprint(address))
    SignInGrant.request_email(address)
    return {"ok": True}


@blp.post("/sign-in")
@console.only
@raises(Unauthenticated, SignInExpired)
@blp.arguments(schemas.NewSignIn)
@blp.response(200, schemas.SignInResult)
def create_sign_in(data):
    """Sign in

    Sets a cookie for 12 hours. A `grant` without a `personId` returns the people with its mailbox as `choices` and
    stays valid: repeat the request with the `personId` of your choice.
    """
    if "token" in data:
        row, secret = SignIn.start(_token(data["token"]), "token", **audit.origin())
    else:
        grant = _grant(data["grant"])
        people = {person.id: person for person in users_with_mailbox(grant.address)}
        if not people:
            raise SignInExpired()
        if "person_id" not in data:
            return {"sign_in": None, "choices": list(people.values())}
        if data["person_id"] not in people:
            raise invalid("personId", "No such active person with this mailbox.")
        row, secret = grant.use(people[data["person_id"]], **audit.origin())
    if replaced := SignIn.authenticate(console.presented_secret()):
        replaced.sign_in.end(**audit.origin())
    after_this_request(lambda response: console.set_cookie(response, secret))
    return {"sign_in": _represent(row, is_current=True), "choices": []}


@blp.get("/sign-in/sessions")
@auth.required(ApiToken)
@blp.response(200, schemas.SignIns)
def list_sign_ins():
    """List your sign-ins

    The browsers where you are signed in; for a service account's token, the browsers that signed in with it.
    """
    current = caller.sign_in and caller.sign_in.id
    rows = SignIn.of(caller).order_by(SignIn.id)
    return {"sign_ins": [_represent(row, row.id == current) for row in rows]}


@blp.delete("/sign-in/session")
@auth.required(ApiToken)
@raises(NotFound)
@blp.response(200, schemas.SignedOut)
def sign_out():
    """Sign out

    Ends the sign-in that sent this request and deletes its cookie. 404 for a request with a token.
    """
    or_not_found(caller.sign_in).end(**audit.origin())
    after_this_request(console.delete_cookie)
    return {"ok": True}


@blp.delete("/sign-in/sessions")
@auth.required(ApiToken)
@blp.response(200, schemas.SignedOutEverywhere)
def sign_out_everywhere():
    """Sign out everywhere

    Ends all your sign-ins, including this one. Tokens keep working.
    """
    ended = SignIn.end_all(caller, **audit.origin())
    after_this_request(console.delete_cookie)
    return {"ended": ended}


def _token(text):
    with credential_throttling.lookup(text):
        token = ApiToken.authenticate(text)
        if token is None:
            raise Unauthenticated("This token is unknown, expired or revoked.")
    return token


def _grant(text):
    with credential_throttling.lookup_secret(text):
        grant = SignInGrant.find(text)
        if grant.is_for_one_browser and not console.has_grant(text):
            raise SignInExpired()
        return grant


def _represent(row, is_current):
    names = ("id", "method", "created_at", "expires_at", "last_used_at")
    return {name: getattr(row, name) for name in names} | {"is_current": is_current}
