// Generate keys in batches. Retrying a batch invites nobody twice.

import * as api from "../shared/api.js";
import { explain } from "../shared/states.js";
import { t } from "../shared/texts.js";

const MAX_BATCH = 50;
const ROOT = document.documentElement.dataset.root;

/** The start page's URL for a key. */
export const keyLink = ({ key }) => `${location.origin}${ROOT}/start#${key}`;

/**
 * Build a run: `send(onProgress)` sends unsent batches, and can be called again after failures.
 *
 * people -- `[{email, name, externalId}]`
 * options -- other request fields, such as `expiresInDays`
 * knownIds -- ids of earlier keys: the service returns an address's open key instead of a new one
 *
 * `keys` are the returned keys, `created` and `existing` their numbers, `failed` is
 * `[{person, reason}]`.
 */
export function issueKeys(assessment, people, { options, knownIds }) {
  const path = `/v1/assessments/${assessment.id}/keys`;
  let batches = chunks(people).map(newBatch);
  const run = { keys: [], created: 0, existing: 0, failed: [], send, canRetry: () => batches.length > 0 };
  return run;

  async function send(onProgress) {
    run.failed = run.failed.filter(({ isFinal }) => isFinal);
    const open = [];
    let done = run.keys.length + run.failed.length;
    for (const [n, batch] of batches.entries()) {
      try {
        await sendBatch(batch);
      } catch (error) {
        const isBatchError = error.details?.length > 0;
        // Other batches would fail for the same reason, such as a lost connection.
        const failed = isBatchError ? [batch] : batches.slice(n);
        open.push(...failed.flatMap((each) => rejected(each, error)));
        if (!isBatchError) break;
      }
      done += batch.people.length;
      onProgress(Math.min(done, people.length));
    }
    batches = open;
  }

  async function sendBatch(batch) {
    const candidates = batch.people.map(toRequestEntry);
    const body = { count: candidates.length, candidates, onDuplicate: "return", ...options };
    const { keys } = await api.post(path, body, { key: batch.key });
    const isNew = ({ id }) => !knownIds.has(id);
    run.keys.push(...keys);
    run.created += keys.filter(isNew).length;
    run.existing += keys.filter((key) => !isNew(key)).length;
  }

  /** The batch to retry: unchanged if the service may have received it, otherwise excluding rejected people. */
  function rejected(batch, error) {
    const reasons = new Map((error.details ?? []).filter(({ path: [, n] }) => Number.isInteger(n)).map(({ path: [, n], message }) => [n, message]));
    for (const [n, person] of batch.people.entries()) {
      const reason = reasons.get(n) ?? (reasons.size ? t("invite.othersFailed") : explain(error).join(". "));
      run.failed.push({ person, reason, isFinal: reasons.has(n) });
    }
    const rest = batch.people.filter((_, n) => !reasons.has(n));
    if (!rest.length) return [];
    return [reasons.size ? newBatch(rest) : batch];
  }
}

const newBatch = (people) => ({ people, key: crypto.randomUUID() });

function chunks(people) {
  const count = Math.ceil(people.length / MAX_BATCH);
  return Array.from({ length: count }, (_, n) => people.slice(n * MAX_BATCH, (n + 1) * MAX_BATCH));
}

/** A person as a request entry, excluding empty fields. */
function toRequestEntry({ email, name, externalId }) {
  return Object.fromEntries(Object.entries({ email, name, externalId }).filter(([, value]) => value));
}
