"""The hand-written statements of the bare application.

Each operation, including the credential check, is one statement in autocommit: one round trip, one transaction. Ingest
needs two, because Python verifies the signature between them. Parameters are cast where PostgreSQL cannot infer their
type.
"""

ASSESSMENT = """
    SELECT a.id, a.organization_id, a.title, a.role, a.task_brief, a.repo_url, a.issue_id, a.rubric_id,
           a.time_limit_minutes, a.expires_in_days, a.created_at, a.updated_at
    FROM candidate_keys k
    JOIN assessments a ON a.id = k.assessment_id
    LEFT JOIN sessions s ON s.key_id = k.id
    LEFT JOIN issues i ON i.id = a.issue_id
    WHERE k.key = %(key)s AND k.revoked_at IS NULL AND a.deleted_at IS NULL AND a.id = %(assessment)s
      AND (k.expires_at > %(now)s OR s.id IS NOT NULL)
"""

_REVIEWER = """
    reviewer AS (
        SELECT r.id, r.organization_id, r.name, o.name AS organization_name
        FROM api_tokens r JOIN organizations o ON o.id = r.organization_id
        WHERE r.fingerprint = %(fingerprint)s AND r.revoked_at IS NULL
          AND (r.expires_at IS NULL OR r.expires_at > %(now)s)
    )
"""

# Every row includes the total. An empty page is one row without a key.
CANDIDATES = f"""
    WITH {_REVIEWER}, page AS (
        SELECT k.id FROM candidate_keys k JOIN assessments a ON a.id = k.assessment_id
        WHERE k.organization_id = (SELECT organization_id FROM reviewer) AND k.revoked_at IS NULL
          AND a.deleted_at IS NULL
        ORDER BY k.created_at, k.id LIMIT %(limit)s + 1 OFFSET %(offset)s
    ), total AS (
        SELECT count(*) AS keys FROM candidate_keys k JOIN assessments a ON a.id = k.assessment_id
        WHERE k.organization_id = (SELECT organization_id FROM reviewer) AND k.revoked_at IS NULL
          AND a.deleted_at IS NULL
    )
    SELECT k.id, k.key, k.assessment_id, k.organization_id,
           CASE WHEN s.hired_at IS NOT NULL THEN 'hired'
                WHEN s.completed_at IS NOT NULL THEN 'completed'
                WHEN s.closed_at IS NOT NULL OR s.closes_at <= %(now)s THEN 'expired'
                WHEN s.id IS NOT NULL THEN 'active'
                WHEN k.expires_at <= %(now)s THEN 'expired'
                ELSE 'pending' END,
           k.candidate_email, k.candidate_name, s.id, k.expires_at, s.created_at, s.completed_at, k.created_at,
           d.state, d.attempts, d.last_error, d.sent_at, k.erasure_requested_at, k.external_id,
           k.metadata, k.decision, k.decision_reason, k.decided_at, t.id, t.name,
           GREATEST(k.created_at, s.created_at, k.updated_at, s.updated_at), a.title, total.keys,
           k.decision_finding_reason
    FROM reviewer CROSS JOIN total
    LEFT JOIN (page
        JOIN candidate_keys k ON k.id = page.id
        JOIN assessments a ON a.id = k.assessment_id
        LEFT JOIN sessions s ON s.key_id = k.id
        LEFT JOIN deliveries d ON d.id = k.invitation_id
        LEFT JOIN api_tokens t ON t.id = k.decided_by_id) ON true
    ORDER BY k.created_at, k.id
"""

SESSION = """
    SELECT s.id::text, ARRAY(SELECT g.public_key FROM signing_keys g WHERE g.session_id = s.id ORDER BY g.id DESC)
    FROM candidate_keys k
    JOIN assessments a ON a.id = k.assessment_id
    JOIN sessions s ON s.key_id = k.id
    WHERE k.key = %(key)s AND k.revoked_at IS NULL AND a.deleted_at IS NULL
"""

# The lock keeps the session open until the event is stored. An invalid key returns no row.
INGEST = """
    WITH session AS (
        SELECT s.id, s.closed_at IS NULL AND (s.closes_at IS NULL OR s.closes_at > %(now)s) AS open
        FROM candidate_keys k
        JOIN assessments a ON a.id = k.assessment_id
        JOIN sessions s ON s.key_id = k.id
        WHERE k.key = %(key)s AND k.revoked_at IS NULL AND a.deleted_at IS NULL
        FOR SHARE OF s
    ), stored AS (
        INSERT INTO events
            (session_id, event_id, kind, source, actor, attribution, time_ns, received_at, late, subject, note, size,
             verdict, envelope)
        SELECT session.id, %(event_id)s, %(kind)s, %(source)s, %(actor)s, %(attribution)s, %(time_ns)s, %(now)s,
               false, %(subject)s, %(note)s, %(size)s, %(verdict)s, %(envelope)s
        FROM session WHERE session.open
        ON CONFLICT DO NOTHING RETURNING seq
    )
    SELECT session.open, (SELECT count(*) FROM stored) FROM session
"""

# Stores the keys, the queued emails, the feed events and the audit entry.
ISSUE_KEYS = f"""
    WITH {_REVIEWER}, assessment AS (
        SELECT a.id, a.organization_id, %(now)s + a.expires_in_days * interval '1 day' AS expires_at,
               reviewer.id AS reviewer_id, reviewer.name AS reviewer_name, reviewer.organization_name
        FROM reviewer JOIN assessments a ON a.organization_id = reviewer.organization_id
        WHERE a.id = %(assessment)s AND a.deleted_at IS NULL
        FOR SHARE OF a
    ), candidates AS (
        SELECT * FROM unnest(
            %(ids)s::text[]::uuid[], %(keys)s::text[], %(emails)s::text[], %(names)s::text[],
            %(addresses)s::text[], %(texts)s::text[], %(invitations)s::text[]::uuid[],
            %(feed_events)s::text[]::uuid[]
        ) AS candidate(id, key, email, name, address, search_text, invitation_id, feed_event_id)
    ), new_keys AS (
        INSERT INTO candidate_keys (id, created_at, organization_id, assessment_id, key, candidate_email,
                                    candidate_name, address, search_text, invitation_id, expires_at, bounced, decision,
                                    ledger_salt, ledger_version)
        SELECT c.id, %(now)s, assessment.organization_id, assessment.id, c.key, c.email, c.name, c.address,
               c.search_text, c.invitation_id, assessment.expires_at, false, 'undecided',
               uuid_send(gen_random_uuid()), 0
        FROM assessment, candidates c
    ), emails AS (
        INSERT INTO deliveries (id, created_at, organization_id, kind, subject_id, data, state, attempts, due_at)
        SELECT c.invitation_id, %(now)s, assessment.organization_id, 'invitation', c.id,
               jsonb_build_object('orgName', assessment.organization_name), 'queued', 0, %(now)s
        FROM assessment, candidates c
    ), feed AS (
        INSERT INTO feed_events (id, created_at, organization_id, type, data)
        SELECT c.feed_event_id, %(now)s, assessment.organization_id, 'key.created',
               jsonb_build_object('candidateId', c.id, 'assessmentId', assessment.id, 'status', 'pending')
        FROM assessment, candidates c
    ), audit AS (
        INSERT INTO audit_entries (id, created_at, organization_id, action, actor_kind, actor_id, actor_name,
                                   subject_kind, subject_id, further_ids, body_fields, came_from, request_id,
                                   arrival_mac)
        SELECT %(audit)s, %(now)s, assessment.organization_id, 'issueKeys', 'apiToken', assessment.reviewer_id,
               assessment.reviewer_name, 'assessment', assessment.id, to_jsonb(%(ids)s), %(fields)s, %(address)s,
               %(audit)s::uuid::text, ''
        FROM assessment
    )
    SELECT organization_id, expires_at FROM assessment
"""
