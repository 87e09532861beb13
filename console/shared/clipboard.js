// The clipboard, which a browser may refuse, and does over plain http.

/** Copy a text; resolves to whether the browser allowed it. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
