// Create keys in batches. Retrying a batch never invites anyone twice.

import * as api from "../shared/api.js";
import { describeError } from "../shared/states.js";
import { t } from "../shared/texts.js";

const BATCH_SIZE = 50;
const REJECTED = [400, 402, 403, 404];
const ROOT = document.documentElement.dataset.root;

/** Return the start page's URL for a key. */
export const keyLink = ({ key }) => `${location.origin}${ROOT}/start#${key}`;

/**
 * Create a run. `send(onProgress)` sends the remaining batches; call it again to retry failures. The run has `keys` (the
 * returned keys), `created` and `existing` (counts), and `failed` (`[{person, reason}]`).
 *
 * people -- `[{email, name, externalId}]`
 * options -- other request fields, such as `expiresInDays`
 * existingIds -- ids of existing keys; for an email address with an open key, the API returns that key instead of a new one
 */
export function issueKeys(assessment, people, { options, existingIds }) {
  const path = `/v1/assessments/${assessment.id}/keys`;
  let batches = chunks(people).map(newBatch);
  const run = { keys: [], created: 0, existing: 0, failed: [], send, canRetry: () => batches.length > 0 };
  return run;

  async function send(onProgress) {
    run.failed = run.failed.filter(({ isFinal }) => isFinal);
    const remaining = [];
    let processed = run.keys.length + run.failed.length;
    for (const [n, batch] of batches.entries()) {
      try {
        await sendBatch(batch);
      } catch (error) {
        const reasons = entryReasons(error);
        // Other batches would fail for the same reason, such as a lost connection or an invalid option.
        const failed = reasons.size ? [batch] : batches.slice(n);
        remaining.push(...failed.flatMap((failedBatch) => batchesToRetry(failedBatch, error, reasons)));
        if (!reasons.size) break;
      }
      processed += batch.people.length;
      onProgress(Math.min(processed, people.length));
    }
    batches = remaining;
  }

  async function sendBatch(batch) {
    const candidates = batch.people.map(toRequestEntry);
    const body = { count: candidates.length, candidates, onDuplicate: "return", ...options };
    const { keys } = await api.post(path, body, { key: batch.key });
    const isNew = ({ id }) => !existingIds.has(id);
    run.keys.push(...keys);
    run.created += keys.filter(isNew).length;
    run.existing += keys.filter((key) => !isNew(key)).length;
  }

  /**
   * Record failures, and return the batch to retry: unchanged if the service may have received it, otherwise without
   * rejected people. There is none if the request itself is rejected.
   */
  function batchesToRetry(batch, error, reasons) {
    const isRejected = !reasons.size && REJECTED.includes(error.status);
    for (const [n, person] of batch.people.entries()) {
      const reason = reasons.get(n) ?? (reasons.size ? t("invite.batchRejected") : describeError(error).join(". "));
      run.failed.push({ person, reason, isFinal: isRejected || reasons.has(n) });
    }
    if (isRejected) return [];
    const retryable = batch.people.filter((_, n) => !reasons.has(n));
    if (!retryable.length) return [];
    return [reasons.size ? newBatch(retryable) : batch];
  }
}

/** Map entries' indexes to the reasons for which they were rejected. */
const entryReasons = ({ details = [] }) => new Map(details.filter(({ path: [, n] }) => Number.isInteger(n)).map(({ path: [, n], message }) => [n, message]));

const newBatch = (people) => ({ people, key: crypto.randomUUID() });

function chunks(people) {
  const count = Math.ceil(people.length / BATCH_SIZE);
  return Array.from({ length: count }, (_, n) => people.slice(n * BATCH_SIZE, (n + 1) * BATCH_SIZE));
}

/** Convert a person to a request entry, without empty fields. */
function toRequestEntry({ email, name, externalId }) {
  return Object.fromEntries(Object.entries({ email, name, externalId }).filter(([, value]) => value));
}
