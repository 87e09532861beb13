"""A task in a structured form, as the candidate's client shows it (client contract, 3.5)."""

from marshmallow import fields, validate

from schemas import Body, Text, described

MOST = validate.Length(max=100)


def sentences(sentence: str, example: str) -> fields.List:
    return fields.List(Text(5000), validate=MOST, metadata=described(sentence, [example]))


class Codebase(Body):
    """The code to work on."""

    name = Text(255, metadata=described("Its name.", "orders"))
    description = Text(5000, metadata=described("What it does.", "Takes orders and hands them on."))
    run_command = Text(1000, metadata=described("How it is started.", "make run"))
    test_command = Text(1000, metadata=described("How its tests run.", "make test"))
    stack = fields.List(
        Text(255), validate=MOST, metadata=described("What it is made of.", ["Go", "PostgreSQL"])
    )


class BriefPhase(Body):
    """One step of the work."""

    name = Text(255, metadata=described("Its name.", "Find the cause"))
    goal = Text(5000, metadata=described("What it is for.", "Know why orders are lost."))
    tasks = sentences("What to do.", "Write a test that loses an order.")
    guidance = sentences("What helps.", "Look at what happens between reading and writing.")


class StructuredBrief(Body):
    """The task in a structured form."""

    scenario = Text(
        10_000, metadata=described("The situation.", "Customers say that orders vanish on busy days.")
    )
    codebase = fields.Nested(Codebase, metadata=described("The code to work on."))
    phases = fields.List(
        fields.Nested(BriefPhase), validate=MOST, metadata=described("The steps of the work.")
    )
    evaluation = sentences("What is looked at.", "How you found the cause.")
    ground_rules = sentences("What holds while working.", "AI tools are allowed.")
    deliverables = sentences("What is handed in.", "A fix with a test.")
