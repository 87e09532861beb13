"""Load as in an assessment day: many model streams, and working candidates."""
