# One image for the web process (default), `flask worker` (run it with `--no-healthcheck`) and `flask db upgrade`.
FROM python:3.13-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PORT=8000 LOG_FORMAT=json
COPY --from=packages /venv /venv
WORKDIR /srv/proofstone
COPY . .
# The service writes only to var/, and only without PostgreSQL, a mail server or an object store.
RUN useradd --system proofstone && install -d -m 700 -o proofstone var
USER proofstone
EXPOSE 8000
HEALTHCHECK --start-period=10s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['PORT']}/v1/health\", timeout=3)"]
# A shell expands PORT, and `exec` lets gunicorn receive the signals.
CMD exec gunicorn --bind "0.0.0.0:$PORT" "app:create_app()"
