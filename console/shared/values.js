// Comparison of form values with the API's.

/** True if two values are equal. Null and undefined are equal. */
export function isEqual(value, other) {
  return JSON.stringify(value ?? null) === JSON.stringify(other ?? null);
}

/** Return the values that differ from `before`, so that a PATCH keeps what someone else has changed. */
export function changedValues(values, before) {
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => !isEqual(value, before[name])));
}
