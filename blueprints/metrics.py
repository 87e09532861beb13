"""The page that a Prometheus reads; it is there where METRICS_TOKEN is set."""

import hmac

from flask import Blueprint, Response, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST

from blueprints import setting
from errors import MetricsTokenRequired

blp = Blueprint("metrics", __name__)


@blp.get("/metrics")
def metrics():
    """What all web processes have counted, and the queues."""
    presented = request.headers.get("Authorization", "")
    wanted = f"Bearer {setting('METRICS_TOKEN')}"
    if not hmac.compare_digest(presented.encode("utf-8", "replace"), wanted.encode()):
        raise MetricsTokenRequired()
    page = current_app.extensions["monitoring"].page()
    return Response(page, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
