// Clipboard access. Browsers can deny it, and always do over plain HTTP.

/** Copy text. Resolves to false if the browser denies access. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
