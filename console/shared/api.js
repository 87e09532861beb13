// Requests to the public API, authenticated by the session cookie.

const ROOT = document.documentElement.dataset.root;
/** Whether the service has the optional package `integrations`. */
export const HAS_INTEGRATIONS = "integrations" in document.body.dataset;
const TIMEOUT_MS = 30_000;
const DOWNLOAD_TIMEOUT_MS = 3_600_000;
/** For requests during which the service calls another system. */
export const SYSTEM_TIMEOUT_MS = 90_000;
const PAGE_SIZE = 200;
// Other windows can read large sessions.
const MAX_ATTEMPTS = 3;
// A rate limit can ask for an hour.
const MAX_RETRY_SECONDS = 10;
const LOST_KEY_LIFETIME_MS = 10 * 60_000;
const WHOLE_SESSION = /^\/v1\/(sessions\/(?!.*\/(scores|notes|cohort-stats)$).|candidates\/[^/]+\/decision-warnings$)/;

/** An error response, or a network failure (`status` 0). `details`, or `entries` in conflicts, lists `{path, message}`. */
export class ApiError extends Error {
  constructor(status, body = {}) {
    const names = (body?.assessments ?? []).map(({ title }) => `“${title}”`);
    super([body?.error, names.join(", ")].filter(Boolean).join(" "));
    this.status = status;
    this.code = body?.code ?? "unreachable";
    this.details = body?.details ?? body?.entries ?? [];
  }
}

/** The signed-in caller's id from `GET /v1/me`: the person, or a service account's token. */
export const callerId = (me) => me.person?.id ?? me.id;

/** ApiError code: the sign-in has ended. */
export const SIGNED_OUT = "signed_out";

/** Dispatches `signed-out` with the ApiError as `detail`. */
export const signedOut = new EventTarget();

/** Get a response body. `query` omits null, undefined and "", and repeats a parameter for each item of an array. */
export function get(path, { query, signal, timeoutMs } = {}) {
  const send = () => json("GET", path + queryString(query), { signal, timeoutMs });
  return WHOLE_SESSION.test(path) ? queueRead(() => retryWhenBusy(send, signal)) : send();
}

/** Call `send` again when the service rejects it because of the caller's other reads. */
export async function retryWhenBusy(send, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      if (error.code !== "too_many_requests" || attempt === MAX_ATTEMPTS || error.retrySeconds > MAX_RETRY_SECONDS) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, error.retrySeconds * 1000);
        signal?.addEventListener("abort", resolve, { once: true });
      });
      signal?.throwIfAborted();
    }
  }
}

/** Get a response body with its `etag`, for a change with `If-Match`. */
export async function getWithEtag(path, { signal } = {}) {
  const response = await request("GET", path, { signal });
  return { ...(await read(() => response.json(), signal)), etag: response.headers.get("ETag") };
}

let lastRead = Promise.resolve();

/**
 * Call `send` after the previous reads of whole sessions. The service runs one such read per caller, lets one more wait,
 * and rejects others; another window, and a response that the service has not ended yet, also count.
 */
export function queueRead(send) {
  const read = lastRead.then(send);
  lastRead = read.catch(() => {});
  return read;
}

// By request, with the time. Soon after, sending a request again whose outcome is unknown must not repeat the change.
const lostKeys = new Map();

function lostKey(request) {
  const { key, at } = lostKeys.get(request) ?? {};
  return Date.now() - at < LOST_KEY_LIFETIME_MS ? key : null;
}

/** Send a POST with an idempotency key, by default a new one, or that of the same request whose outcome is unknown. */
export async function post(path, body, { key, headers, ...options } = {}) {
  const request = `${path} ${JSON.stringify(body)}`;
  const sentKey = key ?? lostKey(request) ?? crypto.randomUUID();
  try {
    const response = await json("POST", path, { body, headers: { "Idempotency-Key": sentKey, ...headers }, ...options });
    lostKeys.delete(request);
    return response;
  } catch (error) {
    const isRejected = error.status >= 400 && error.status < 500 && error.code !== "in_progress";
    if (isRejected) lostKeys.delete(request);
    else lostKeys.set(request, { key: sentKey, at: Date.now() });
    throw error;
  }
}

export const put = (path, body, options = {}) => json("PUT", path, { body, ...options });
/** Send a file as it is. */
export async function upload(path, file, type) {
  const response = await request("PUT", path, { body: file, headers: { "Content-Type": type }, timeoutMs: DOWNLOAD_TIMEOUT_MS });
  return read(() => response.json());
}

export const patch = (path, body, options = {}) => json("PATCH", path, { body, ...options });
export const remove = (path, options = {}) => json("DELETE", path, options);

/** Load every page of a list: `all("/v1/candidates", "candidates")`. */
export async function all(path, field, { query, signal } = {}) {
  const objects = [];
  let after = null;
  do {
    const page = await get(path, { query: { limit: PAGE_SIZE, ...query, after }, signal });
    objects.push(...page[field]);
    after = page.next;
  } while (after);
  return objects;
}

/** Save a response as a file. `name` is the default file name. */
export async function download(path, { query, name } = {}) {
  const response = await request("GET", path + queryString(query), { timeoutMs: DOWNLOAD_TIMEOUT_MS });
  const filename = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  saveAs(await read(() => response.blob()), filename?.[1] ?? name);
}

/** Save a Blob as a file. */
export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Send a request. Throws ApiError. The timeout includes reading the response body. */
export async function request(method, path, { body, headers = {}, signal, timeoutMs = TIMEOUT_MS } = {}) {
  const options = { method, headers: { ...headers, "X-Proofstone-Console": "1" }, cache: "no-store" };
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const timeout = AbortSignal.timeout(timeoutMs);
  options.signal = signal ? AbortSignal.any([signal, timeout]) : timeout;
  let response;
  try {
    response = await fetch(ROOT + path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
  if (response.ok) return response;
  const error = new ApiError(response.status, await response.json().catch(() => ({})));
  error.retrySeconds = Number(response.headers.get("Retry-After"));
  // On the sign-in page, 401 means that the pasted token is invalid.
  if (error.status === 401 && path !== "/v1/sign-in") {
    error.code = SIGNED_OUT;
    signedOut.dispatchEvent(new CustomEvent("signed-out", { detail: error }));
  }
  throw error;
}

async function json(method, path, options) {
  const response = await request(method, path, options);
  return read(() => response.json(), options.signal);
}

/** Read a body. The connection can still fail, and a proxy can respond with HTML. */
export async function read(readBody, signal) {
  try {
    return await readBody();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0);
  }
}

function queryString(query = {}) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((item) => [name, item]));
  const parameters = new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return parameters.size ? `?${parameters}` : "";
}
