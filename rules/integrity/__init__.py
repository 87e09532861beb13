"""Signatures, seals and findings about a session's recording (docs/integrity.md)."""
