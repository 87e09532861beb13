"""A session's submissions, its client's open uploads, and their objects in the bundle store."""

from models.sessions.submissions.objects import delete_unused
from models.sessions.submissions.submission import GIT, TAR, VERIFIED, ZIP, Submission, SubmissionFile
from models.sessions.submissions.uploads import BundleUpload
