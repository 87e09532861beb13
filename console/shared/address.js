// The address of a page after the `#`: a path, and a query that says how the page is shown.

export const HOME = "/assessments";

/** Keep filters or the open part in the address of a page, unless another page is already loading. */
export function keepInAddress(path, query) {
  if ((location.hash.split("?")[0] || `#${HOME}`) !== `#${path}`) return;
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  history.replaceState(null, "", `#${path}${parameters.size ? `?${parameters}` : ""}`);
}
