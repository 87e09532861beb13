"""The Prometheus metrics endpoint, enabled if METRICS_TOKEN is set."""

import hmac

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from blueprints import setting
from errors import MetricsTokenRequired

blp = Blueprint("metrics", __name__)


@blp.get("/metrics")
def metrics():
    """Return metrics for all web processes and queues."""
    credential = request.headers.get("Authorization", "")
    expected = f"Bearer {setting('METRICS_TOKEN')}"
    if not hmac.compare_digest(credential.encode("utf-8", "replace"), expected.encode()):
        raise MetricsTokenRequired()
    page = current_app.extensions["monitoring"].render()
    return Response(page, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
