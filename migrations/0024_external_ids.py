"""Find candidates by their external id, also in searches."""


def up(migrator, db):
    db.execute_sql(
        """CREATE INDEX candidate_keys_of_external_id ON candidate_keys (organization_id, external_id, assessment_id)
        WHERE external_id IS NOT NULL"""
    )
    rows = db.execute_sql(
        "SELECT id, candidate_name, candidate_email, external_id FROM candidate_keys WHERE external_id IS NOT NULL"
    ).fetchall()
    update = f"UPDATE candidate_keys SET search_text = {db.param} WHERE id = {db.param}"
    for key_id, *searched in rows:
        db.execute_sql(update, ("\n".join(filter(None, searched)).casefold(), key_id))
