// The clipboard. Browsers can deny access to it, and do over plain HTTP.

/** Copy a text; resolves to whether the browser allowed it. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
