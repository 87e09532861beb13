"""Wire the application: settings, database, errors, blueprints, commands. `gunicorn "app:create_app()"`."""

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from typing import Any

from flask import Flask, Response, request
from flask.cli import AppGroup
from werkzeug.middleware.proxy_fix import ProxyFix

import config
import models
from access import concurrency, rate_limits
from blueprints import IdConverter, release_connection
from blueprints.operations import map_operations
from storage import build_storage
from web import cors, error_handlers, log_format, unknown_names
from web.access_log import RequestLog, current_traceparent
from web.json import MAX_BODY_BYTES, JSONProvider, strip_leading_slashes

# In API reference order. To remove an optional package such as `proxy` or `integrations`, delete its lines too.
API_BLUEPRINTS = (
    "blueprints.assessments",
    "blueprints.keys",
    "blueprints.candidates",
    "blueprints.cohort_stats",
    "blueprints.sessions",
    "blueprints.results",
    "blueprints.review.compliance",
    "blueprints.invitations",
    "blueprints.timeline",
    "blueprints.integrity",
    "blueprints.scores",
    "blueprints.review.assignments",
    "blueprints.review.notes",
    "blueprints.review.statistics",
    "blueprints.todo",
    "blueprints.analytics",
    "blueprints.issues",
    "blueprints.rubrics",
    "blueprints.org",
    "blueprints.tasks.runners",
    "blueprints.people",
    "blueprints.sign_in",
    "blueprints.webhooks",
    "blueprints.feed",
    "blueprints.privacy",
    "blueprints.audit",
    "blueprints.candidate_session",
    "blueprints.workspace",
    "blueprints.candidate_client",
    "blueprints.submissions",
    "blueprints.tasks.files",
    "blueprints.tasks.test_runs",
    "blueprints.tasks.runner",
    "blueprints.ingest",
    "blueprints.agent_hooks",  # needs rules.agents
    "blueprints.telemetry",  # needs rules.agents
    "integrations.routes",
    "integrations.notification_routes",
    "proxy.blueprint",
    "blueprints.health",
)


class Commands(AppGroup):
    """The commands in cli.py, imported on first use; web processes do not need them."""

    def get_command(self, context: Any, name: str) -> Any:
        import_module("cli").register(self)
        return super().get_command(context, name)

    def list_commands(self, context: Any) -> list[str]:
        import_module("cli").register(self)
        return super().list_commands(context)


class App(Flask):
    """Flask without host matching, which would reject WebSocket upgrades before a view can respond 426."""

    def create_url_adapter(self, request: Any) -> Any:
        if request is None:
            return None
        return self.url_map.bind("", path_info=request.path, default_method=request.method)


def create_app(settings: config.Config | None = None) -> Flask:
    """Create the application. Exits with a message if a setting is invalid."""
    settings = settings or config.load_or_exit()
    log_format.configure(settings.log_level, settings.log_format)
    app = App("proofstone", static_folder=None)
    app.cli = Commands(app.name)
    app.config.from_mapping({name.upper(): value for name, value in asdict(settings).items()})
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.json = JSONProvider(app)
    models.bind(settings.database_url, settings.database_pool, settings.database_prepared_statements)
    models.ledger_keys.use(settings.ledger_keys or {})
    app.extensions["storage"] = build_storage(app.config, lambda: models.service_secret("uploads"))
    _configure_routing(app)
    rate_limits.register(app)
    concurrency.register(app)
    cors.register(app)
    for name in API_BLUEPRINTS:
        app.register_blueprint(import_module(name).blp, url_prefix="/v1")
    app.register_blueprint(import_module("blueprints.docs").blp)
    app.register_blueprint(import_module("blueprints.tasks.git").blp)
    app.register_blueprint(import_module("console.blueprint").blp)
    app.register_blueprint(import_module("oidc").blp)
    # Needed to record model calls. Without `rules.agents`, the proxy only forwards them.
    app.extensions["dialects"] = import_module("rules.agents.dialects").DIALECTS
    error_handlers.register(app)
    # Must be the outermost middleware to measure the whole response.
    measure = _register_metrics(app)
    app.wsgi_app = RequestLog(app.wsgi_app, map_operations(app), measure)  # type: ignore[method-assign]
    return app


def _configure_routing(app: Flask) -> None:
    # Routing never redirects (R32). A client whose base URL ends in a slash requests `//v1/...`.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.wsgi_app = strip_leading_slashes(app.wsgi_app)  # type: ignore[method-assign]
    if proxies := app.config["TRUSTED_PROXIES"]:
        # Without a trusted proxy, any client can set X-Forwarded-For.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    app.before_request(_continue_trace)
    app.teardown_request(lambda error: release_connection())
    app.after_request(_set_headers)
    app.after_request(unknown_names.set_header)


def _continue_trace() -> None:
    """Let the webhooks of this request continue its trace."""
    models.feed.traceparent.set(current_traceparent())


def _register_metrics(app: Flask) -> Callable | None:
    """Enable /metrics if METRICS_TOKEN is set and return the function that measures a request."""
    if not app.config["METRICS_TOKEN"]:
        return None
    # The import configures prometheus-client; see ops/metrics.py.
    from ops.metrics import Monitoring

    app.register_blueprint(import_module("blueprints.metrics").blp)
    pool = app.config["DATABASE_POOL"] if models.base.is_postgres() else None
    streams = app.extensions.get("stream_slots")
    monitoring = app.extensions["monitoring"] = Monitoring(pool, app.extensions["readiness"], streams)
    return monitoring.measure


def _set_headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.method == "OPTIONS" and response.status_code == 200:
        # Flask labels the empty body as HTML.
        response.headers.remove("Content-Type")
    if request.path.startswith("/v1/"):
        # Responses contain keys, tokens and personal data.
        response.headers["Cache-Control"] = "no-store"
    return response
