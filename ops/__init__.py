"""Tools for whoever runs the service: readiness, metrics, doctor, backup, import."""
