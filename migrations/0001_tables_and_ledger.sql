-- The first tables. A frozen copy: later migrations change the tables, not this file.
-- migrations/__init__.py names each database's types for {uuid}, {timestamp} and the others.

CREATE TABLE organizations (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    subscription TEXT,
    trial_ends_at {timestamp},
    display_name TEXT,
    reply_to TEXT,
    retention_days INTEGER,
    disclosure_additions {json}
);

CREATE TABLE task_failures (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    task TEXT NOT NULL,
    owner TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    retry_at {timestamp} NOT NULL
);
CREATE UNIQUE INDEX taskfailure_task_owner ON task_failures (task, owner);

CREATE TABLE service_secrets (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    name TEXT NOT NULL,
    value {bytes} NOT NULL
);
CREATE UNIQUE INDEX servicesecret_name ON service_secrets (name);

CREATE TABLE storage_markers (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL
);

CREATE TABLE accepted_senders (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    fingerprint TEXT NOT NULL,
    credential TEXT NOT NULL,
    seen_at {timestamp} NOT NULL
);
CREATE UNIQUE INDEX acceptedsender_fingerprint ON accepted_senders (fingerprint);
CREATE INDEX acceptedsender_credential ON accepted_senders (credential);
CREATE INDEX acceptedsender_seen_at ON accepted_senders (seen_at);

CREATE TABLE access_hours (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    hour {timestamp} NOT NULL,
    invalid_credentials INTEGER NOT NULL,
    sole_address TEXT
);
CREATE UNIQUE INDEX accesshour_hour ON access_hours (hour);

CREATE TABLE heartbeats (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    process TEXT NOT NULL,
    version TEXT NOT NULL,
    task TEXT NOT NULL,
    is_continuous {boolean} NOT NULL,
    beat_at {timestamp} NOT NULL
);
CREATE UNIQUE INDEX heartbeat_process_task ON heartbeats (process, task);

CREATE TABLE daily_tasks (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    name TEXT NOT NULL,
    day TEXT NOT NULL
);
CREATE UNIQUE INDEX dailytask_name ON daily_tasks (name);

CREATE TABLE sign_in_grants (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    address TEXT NOT NULL,
    method TEXT NOT NULL,
    fingerprint TEXT,
    expires_at {timestamp} NOT NULL,
    queued_at {timestamp},
    used_at {timestamp}
);
CREATE UNIQUE INDEX signingrant_fingerprint ON sign_in_grants (fingerprint);
CREATE INDEX signingrant_expires_at ON sign_in_grants (expires_at);

CREATE TABLE ledger_entries (
    id {uuid} NOT NULL PRIMARY KEY,
    organization_id {uuid} NOT NULL,
    candidate_id {uuid},
    kind TEXT NOT NULL,
    subject {uuid} NOT NULL,
    version INTEGER NOT NULL,
    reason TEXT NOT NULL,
    content TEXT,
    content_hash {bytes} NOT NULL,
    column_digests {bytes} NOT NULL,
    key_id TEXT NOT NULL,
    signature {bytes} NOT NULL,
    position BIGINT,
    link {bytes},
    is_rejected {boolean} NOT NULL
);
CREATE INDEX ledgerentry_candidate_id ON ledger_entries (candidate_id);
CREATE UNIQUE INDEX ledgerentry_organization_id_position ON ledger_entries (organization_id, position);
CREATE INDEX ledgerentry_subject_version ON ledger_entries (subject, version);
CREATE INDEX ledger_entries_waiting
    ON ledger_entries (organization_id, id)
    WHERE (position IS NULL) AND NOT is_rejected;
CREATE INDEX ledger_entries_keys ON ledger_entries (organization_id, position) WHERE kind IN ('key', 'epoch');

CREATE TABLE users (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    email TEXT,
    address TEXT,
    role TEXT NOT NULL,
    observer_until {timestamp},
    active {boolean} NOT NULL,
    invitation_id {uuid},
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE UNIQUE INDEX users_address ON users (organization_id, address);

CREATE TABLE feeds (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    position BIGINT NOT NULL
);
CREATE UNIQUE INDEX feed_organization_id ON feeds (organization_id);

CREATE TABLE feed_events (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    type TEXT NOT NULL,
    data {json} NOT NULL,
    traceparent TEXT,
    position BIGINT
);
CREATE UNIQUE INDEX feedevent_organization_id_position ON feed_events (organization_id, position);
CREATE INDEX feed_events_not_numbered ON feed_events (id) WHERE position IS NULL;

CREATE TABLE issues (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} REFERENCES organizations (id),
    title TEXT NOT NULL,
    repo_url TEXT,
    repo_commit TEXT,
    repo_subdir TEXT,
    description TEXT,
    difficulty TEXT,
    language TEXT,
    labels {json} NOT NULL,
    task_brief TEXT NOT NULL,
    setup_instructions TEXT,
    test_command TEXT,
    reference_sha TEXT,
    sources {json} NOT NULL,
    license TEXT,
    search_text TEXT NOT NULL,
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX issue_organization_id ON issues (organization_id);

CREATE TABLE rubrics (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    criteria {json} NOT NULL,
    version INTEGER NOT NULL,
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX rubric_organization_id ON rubrics (organization_id);

CREATE TABLE audit_entries (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    action TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id {uuid},
    actor_name TEXT,
    subject_kind TEXT,
    subject_id {uuid},
    further_ids {json} NOT NULL,
    body_fields {json} NOT NULL,
    came_from TEXT,
    request_id TEXT,
    arrival_mac TEXT NOT NULL,
    ledger_entry_id {uuid}
);
CREATE INDEX auditentry_organization_id_created_at_id ON audit_entries (organization_id, created_at, id);
CREATE INDEX auditentry_organization_id_subject_id ON audit_entries (organization_id, subject_id);
CREATE INDEX audit_entries_unlisted ON audit_entries (organization_id, id) WHERE ledger_entry_id IS NULL;

CREATE TABLE webhooks (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    url TEXT NOT NULL,
    description TEXT,
    types {json} NOT NULL,
    include_personal {boolean} NOT NULL,
    secret TEXT NOT NULL,
    former_secrets {json} NOT NULL,
    disabled_reason TEXT,
    disabled_at {timestamp},
    failing_since {timestamp},
    last_error TEXT,
    last_error_at {timestamp},
    held_until {timestamp},
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX webhook_organization_id ON webhooks (organization_id);

CREATE TABLE deliveries (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    data {json} NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at {timestamp} NOT NULL,
    last_error TEXT,
    sent_at {timestamp},
    address TEXT
);
CREATE INDEX delivery_subject_id ON deliveries (subject_id);
CREATE INDEX deliveries_queued ON deliveries (organization_id, due_at, id) WHERE state = 'queued';
CREATE INDEX deliveries_of ON deliveries (organization_id, state, id);
CREATE INDEX deliveries_in_order ON deliveries (organization_id, created_at, id);
CREATE INDEX deliveries_to ON deliveries (address, due_at);

CREATE TABLE checkpoints (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    position BIGINT NOT NULL,
    head TEXT NOT NULL,
    sessions INTEGER NOT NULL
);
CREATE UNIQUE INDEX checkpoint_organization_id_position ON checkpoints (organization_id, position);

CREATE TABLE api_tokens (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    user_id {uuid} REFERENCES users (id),
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    last_four TEXT NOT NULL,
    expires_at {timestamp},
    last_used_at {timestamp},
    revoked_at {timestamp}
);
CREATE INDEX apitoken_organization_id ON api_tokens (organization_id);
CREATE INDEX apitoken_user_id ON api_tokens (user_id);
CREATE UNIQUE INDEX apitoken_fingerprint ON api_tokens (fingerprint);

CREATE TABLE rubric_versions (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    rubric_id {uuid} NOT NULL REFERENCES rubrics (id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    criteria {json} NOT NULL
);
CREATE UNIQUE INDEX rubricversion_rubric_id_number ON rubric_versions (rubric_id, number);

CREATE TABLE assessments (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    title TEXT NOT NULL,
    role TEXT NOT NULL,
    task_brief TEXT NOT NULL,
    repo_url TEXT,
    repo_commit TEXT,
    repo_subdir TEXT,
    setup_instructions TEXT,
    issue_id {uuid} REFERENCES issues (id),
    rubric_id {uuid} REFERENCES rubrics (id),
    brief {json},
    allowed_tools {json},
    token_budget_nano_usd BIGINT,
    time_limit_minutes INTEGER,
    expires_in_days INTEGER NOT NULL,
    reminder_days_before INTEGER,
    blind {boolean} NOT NULL,
    show_test_counts {boolean} NOT NULL,
    archived_at {timestamp},
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX assessment_issue_id ON assessments (issue_id);
CREATE INDEX assessment_rubric_id ON assessments (rubric_id);
CREATE INDEX assessment_organization_id_created_at_id ON assessments (organization_id, created_at, id);

CREATE TABLE webhook_deliveries (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    webhook_id {uuid} NOT NULL REFERENCES webhooks (id),
    event_id {uuid} NOT NULL,
    type TEXT NOT NULL,
    candidate_id {uuid},
    body TEXT NOT NULL,
    traceparent TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at {timestamp} NOT NULL,
    attempted_at {timestamp},
    status INTEGER,
    duration_ms INTEGER,
    answer TEXT,
    last_error TEXT,
    is_erased {boolean} NOT NULL
);
CREATE INDEX webhookdelivery_candidate_id ON webhook_deliveries (candidate_id);
CREATE UNIQUE INDEX webhookdelivery_webhook_id_event_id ON webhook_deliveries (webhook_id, event_id);
CREATE INDEX webhookdelivery_webhook_id_created_at_id ON webhook_deliveries (webhook_id, created_at, id);
CREATE INDEX webhook_deliveries_queued ON webhook_deliveries (webhook_id, due_at, id) WHERE state = 'queued';

CREATE TABLE sign_ins (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    token_id {uuid} NOT NULL REFERENCES api_tokens (id),
    method TEXT NOT NULL,
    expires_at {timestamp} NOT NULL,
    last_used_at {timestamp},
    ended_at {timestamp}
);
CREATE UNIQUE INDEX signin_fingerprint ON sign_ins (fingerprint);
CREATE INDEX signin_token_id ON sign_ins (token_id);
CREATE INDEX signin_expires_at ON sign_ins (expires_at);

CREATE TABLE idempotent_requests (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    reviewer_id {uuid} NOT NULL REFERENCES api_tokens (id),
    fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER,
    answer TEXT
);
CREATE INDEX idempotentrequest_reviewer_id ON idempotent_requests (reviewer_id);
CREATE UNIQUE INDEX idempotentrequest_reviewer_id_fingerprint ON idempotent_requests (reviewer_id, fingerprint);

CREATE TABLE candidate_keys (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    assessment_id {uuid} NOT NULL REFERENCES assessments (id),
    key TEXT NOT NULL,
    candidate_email TEXT,
    candidate_name TEXT,
    address TEXT,
    search_text TEXT NOT NULL,
    sort_name {ordered},
    external_id TEXT,
    metadata {json},
    extra_minutes INTEGER,
    time_multiplier_thousandths INTEGER,
    invitation_data {json},
    invitation_id {uuid},
    bounced {boolean} NOT NULL,
    reminded_at {timestamp},
    task_read_at {timestamp},
    expires_at {timestamp} NOT NULL,
    revoked_at {timestamp},
    erasure_requested_at {timestamp},
    erasure_dismissal TEXT,
    erased_at {timestamp},
    decision TEXT NOT NULL,
    decision_reason TEXT,
    decided_at {timestamp},
    decided_by_id {uuid} REFERENCES api_tokens (id),
    decision_finding_reason TEXT,
    updated_at {timestamp}
);
CREATE UNIQUE INDEX candidatekey_key ON candidate_keys (key);
CREATE INDEX candidatekey_assessment_id_created_at_id ON candidate_keys (assessment_id, created_at, id);
-- Covering index for lists: an offset reads only the index.
CREATE INDEX candidate_keys_in_order ON candidate_keys (organization_id, created_at, id, assessment_id, revoked_at);
CREATE INDEX candidate_keys_of_address ON candidate_keys (address, assessment_id);
CREATE INDEX candidate_keys_of_external_id
    ON candidate_keys (organization_id, external_id, assessment_id)
    WHERE external_id IS NOT NULL;
-- For `updatedAfter`.
CREATE INDEX candidate_keys_changed ON candidate_keys (organization_id, updated_at) WHERE updated_at IS NOT NULL;
-- For models/todo.py.
CREATE INDEX candidate_keys_undecided
    ON candidate_keys (organization_id, id)
    WHERE (decision = 'undecided') AND (erased_at IS NULL);
CREATE INDEX candidate_keys_to_erase
    ON candidate_keys (organization_id, erasure_requested_at)
    WHERE (erasure_requested_at IS NOT NULL) AND (erased_at IS NULL);
-- For due reminders.
CREATE INDEX candidate_keys_to_remind ON candidate_keys (expires_at) WHERE reminded_at IS NULL;

CREATE TABLE consents (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    key_id {uuid} NOT NULL REFERENCES candidate_keys (id),
    disclosure_version TEXT,
    disclosure_hash TEXT,
    channels {json}
);
CREATE INDEX consent_key_id ON consents (key_id);

CREATE TABLE task_files (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    owner_id {uuid} NOT NULL,
    kind TEXT NOT NULL,
    object_key TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    commit_id TEXT,
    settings {json},
    file_count INTEGER,
    replaced_at {timestamp}
);
CREATE INDEX taskfile_organization_id ON task_files (organization_id);
CREATE INDEX taskfile_object_key ON task_files (object_key);
CREATE INDEX task_files_of_owner ON task_files (owner_id, kind);

CREATE TABLE task_checks (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    owner_id {uuid} NOT NULL,
    repository_id {uuid} NOT NULL REFERENCES task_files (id),
    tests_id {uuid} NOT NULL REFERENCES task_files (id),
    reference_id {uuid} NOT NULL REFERENCES task_files (id),
    state TEXT NOT NULL,
    names {json},
    unstable {json},
    problem TEXT,
    finished_at {timestamp}
);
CREATE INDEX taskcheck_organization_id ON task_checks (organization_id);
CREATE INDEX taskcheck_owner_id ON task_checks (owner_id);
CREATE INDEX taskcheck_repository_id ON task_checks (repository_id);
CREATE INDEX taskcheck_tests_id ON task_checks (tests_id);
CREATE INDEX taskcheck_reference_id ON task_checks (reference_id);

CREATE TABLE runner_tokens (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} REFERENCES organizations (id),
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    last_four TEXT NOT NULL,
    last_used_at {timestamp},
    revoked_at {timestamp}
);
CREATE INDEX runnertoken_organization_id ON runner_tokens (organization_id);
CREATE UNIQUE INDEX runnertoken_fingerprint ON runner_tokens (fingerprint);

CREATE TABLE sessions (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    assessment_id {uuid} NOT NULL REFERENCES assessments (id),
    key_id {uuid} NOT NULL REFERENCES candidate_keys (id),
    closes_at {timestamp},
    closed_at {timestamp},
    closed_by TEXT,
    completed_at {timestamp},
    hired_at {timestamp},
    redeem_allowed {boolean} NOT NULL,
    tests_passed_count INTEGER,
    tests_failed_count INTEGER,
    tests_skipped_count INTEGER,
    tests_note TEXT,
    metrics_due {boolean} NOT NULL,
    derivation_version INTEGER,
    event_count INTEGER,
    duration_ms BIGINT,
    prompt_count BIGINT,
    command_fail_rate BIGINT,
    verify_intensity BIGINT,
    manual_edit_ratio BIGINT,
    first_change_latency_ms BIGINT,
    tests_passed {boolean},
    known_exit_code_count INTEGER,
    file_change_count INTEGER,
    attributed_change_count INTEGER,
    further_metrics {json},
    recorded_line_ratio BIGINT,
    stored_event_count INTEGER NOT NULL,
    stored_event_bytes BIGINT NOT NULL,
    counted_seq BIGINT NOT NULL,
    rejected_event_count INTEGER NOT NULL,
    stored_bundle_bytes BIGINT NOT NULL,
    listed_seq BIGINT NOT NULL,
    score_total BIGINT,
    score_highest BIGINT,
    score_spread BIGINT,
    score_criteria {json},
    has_disagreement {boolean} NOT NULL,
    score_reviewers INTEGER,
    score_independent {boolean},
    integrity_codes {json},
    integrity_checked_at {timestamp},
    checked_version INTEGER NOT NULL,
    checkpoint_position BIGINT,
    task_read_at {timestamp},
    repository_id {uuid} REFERENCES task_files (id),
    repository_token TEXT,
    tests_due {boolean} NOT NULL,
    hidden_run_id {uuid},
    updated_at {timestamp}
);
CREATE INDEX session_repository_id ON sessions (repository_id);
CREATE UNIQUE INDEX session_repository_token ON sessions (repository_token);
CREATE INDEX sessions_tests_due ON sessions (id) WHERE tests_due;
CREATE UNIQUE INDEX session_key_id ON sessions (key_id);
CREATE INDEX session_organization_id_created_at_id ON sessions (organization_id, created_at, id);
-- For closing due sessions.
CREATE INDEX sessions_open ON sessions (closes_at) WHERE closed_at IS NULL;
-- For the checkpoints of closed sessions.
CREATE INDEX sessions_without_checkpoint ON sessions (organization_id, closed_at) WHERE checkpoint_position IS NULL;
-- For `updatedAfter`.
CREATE INDEX sessions_changed ON sessions (organization_id, updated_at) WHERE updated_at IS NOT NULL;
-- Covering index for cohort statistics (models/cohorts.py).
CREATE INDEX sessions_of_assessment
    ON sessions (assessment_id, closed_at, derivation_version, event_count, duration_ms, prompt_count, command_fail_rate, verify_intensity, manual_edit_ratio, first_change_latency_ms, tests_passed, known_exit_code_count, file_change_count, attributed_change_count);
-- For `models.ledger.integrity.check_closed`.
CREATE INDEX sessions_unchecked
    ON sessions (id)
    WHERE (closed_at IS NOT NULL) AND (checked_version < ledger_version);
-- For `models.ledger.numbering.search_start`.
CREATE INDEX sessions_listed ON sessions (listed_seq);
-- For reviewers' to-do list (models/todo.py).
CREATE INDEX sessions_disagreeing ON sessions (organization_id, created_at, id) WHERE has_disagreement;
CREATE INDEX sessions_metrics_due ON sessions (id) WHERE metrics_due;

CREATE TABLE erasures (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    key_id {uuid} NOT NULL REFERENCES candidate_keys (id),
    kind TEXT NOT NULL,
    reviewer_id {uuid} REFERENCES api_tokens (id),
    session_id {uuid},
    counts {json} NOT NULL
);
CREATE INDEX erasure_organization_id ON erasures (organization_id);
CREATE UNIQUE INDEX erasure_key_id ON erasures (key_id);
CREATE INDEX erasure_reviewer_id ON erasures (reviewer_id);

CREATE TABLE signing_keys (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    public_key TEXT NOT NULL
);
CREATE UNIQUE INDEX signingkey_session_id_public_key ON signing_keys (session_id, public_key);

CREATE TABLE scores (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    criterion TEXT NOT NULL,
    rubric_version_id {uuid} NOT NULL REFERENCES rubric_versions (id),
    value INTEGER NOT NULL,
    comment TEXT,
    evidence {json} NOT NULL,
    reviewer_id {uuid} NOT NULL REFERENCES api_tokens (id),
    reason TEXT,
    withdrawn_at {timestamp},
    withdrawal_reason TEXT,
    independent {boolean} NOT NULL
);
CREATE INDEX score_rubric_version_id ON scores (rubric_version_id);
CREATE INDEX score_reviewer_id ON scores (reviewer_id);
CREATE INDEX score_session_id_id ON scores (session_id, id);

CREATE TABLE completed_scorings (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    user_id {uuid} NOT NULL REFERENCES users (id)
);
CREATE INDEX completedscoring_user_id ON completed_scorings (user_id);
CREATE UNIQUE INDEX completedscoring_session_id_user_id ON completed_scorings (session_id, user_id);

CREATE TABLE score_reveals (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    assessment_id {uuid} NOT NULL REFERENCES assessments (id),
    session_id {uuid} REFERENCES sessions (id),
    user_id {uuid} NOT NULL REFERENCES users (id)
);
CREATE INDEX scorereveal_session_id ON score_reveals (session_id);
CREATE INDEX scorereveal_user_id ON score_reveals (user_id);
CREATE UNIQUE INDEX scorereveal_assessment_id_user_id_session_id ON score_reveals (assessment_id, user_id, session_id);

CREATE TABLE assignments (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    user_id {uuid} NOT NULL REFERENCES users (id),
    assigned_by_id {uuid} NOT NULL REFERENCES api_tokens (id),
    due_at {timestamp},
    removed_at {timestamp}
);
CREATE INDEX assignment_session_id ON assignments (session_id);
CREATE INDEX assignment_user_id ON assignments (user_id);
CREATE INDEX assignment_assigned_by_id ON assignments (assigned_by_id);

CREATE TABLE notes (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    author_id {uuid} NOT NULL REFERENCES api_tokens (id),
    text TEXT NOT NULL
);
CREATE INDEX note_author_id ON notes (author_id);
CREATE INDEX note_session_id_id ON notes (session_id, id);

CREATE TABLE submissions (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    format TEXT NOT NULL,
    state TEXT NOT NULL,
    object_key TEXT,
    stored_bytes BIGINT NOT NULL,
    size BIGINT,
    sha256 TEXT,
    source_key TEXT,
    claimed_size BIGINT,
    claimed_sha256 TEXT,
    repo_url TEXT,
    base_sha TEXT,
    file_tree {json},
    diff TEXT,
    problem TEXT,
    attempts INTEGER NOT NULL,
    retry_at {timestamp},
    base_verified {boolean},
    base_commit TEXT,
    head_commit TEXT,
    counted_lines INTEGER,
    not_recorded_lines INTEGER,
    matched_event_count INTEGER,
    files_sha256 TEXT
);
CREATE UNIQUE INDEX submission_object_key ON submissions (object_key);
CREATE INDEX submission_session_id_created_at_id ON submissions (session_id, created_at, id);
-- For `reading.due`.
CREATE INDEX submissions_due ON submissions (retry_at) WHERE retry_at IS NOT NULL;
CREATE INDEX submissions_with_problem ON submissions (session_id) WHERE problem IS NOT NULL;

CREATE TABLE test_runs (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    ledger_salt {bytes} NOT NULL,
    ledger_version INTEGER NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    session_id {uuid} REFERENCES sessions (id),
    task_check_id {uuid} REFERENCES task_checks (id),
    purpose TEXT NOT NULL,
    submission_id {uuid},
    submission_sha256 TEXT,
    tests_id {uuid} NOT NULL REFERENCES task_files (id),
    state TEXT NOT NULL,
    reason TEXT,
    passed_count INTEGER,
    total_count INTEGER,
    is_complete {boolean},
    results {json},
    runner_token_id {uuid} REFERENCES runner_tokens (id),
    runner_name TEXT,
    engine TEXT,
    image_digest TEXT,
    attempts INTEGER NOT NULL,
    due_at {timestamp},
    started_at {timestamp},
    finished_at {timestamp}
);
CREATE INDEX testrun_organization_id ON test_runs (organization_id);
CREATE INDEX testrun_session_id ON test_runs (session_id);
CREATE INDEX testrun_task_check_id ON test_runs (task_check_id);
CREATE INDEX testrun_tests_id ON test_runs (tests_id);
CREATE INDEX testrun_runner_token_id ON test_runs (runner_token_id);
-- For `claim`.
CREATE INDEX test_runs_due ON test_runs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX test_runs_started ON test_runs (organization_id, started_at);

CREATE TABLE client_reports (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    kind TEXT NOT NULL,
    data {json} NOT NULL
);
CREATE INDEX clientreport_session_id ON client_reports (session_id);

CREATE TABLE recorded_texts (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id)
);
CREATE INDEX recordedtext_session_id ON recorded_texts (session_id);

CREATE TABLE model_usage (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    provider TEXT NOT NULL,
    model TEXT,
    started_at {timestamp} NOT NULL,
    ended_at {timestamp} NOT NULL,
    status_code INTEGER NOT NULL,
    is_whole {boolean} NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    cost_nano_usd BIGINT,
    request_id TEXT,
    tool TEXT,
    agent_session TEXT,
    first_token_ms INTEGER,
    is_recorded {boolean},
    arrival_mac TEXT NOT NULL,
    ledger_entry_id {uuid}
);
CREATE INDEX modelusage_session_id ON model_usage (session_id);
CREATE INDEX model_usage_unlisted ON model_usage (session_id) WHERE ledger_entry_id IS NULL;

CREATE TABLE model_reservations (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    nano_usd BIGINT NOT NULL,
    expires_at {timestamp} NOT NULL
);
CREATE INDEX modelreservation_session_id ON model_reservations (session_id);

CREATE TABLE uploads (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    object_key TEXT NOT NULL,
    stored_bytes BIGINT NOT NULL,
    receiving_bytes BIGINT NOT NULL
);
CREATE INDEX bundleupload_session_id ON uploads (session_id);
CREATE UNIQUE INDEX bundleupload_object_key ON uploads (object_key);

CREATE TABLE submission_files (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    path TEXT NOT NULL,
    old_path TEXT,
    status TEXT NOT NULL,
    old_mode TEXT,
    new_mode TEXT,
    is_binary {boolean} NOT NULL,
    is_truncated {boolean} NOT NULL,
    lines_added INTEGER NOT NULL,
    lines_removed INTEGER NOT NULL,
    diff TEXT,
    not_recorded_ranges {json} NOT NULL,
    is_too_large {boolean} NOT NULL,
    size BIGINT
);
CREATE INDEX submissionfile_session_id ON submission_files (session_id);

CREATE TABLE events (
    seq {serial} NOT NULL PRIMARY KEY,
    session_id {uuid} NOT NULL REFERENCES sessions (id),
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    source TEXT,
    actor TEXT,
    attribution TEXT,
    time_ns BIGINT NOT NULL,
    received_at {timestamp} NOT NULL,
    late {boolean} NOT NULL,
    subject TEXT,
    note TEXT,
    size INTEGER NOT NULL,
    verdict TEXT,
    arrival_mac TEXT,
    channel TEXT,
    agent_session TEXT,
    joins TEXT,
    envelope TEXT NOT NULL
);
CREATE UNIQUE INDEX event_session_id_event_id ON events (session_id, event_id);
CREATE INDEX event_session_id_seq ON events (session_id, seq);
CREATE INDEX event_session_id_time_ns_seq ON events (session_id, time_ns, seq);
CREATE INDEX event_session_id_kind_time_ns_seq ON events (session_id, kind, time_ns, seq);
-- For `verify_pending`.
CREATE INDEX events_not_judged ON events (seq) WHERE verdict IS NULL;
-- For events from channels (R36).
CREATE INDEX events_of_channels ON events (session_id, channel, seq) WHERE channel IS NOT NULL;

CREATE TABLE integrations (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    system TEXT NOT NULL,
    name TEXT NOT NULL,
    settings {json} NOT NULL,
    credential TEXT NOT NULL,
    credential_end TEXT NOT NULL,
    secret TEXT NOT NULL,
    former_secret TEXT,
    former_secret_until {timestamp},
    active {boolean} NOT NULL,
    stopped_reason TEXT,
    held_until {timestamp},
    claimed_until {timestamp},
    last_call_at {timestamp},
    last_error TEXT,
    last_error_at {timestamp},
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX integration_organization_id ON integrations (organization_id);

CREATE TABLE notification_channels (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    organization_id {uuid} NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    url_end TEXT NOT NULL,
    assessment_ids {json},
    events {json} NOT NULL,
    include_names {boolean} NOT NULL,
    position BIGINT NOT NULL,
    disabled_reason TEXT,
    held_until {timestamp},
    claimed_until {timestamp},
    last_sent_at {timestamp},
    last_error TEXT,
    last_error_at {timestamp},
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX notificationchannel_organization_id ON notification_channels (organization_id);

CREATE TABLE integration_calls (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    integration_id {uuid} NOT NULL REFERENCES integrations (id),
    day TEXT NOT NULL,
    calls INTEGER NOT NULL,
    failures INTEGER NOT NULL
);
CREATE UNIQUE INDEX integrationcalls_integration_id_day ON integration_calls (integration_id, day);

CREATE TABLE integration_rules (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    integration_id {uuid} NOT NULL REFERENCES integrations (id),
    stage_id TEXT NOT NULL,
    stage_name TEXT NOT NULL,
    job_id TEXT NOT NULL,
    job_name TEXT,
    assessment_id {uuid} NOT NULL REFERENCES assessments (id),
    reports {json} NOT NULL,
    include {json} NOT NULL,
    active {boolean} NOT NULL,
    updated_at {timestamp} NOT NULL,
    deleted_at {timestamp}
);
CREATE INDEX integrationrule_assessment_id ON integration_rules (assessment_id);
CREATE UNIQUE INDEX integration_rules_by_stage
    ON integration_rules (integration_id, stage_id, job_id)
    WHERE deleted_at IS NULL;

CREATE TABLE notifications (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    channel_id {uuid} NOT NULL REFERENCES notification_channels (id),
    event TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    assessment_id {uuid} NOT NULL REFERENCES assessments (id),
    key_id {uuid} REFERENCES candidate_keys (id),
    session_id {uuid},
    reason TEXT,
    attempts INTEGER NOT NULL,
    sent_at {timestamp}
);
CREATE INDEX notification_assessment_id ON notifications (assessment_id);
CREATE INDEX notification_key_id ON notifications (key_id);
CREATE UNIQUE INDEX notification_channel_id_event_subject_id ON notifications (channel_id, event, subject_id);
CREATE INDEX notifications_waiting ON notifications (channel_id, created_at, id) WHERE sent_at IS NULL;

CREATE TABLE integration_orders (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    integration_id {uuid} NOT NULL REFERENCES integrations (id),
    rule_id {uuid} NOT NULL REFERENCES integration_rules (id),
    application_id TEXT,
    person_id TEXT,
    erased_mac TEXT,
    key_id {uuid} REFERENCES candidate_keys (id),
    state TEXT NOT NULL,
    reason TEXT,
    last_error TEXT,
    attempts INTEGER NOT NULL,
    failing_since {timestamp},
    due_at {timestamp},
    refreshed_at {timestamp} NOT NULL,
    report_due_at {timestamp},
    reported TEXT,
    report_number INTEGER NOT NULL,
    score_reported_at {timestamp},
    updated_at {timestamp} NOT NULL
);
CREATE INDEX integrationorder_key_id ON integration_orders (key_id);
CREATE UNIQUE INDEX integration_orders_by_application
    ON integration_orders (integration_id, application_id, rule_id)
    WHERE application_id IS NOT NULL;
CREATE INDEX integration_orders_of ON integration_orders (integration_id, created_at, id);
-- For lists by state, and for the number of orders that need a person.
CREATE INDEX integration_orders_in_state ON integration_orders (integration_id, state, created_at, id);
CREATE INDEX integration_orders_due ON integration_orders (integration_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX integration_reports_due
    ON integration_orders (report_due_at)
    WHERE report_due_at IS NOT NULL;
CREATE INDEX integration_orders_open ON integration_orders (key_id) WHERE state IN ('invited', 'started', 'attention');
CREATE INDEX integration_orders_erased
    ON integration_orders (integration_id, erased_mac)
    WHERE erased_mac IS NOT NULL;

CREATE TABLE integration_reports (
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {timestamp} NOT NULL,
    integration_id {uuid} NOT NULL REFERENCES integrations (id),
    order_id {uuid} NOT NULL REFERENCES integration_orders (id),
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    application_id TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    is_unknown {boolean} NOT NULL,
    due_at {timestamp} NOT NULL,
    last_error TEXT,
    sent_at {timestamp}
);
CREATE UNIQUE INDEX integrationreport_order_id_number ON integration_reports (order_id, number);
CREATE INDEX integration_reports_queued ON integration_reports (integration_id, due_at) WHERE state = 'queued';
