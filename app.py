"""Wiring only: settings, database, errors, blueprints, commands. `gunicorn "app:create_app()"`."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import flask_smorest
from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

import auth
import cli
import config
import errors
import log_lines
import models
import rate_limits
import wire
from blueprints import IdConverter, give_back_connection
from blueprints.operations import Paths, operations_of
from request_log import RequestLog
from schemas import Error
from storage import storage_from

API_BLUEPRINTS = (
    "assessments",
    "keys",
    "candidates",
    "cohort_stats",
    "sessions",
    "invitations",
    "timeline",
    "integrity",
    "scores",
    "analytics",
    "issues",
    "rubrics",
    "org",
    "webhooks",
    "events",
    "privacy",
    "audit",
    "candidate",
    "client",
    "hooks",
    "proxy",
    "health",
)
SPEC = {
    "API_TITLE": "Proofstone",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
}
DESCRIPTION = """
Technical assessments on your own servers: create an assessment, generate candidate keys, follow the sessions, and
see how each one compares with its cohort.

Reviewers send a token as `Authorization: Bearer`, candidates their key as `X-API-Key`. Times are UTC. Every error has
the same shape: a sentence in `error`, a stable `code`, and for bad input the places in `details`.

Answers say in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970) how many requests the credential
may send, or the address without one. A request that creates takes an `Idempotency-Key`: sent again, it is done once.

Every answer carries `X-Request-Id`, the name of the request in the service's logs: your own where you send one of up
to 128 letters, digits and `._:-`, else a new one.
"""


class Api(flask_smorest.Api):
    """flask-smorest's, with our shape of errors."""

    ERROR_SCHEMA = Error

    def handle_http_exception(self, error: Any) -> Any:
        return errors.answer(error)


class App(Flask):
    """Flask, for views that are functions, at any host."""

    def create_url_adapter(self, request: Any) -> Any:
        # No address depends on the host that was asked for, so that nobody needs to take it apart.
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)

    def ensure_sync(self, func: Any) -> Any:
        # No view is a coroutine; Flask looks for one seven times a request.
        return func


def create_app(settings: config.Config | None = None) -> Flask:
    """The application; a setting that cannot be used ends the process with a sentence."""
    settings = settings or load_settings()
    log_lines.set_up(settings.log_level, settings.log_format)
    app = App("proofstone", static_folder=None)
    app.config.from_mapping({name.upper(): value for name, value in asdict(settings).items()}, **SPEC)
    app.config["MAX_CONTENT_LENGTH"] = wire.LONGEST_BODY_BYTES
    app.config["API_SPEC_OPTIONS"] = _spec_options(settings)
    app.json = wire.JSONProvider(app)
    models.bind(settings.database_url, settings.database_pool)
    app.extensions["storage"] = storage_from(app.config, settings.base_url, models.upload_secret)
    _route(app)
    rate_limits.register(app)
    _register_blueprints(app)
    errors.register(app)
    cli.register(app)
    # The outermost of all: what it measures is the whole of an answer.
    measure = _monitor(app)
    app.wsgi_app = RequestLog(app.wsgi_app, operations_of(app), measure)  # type: ignore[method-assign]
    return app


def load_settings() -> config.Config:
    """The settings of the environment; the process ends with a sentence for one that cannot be used."""
    try:
        return config.load()
    except config.WrongSetting as error:
        sys.exit(str(error))


def _spec_options(settings: config.Config) -> dict[str, Any]:
    return {
        "info": {"description": DESCRIPTION.strip(), "license": {"name": "MIT", "identifier": "MIT"}},
        # Without a host: what the docs page tries goes to where the page came from, whatever BASE_URL says.
        "servers": [{"url": urlsplit(settings.base_url).path or "/", "description": "This service"}],
        "components": {"securitySchemes": auth.SCHEMES},
    }


def _route(app: Flask) -> None:
    # No answer is a redirect (R32); a client whose base URL ends in a slash asks for `//v1/...`.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.wsgi_app = wire.without_leading_slashes(app.wsgi_app)  # type: ignore[method-assign]
    if proxies := app.config["TRUSTED_PROXIES"]:
        # Without a proxy of ours in front anybody can write X-Forwarded-For.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    app.teardown_request(_release_connection)
    app.after_request(_harden)


def _register_blueprints(app: Flask) -> None:
    api = Api(app, spec_kwargs={"flask_plugin": Paths()})
    api.register_converter(IdConverter, lambda converter: {"type": "string", "format": "uuid"})
    for name in API_BLUEPRINTS:
        api.register_blueprint(import_module(f"blueprints.{name}").blp, url_prefix="/v1")
    app.extensions["openapi"] = api.spec
    app.register_blueprint(import_module("blueprints.docs").blp)


def _monitor(app: Flask) -> Callable | None:
    """What measures each request, where somebody may read the metrics."""
    if not app.config["METRICS_TOKEN"]:
        return None
    # Not before it is known that they are wanted, and by whom: see monitoring.py.
    from monitoring import Monitoring

    app.register_blueprint(import_module("blueprints.metrics").blp)
    pool = app.config["DATABASE_POOL"] if models.base.is_postgres() else None
    monitoring = app.extensions["monitoring"] = Monitoring(pool)
    return monitoring.measure


def _release_connection(error: BaseException | None) -> None:
    give_back_connection()


def _harden(response: Response) -> Response:
    asked = request._get_current_object()  # type: ignore[attr-defined]
    response.headers["X-Content-Type-Options"] = "nosniff"
    if asked.method == "OPTIONS" and response.status_code == 200:
        # There is no body, and Flask calls it HTML.
        response.headers.remove("Content-Type")
    if asked.path.startswith("/v1/"):
        # Keys, tokens and candidates' data belong in nobody's cache.
        response.headers["Cache-Control"] = "no-store"
    return response
