"""Model calls, forwarded to the providers. Optional: delete the package with its line in app.py."""
