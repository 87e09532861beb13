// The clipboard. Browsers can deny access, and always do over plain HTTP.

/** Copy a text; resolves to whether it was copied. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
