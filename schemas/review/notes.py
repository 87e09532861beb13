"""The team's notes on a session."""

from schemas.base import Author, Body, Deleted, PageOf, Schema, define_response, define_schema
from schemas.fields import Id, ListOf, Nested, String, Text
from schemas.timestamps import Timestamp

EXAMPLE_TEXT = "Ask about the retry loop."


class NewNote(Body):
    """A note."""

    text = Text(10_000, "Text.", example=EXAMPLE_TEXT, required=True)


class Note(Schema):
    """A note on a session."""

    id = Id("Unique id.")
    session_id = Id("Session id.")
    text = String("Text.", example=EXAMPLE_TEXT)
    author = Nested(Author, "Author.", attribute="author.author")
    created_at = Timestamp("Time of creation.")


NoteResponse = define_response("note", Note, "The note.")
Notes = define_schema("Notes", "Notes, oldest first.", PageOf, notes=ListOf(Note, "Notes."))
DeletedNote = define_schema("DeletedNote", "The note is deleted.", Deleted)
