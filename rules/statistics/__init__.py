"""Cohorts, selection rates and scores: exact numbers, rounded once."""
