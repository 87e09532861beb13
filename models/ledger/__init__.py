"""Seals, anchors, and the audit log."""
