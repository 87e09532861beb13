"""Find candidates by their external id, also in searches."""

BATCH_SIZE = 1000


def up(migrator, db):
    db.execute_sql(
        """CREATE INDEX candidate_keys_of_external_id ON candidate_keys (organization_id, external_id, assessment_id)
        WHERE external_id IS NOT NULL"""
    )
    select = f"""SELECT id, candidate_name, candidate_email, external_id FROM candidate_keys
        WHERE external_id IS NOT NULL AND id > {db.param} ORDER BY id LIMIT {BATCH_SIZE}"""
    update = f"UPDATE candidate_keys SET search_text = {db.param} WHERE id = {db.param}"
    last = "0" * 32
    while rows := db.execute_sql(select, (last,)).fetchall():
        for key_id, *searched in rows:
            db.execute_sql(update, ("\n".join(filter(None, searched)).casefold(), key_id))
        last = rows[-1][0]
