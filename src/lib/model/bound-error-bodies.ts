/**
 * Bounds what a client reads of an error response. The `openai` package reads such a body to its end, whatever its size: 292 kB of gzip
 * become 300 MB of text.
 */

type Fetch = typeof fetch;

/** Most bytes of an error body, after decompression. The error of every provider fits. */
const maxBytes = 16 * 1024;
/** How long an error body may take to arrive, in milliseconds. */
const maxTime = 5_000;

const bounded = new WeakSet<Fetch>();

/**
 * Makes an `OpenAI` client cut the bodies of error responses. Sets its `fetch`, once: a copy of the client would miss what the app changes
 * later, such as its API key. A client that has no `fetch` of its own stays as it is.
 */
export function boundErrorBodies(client: object): void {
  const fetching = Object.getOwnPropertyDescriptor(client, "fetch");
  if (typeof fetching?.value !== "function" || !fetching.writable || bounded.has(fetching.value as Fetch)) return;
  const original = fetching.value as Fetch;
  const boundedFetch: Fetch = async (...call) => cutErrorBody(await original(...call));
  bounded.add(boundedFetch);
  Object.assign(client, { fetch: boundedFetch });
}

function cutErrorBody(response: Response): Response {
  const { ok, body, status, statusText, headers } = response;
  if (ok || !body) return response;
  return new Response(cut(body), { status, statusText, headers });
}

/** The beginning of a body. Its rest is cancelled, which closes the connection. */
function cut(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let left = maxBytes;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function end(controller: ReadableStreamDefaultController<Uint8Array>): void {
    clearTimeout(timer);
    if (left < 0) return;
    left = -1;
    controller.close();
    reader.cancel().catch(() => {});
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        timer ??= setTimeout(end, maxTime, controller);
        const { done, value } = await reader.read();
        if (left < 0) return;
        if (value) controller.enqueue(value.subarray(0, left));
        left -= value?.byteLength ?? 0;
        if (done || left <= 0) {
          left = 0;
          end(controller);
        }
      },
      cancel(reason) {
        clearTimeout(timer);
        left = -1;
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
