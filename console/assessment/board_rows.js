// Data for the board's rows: results of an assessment, or of the organization.

import * as api from "../shared/api.js";

const FIRST_PAGE_SIZE = 50; // smaller, so it loads faster
export const PAGE_SIZE = 150;
// Laying out more rows blocks slow computers for more than 100 ms.
export const MAX_ROWS = 200;

/** The path of an assessment's results; of all results for null. */
export const resultsPath = (assessmentId) => (assessmentId ? `/v1/assessments/${assessmentId}/results` : "/v1/results");

/** Yield pages of results, starting at a cursor: `[rows, next]`. */
export async function* resultPages(assessmentId, query, { after = null, signal } = {}) {
  let limit = after ? PAGE_SIZE : FIRST_PAGE_SIZE;
  do {
    const page = await api.get(resultsPath(assessmentId), { query: { ...query, limit, after }, signal });
    after = page.next;
    limit = PAGE_SIZE;
    yield [page.results, page.next];
  } while (after);
}
