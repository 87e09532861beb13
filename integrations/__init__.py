"""Applicant-tracking systems and chat: a stage change invites a candidate, the result returns as a note."""
