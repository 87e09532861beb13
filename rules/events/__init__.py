"""The events of a recording: envelopes, summaries, masking, and values read from them."""
