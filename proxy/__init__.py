"""Model calls, forwarded to the providers."""
