"""Evidence of what the service accepted: seals, anchors, and the audit log."""
