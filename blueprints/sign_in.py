"""Console sign-in and sign-out (docs/sign-in.md)."""

from flask import after_this_request, current_app

from access import audit, auth, caller, console, credential_throttling, raises, rate_limits
from access.counters import fingerprint
from blueprints import Blueprint, or_not_found, setting
from blueprints.org import serialize_caller
from errors import ForeignOrigin, NotFound, SignInExpired, Unauthenticated, invalid
from models import ApiToken, SignIn, SignInGrant
from models.sign_ins import users_with_address
from rules import sign_ins
from rules.delivery.email_addresses import exact_address, mailbox
from schemas import sign_in as schemas

blp = Blueprint(
    "Sign-in", __name__, description="Sign in to the console in a browser. Programs use a token instead."
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
    rate_limits.count_sign_in()
    rate_limits.count(rate_limits.SIGN_IN_EMAILS, fingerprint(mailbox(data["email"])))
    SignInGrant.request_email(exact_address(data["email"]))
    return {"ok": True}


@blp.post("/sign-in")
@console.only
@raises(Unauthenticated, SignInExpired)
@blp.arguments(schemas.NewSignIn)
@blp.response(200, schemas.SignInResult)
def create_sign_in(data):
    """Sign in

    Sets a cookie for 12 hours. A `grant` without a `personId` stays valid, and `choices` lists the people with its
    address: repeat the request with one of their ids as `personId`.
    """
    if "token" in data:
        row, secret = SignIn.start(_find_token(data["token"]), "token", **audit.request_origin())
    else:
        grant = _find_grant(data["grant"])
        people = {person.id: person for person in users_with_address(grant.address)}
        if not people:
            raise SignInExpired()
        if "person_id" not in data:
            return {"sign_in": None, "choices": list(people.values())}
        if data["person_id"] not in people:
            raise invalid("personId", "No such active person with this address.")
        row, secret = grant.use(people[data["person_id"]], **audit.request_origin())
    if previous := SignIn.authenticate(console.presented_secret()):
        previous.sign_in.end(**audit.request_origin())
    after_this_request(lambda response: console.set_cookie(response, secret))
    return {"sign_in": _serialize_sign_in(row, is_current=True), "choices": []}


@blp.get("/sign-in/sessions")
@auth.required(ApiToken)
@blp.response(200, schemas.SignIns)
def list_sign_ins():
    """List your sign-ins

    The browsers where you are signed in; for a service account's token, the browsers that signed in with it.
    """
    current = caller.sign_in and caller.sign_in.id
    rows = SignIn.of(caller).order_by(SignIn.id)
    return {"sign_ins": [_serialize_sign_in(row, row.id == current) for row in rows]}


@blp.delete("/sign-in/session")
@auth.required(ApiToken)
@raises(NotFound)
@blp.response(200, schemas.SignedOut)
def sign_out():
    """Sign out

    Ends this browser's sign-in and deletes its cookie. Returns 404 for a request with a token.
    """
    or_not_found(caller.sign_in).end(**audit.request_origin())
    after_this_request(console.delete_cookie)
    return {"ok": True}


@blp.delete("/sign-in/sessions")
@auth.required(ApiToken)
@blp.response(200, schemas.SignedOutEverywhere)
def sign_out_everywhere():
    """Sign out everywhere

    Ends all your sign-ins, including this one. Tokens keep working.
    """
    count = SignIn.end_all(caller, **audit.request_origin())
    after_this_request(console.delete_cookie)
    return {"ended": count}


def _find_token(secret):
    with credential_throttling.lookup(secret):
        token = ApiToken.authenticate(secret)
        if token is None:
            raise Unauthenticated("This token is unknown, expired or revoked.")
    return token


def _find_grant(secret):
    with credential_throttling.lookup_secret(secret):
        grant = SignInGrant.find(secret)
        if grant.is_for_one_browser and not console.has_grant(secret):
            raise SignInExpired()
        return grant


def _serialize_sign_in(row, is_current):
    names = ("id", "method", "created_at", "expires_at", "last_used_at")
    return {name: getattr(row, name) for name in names} | {"is_current": is_current}
