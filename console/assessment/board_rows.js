// Data for the board's rows: results, and candidates with their keys and invitations.

import * as api from "../shared/api.js";

const FIRST_PAGE_SIZE = 100; // smaller, so it loads faster
const PAGE_SIZE = 200;
export const MAX_ROWS = 1000;

/** Yield pages of results, starting at a cursor: `[rows, next]`. */
export async function* resultPages(assessmentId, query, { after = null, signal } = {}) {
  let limit = after ? PAGE_SIZE : FIRST_PAGE_SIZE;
  do {
    const page = await api.get(`/v1/assessments/${assessmentId}/results`, { query: { ...query, limit, after }, signal });
    after = page.next;
    limit = PAGE_SIZE;
    yield [page.results, page.next];
  } while (after);
}

/** Load all results without filters, up to MAX_ROWS. */
export async function loadResults(assessmentId, { signal } = {}) {
  const rows = [];
  for await (const [results] of resultPages(assessmentId, {}, { signal })) {
    rows.push(...results);
    if (rows.length >= MAX_ROWS) break;
  }
  return rows;
}

/** Load an assessment's candidates as a Map by id, up to MAX_ROWS. Excludes revoked candidates. */
export async function loadCandidates(assessmentId, { status, signal } = {}) {
  const candidates = new Map();
  let after = null;
  do {
    const page = await api.get("/v1/candidates", { query: { assessmentId, status, limit: PAGE_SIZE, after }, signal });
    for (const candidate of page.candidates) candidates.set(candidate.id, candidate);
    after = page.next;
  } while (after && candidates.size < MAX_ROWS);
  return candidates;
}
