"""Inject faults into real processes under load, and check that no acknowledged write is lost (`make chaos`)."""
