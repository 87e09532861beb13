"""HTTP plumbing: strict JSON in, fast JSON out, logging, the gunicorn worker."""
