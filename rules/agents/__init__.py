"""What coding agents send to the model proxy, as hooks and as telemetry, read as events (optional)."""
