"""Cohorts, selection rates and scores: exact values, rounded once."""
