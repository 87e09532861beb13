// The URL's fragment: the page's path, and a query with the page's state.

export const HOME = "/assessments";

/** Store the page's state in the URL, unless another page is already loading. */
export function updateUrlQuery(path, query) {
  if ((location.hash.split("?")[0] || `#${HOME}`) !== `#${path}`) return;
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  history.replaceState(null, "", `#${path}${parameters.size ? `?${parameters}` : ""}`);
}
