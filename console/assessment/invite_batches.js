// Generate keys in batches. A batch can be sent again without inviting anyone twice.

import * as api from "../shared/api.js";
import { explain } from "../shared/states.js";
import { t } from "../shared/texts.js";

const MAX_BATCH = 50;
const ROOT = document.documentElement.dataset.root;

/** The address of the page that a key opens. */
export const keyLink = ({ key }) => `${location.origin}${ROOT}/start#${key}`;

/**
 * The run of an invitation: `send(onProgress)` sends what has not been sent, and can be called again after failures.
 *
 * people -- `[{email, name, externalId}]`
 * options -- further fields of the request's body, such as `expiresInDays`
 * knownIds -- of the keys before the invitation: the service returns the open key of an address that has one
 *
 * Its `keys` are those that the service returned, `created` and `existing` their numbers, `failed` is
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
        const isOfOneBatch = error.details?.length > 0;
        // Others would fail for the same reason, such as a lost connection.
        const failed = isOfOneBatch ? [batch] : batches.slice(n);
        open.push(...failed.flatMap((each) => rejected(each, error)));
        if (!isOfOneBatch) break;
      }
      done += batch.people.length;
      onProgress(Math.min(done, people.length));
    }
    batches = open;
  }

  async function sendBatch(batch) {
    const candidates = batch.people.map(candidateOf);
    const body = { count: candidates.length, candidates, onDuplicate: "return", ...options };
    const { keys } = await api.post(path, body, { key: batch.key });
    const isNew = ({ id }) => !knownIds.has(id);
    run.keys.push(...keys);
    run.created += keys.filter(isNew).length;
    run.existing += keys.filter((key) => !isNew(key)).length;
  }

  /** The batch to retry: the same one if it may have been received, else the people that were not rejected. */
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

/** Without empty fields. */
function candidateOf({ email, name, externalId }) {
  return Object.fromEntries(Object.entries({ email, name, externalId }).filter(([, value]) => value));
}
