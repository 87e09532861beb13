"""Signatures, seals and integrity findings (docs/integrity.md)."""
