"""Recorded events: envelopes, summaries, masking, and values read from them."""
