/** The requests of this folder. */

/** Options of every request. */
export interface HttpOptions {
  /** Further headers of each request, or a function that returns them, for example with a new token. @default none */
  headers?: Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>) | undefined;
  /** Sends the requests. @default `fetch`, which includes the cookies of the same origin */
  fetch?: typeof fetch | undefined;
}

/** One request. */
interface HttpRequest {
  method?: string;
  /** Sent as JSON. */
  body?: object | undefined;
  signal?: AbortSignal | undefined;
  /** Whether the request outlives the page. */
  keepalive?: boolean;
}

/** Sends a request. Resolves to a response of any status. */
export type SendRequest = (url: string, request?: HttpRequest) => Promise<Response>;

/** Returns a function that sends requests with the app's headers. */
export function createSender({ headers, fetch: sendRequest = fetch }: HttpOptions): SendRequest {
  return async (url, { method = "GET", body, signal, keepalive = false } = {}) => {
    const furtherHeaders = typeof headers === "function" ? await headers() : headers;
    return sendRequest(url, {
      method,
      headers: { ...(body && { "Content-Type": "application/json" }), ...furtherHeaders },
      body: body ? JSON.stringify(body) : null,
      ...(signal && { signal }),
      ...(keepalive && { keepalive }),
    });
  };
}

/** The error that a handler returned as JSON. `undefined` if the response is from something in front of it. */
export async function readError(response: Response): Promise<{ message?: string; code?: string } | undefined> {
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string; code?: string } } | null | undefined;
  return body?.error;
}
