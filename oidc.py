"""Sign in with OpenID Connect: code flow with PKCE (docs/sign-in.md#openid-connect).

Optional: to remove it, delete this file and its line in app.py. Its libraries are imported on the first sign-in to save
memory.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

import config
from access import console, rate_limits
from errors import NotFound, TooManyRequests
from models import SignInGrant, clock
from models.database import release_connection
from models.service_secrets import service_secret
from models.sign_ins import users_with_address
from rules import sign_ins
from rules.delivery.email_addresses import exact_address

COOKIE = "__Host-proofstone-oidc"
FLOW_SECONDS = 600
TIMEOUT_SECONDS = 5
METADATA_SECONDS = 3600
FAILURE_SECONDS = 10
WAIT_SECONDS = 1
TOTAL_SECONDS = 10
MAX_RESPONSE_BYTES = 1024 * 1024
READ_BYTES = 64 * 1024
LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

blp = Blueprint("oidc", __name__)
# By issuer: its metadata, or None after a failure, and the entry's expiry.
_cache: dict[str, tuple[dict[str, Any] | None, float]] = {}


class Failure(Exception):
    """A failed sign-in. The console displays a message for the code."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@blp.get("/sign-in/oidc")
def start() -> Response:
    """Redirect to the provider. A cookie binds the provider's response to this browser."""
    _require_configured()
    flow = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    try:
        _count_attempt()
        endpoint = _metadata()["authorization_endpoint"]
    except Failure as failure:
        return _to_console(error=failure.code)
    url, _ = _client().create_authorization_url(
        endpoint, flow["state"], flow["verifier"], nonce=flow["nonce"]
    )
    response = _redirect(url)
    response.set_cookie(COOKIE, _signer().dumps(flow), FLOW_SECONDS, **console.COOKIE_OPTIONS)
    return response


@blp.get("/sign-in/oidc/callback")
def callback() -> Response:
    """Verify the provider's response, and redirect to the console with a grant."""
    _require_configured()
    try:
        _count_attempt()
        address = _verified_address(_flow())
    except Failure as failure:
        response = _to_console(error=failure.code)
    else:
        grant = SignInGrant.issue(address, "oidc", clock.now() + sign_ins.OIDC_LIFETIME)
        response = console.set_grant_cookie(_to_console(grant=grant), grant)
    response.delete_cookie(COOKIE, **console.COOKIE_OPTIONS)
    return response


def _require_configured() -> None:
    if not current_app.config["OIDC_ISSUER"]:
        raise NotFound()


def _count_attempt() -> None:
    """Count a sign-in attempt. Raises Failure above the network's limit."""
    try:
        rate_limits.count_sign_in()
    except TooManyRequests:
        raise Failure("oidc_limited") from None


@blp.record_once
def _limit_calls(state: Any) -> None:
    """Allow at most a quarter of the process's threads without model calls to call the provider."""
    quarter = max(1, config.other_threads(state.app.config) // 4)
    state.app.extensions["oidc_calls"] = BoundedSemaphore(quarter)


@contextmanager
def _call() -> Iterator[None]:
    """Reserve one of the threads that can call the provider. Raises Failure if none is free."""
    release_connection()
    calls = current_app.extensions["oidc_calls"]
    if not calls.acquire(timeout=WAIT_SECONDS):
        raise Failure("oidc_unavailable")
    try:
        yield
    finally:
        calls.release()


def _flow() -> dict[str, str]:
    """Return this browser's state, nonce and verifier. Raises Failure if the response belongs to another flow."""
    try:
        flow = _signer().loads(request.cookies.get(COOKIE, ""), max_age=FLOW_SECONDS)
    except BadSignature:
        raise Failure("oidc_state") from None
    if not secrets.compare_digest(flow["state"].encode(), request.args.get("state", "").encode()):
        raise Failure("oidc_state")
    if "code" not in request.args:
        raise Failure("oidc_denied")
    return flow


def _verified_address(flow: dict[str, str]) -> str:
    """Return the exact address that the provider has verified, if an active person has it. Raises Failure."""
    claims = _claims(flow)
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        raise Failure("oidc_unverified")
    if not email.isprintable():
        raise Failure("oidc_unknown")
    address = exact_address(email)
    domains = current_app.config["OIDC_ALLOWED_DOMAINS"]
    if domains and address.rpartition("@")[2] not in domains:
        raise Failure("oidc_domain")
    if not users_with_address(address):
        raise Failure("oidc_unknown")
    return address


def _claims(flow: dict[str, str]) -> dict[str, Any]:
    """Return the ID token's claims after verifying its signature, issuer, audience, expiry and nonce."""
    import requests
    from joserfc import jwt
    from joserfc.jwk import KeySet

    metadata = _metadata()
    try:
        # The provider rejects a code that was used before or that is sent without its verifier.
        with _call():
            token = _client().fetch_token(
                metadata["token_endpoint"],
                code=request.args["code"],
                code_verifier=flow["verifier"],
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,  # the request contains the client secret
            )
            keys = _read(metadata["jwks_uri"])
        decoded = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        required = {
            "iss": metadata["issuer"],
            "aud": current_app.config["OIDC_CLIENT_ID"],
            "nonce": flow["nonce"],
        }
        rules: Any = {name: {"essential": True, "value": value} for name, value in required.items()}
        jwt.JWTClaimsRegistry(leeway=LEEWAY_SECONDS, exp={"essential": True}, **rules).validate(
            decoded.claims
        )
    except Failure:
        raise
    except (requests.ConnectionError, requests.Timeout):
        raise Failure("oidc_unavailable") from None
    except Exception as error:
        # A malicious response can make the libraries raise any exception.
        current_app.logger.warning("Signing in at the OpenID provider failed: %s", type(error).__name__)
        raise Failure("oidc_invalid") from None
    return decoded.claims


def _metadata() -> dict[str, Any]:
    """Return the provider's metadata, cached for METADATA_SECONDS; failures are cached for FAILURE_SECONDS."""
    issuer = current_app.config["OIDC_ISSUER"]
    metadata, valid_until = _cache.get(issuer, (None, 0.0))
    if time.monotonic() >= valid_until:
        with _call():
            metadata = _read_metadata(issuer)
        _cache[issuer] = metadata, time.monotonic() + (METADATA_SECONDS if metadata else FAILURE_SECONDS)
    if metadata is None:
        raise Failure("oidc_unavailable")
    return metadata


def _read_metadata(issuer: str) -> dict[str, Any] | None:
    import requests

    names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    try:
        document = _read(f"{issuer}/.well-known/openid-configuration")
        metadata = {name: str(document[name]) for name in names}
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None
    return metadata if metadata["issuer"].rstrip("/") == issuer else None


def _read(url: str) -> Any:
    """Get JSON from the provider. Raises ValueError if it is too large or takes too long."""
    import requests

    deadline = time.monotonic() + TOTAL_SECONDS
    body = b""
    with requests.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True) as response:
        # read1 returns received bytes immediately; read would wait for a full chunk.
        while chunk := response.raw.read1(READ_BYTES, decode_content=True):
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES or time.monotonic() > deadline:
                raise ValueError("The provider's response is too large or too slow.")
    return json.loads(body)


def _client() -> Any:
    from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]

    settings = current_app.config
    return OAuth2Session(
        settings["OIDC_CLIENT_ID"],
        settings["OIDC_CLIENT_SECRET"],
        scope="openid email",
        redirect_uri=f"{settings['BASE_URL']}/sign-in/oidc/callback",
        code_challenge_method="S256",
    )


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(service_secret("oidc"), salt="flow")


def _to_console(**query: str) -> Response:
    return _redirect(f"{current_app.config['BASE_URL']}/console#/sign-in?{urlencode(query)}")


def _redirect(url: str) -> Response:
    response = redirect(url)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response  # type: ignore[return-value]
