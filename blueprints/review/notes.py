"""The team's notes on a session."""

from access import audit, auth, caller, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page
from errors import Erased
from models import ApiToken, Note, Session
from schemas.queries import PageQuery
from schemas.review.notes import DeletedNote, NewNote, NoteResponse, Notes

blp = Blueprint("Notes", __name__, description="The team's notes on a session. Candidates do not see them.")


@blp.get("/sessions/<id:session_id>/notes")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, Notes)
@audit.record_read
def list_notes(query, session_id):
    """List notes

    A session's notes, oldest first.
    """
    return page("notes", Note.of(find(Session, session_id)), query)


@blp.post("/sessions/<id:session_id>/notes")
@auth.required(ApiToken, scope="write")
@idempotent
@raises(Erased)
@blp.arguments(NewNote)
@blp.response(201, NoteResponse)
@audit.record_change()
def create_note(data, session_id):
    """Add a note

    Everyone in the organization can read it immediately.
    """
    return {"note": Note.add(find(Session, session_id), caller, data["text"])}


@blp.delete("/sessions/<id:session_id>/notes/<id:note_id>")
@auth.required(ApiToken, scope="write")
@blp.response(200, DeletedNote)
@audit.record_change(subject="session_id")
def delete_note(session_id, note_id):
    """Delete a note

    People can delete their own notes; admins and service accounts, all.
    """
    find(Note, note_id, among=Note.of(find(Session, session_id))).delete_as(caller)
    return {"ok": True, "id": note_id}
