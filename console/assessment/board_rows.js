// Data for the board's rows: results, and candidates' addresses, keys and invitations.

import * as api from "../shared/api.js";

const FIRST_PAGE = 100; // smaller, so that it is there sooner
const PAGE = 200;
export const MAX_ROWS = 1000;

/** Yield result pages from a cursor: `[rows, next]`. */
export async function* resultPages(assessmentId, query, { after = null, signal } = {}) {
  let limit = after ? PAGE : FIRST_PAGE;
  do {
    const page = await api.get(`/v1/assessments/${assessmentId}/results`, { query: { ...query, limit, after }, signal });
    after = page.next;
    limit = PAGE;
    yield [page.results, page.next];
  } while (after);
}

/** Load all results, unfiltered, up to MAX_ROWS. */
export async function allResults(assessmentId, { signal } = {}) {
  const rows = [];
  for await (const [results] of resultPages(assessmentId, {}, { signal })) {
    rows.push(...results);
    if (rows.length >= MAX_ROWS) break;
  }
  return rows;
}

/** Load an assessment's candidates by id, up to MAX_ROWS. Excludes revoked candidates; `status` filters. */
export async function loadCandidates(assessmentId, { status, signal } = {}) {
  const candidates = new Map();
  let after = null;
  do {
    const page = await api.get("/v1/candidates", { query: { assessmentId, status, limit: PAGE, after }, signal });
    for (const candidate of page.candidates) candidates.set(candidate.id, candidate);
    after = page.next;
  } while (after && candidates.size < MAX_ROWS);
  return candidates;
}
