/** Reads the body of a request: bounded in size and time, JSON only. */
import { within } from "./async.ts";
import { asChatHandlerError, ChatHandlerError, clientGone, invalid } from "./errors.ts";
import type { Limits, RequestContext } from "../chat/options.ts";
import { parseId, parsePrompt, parseRecord } from "./validate.ts";

/** Reads and checks a chat request. Throws a `ChatHandlerError` that names what is wrong. */
export async function readChatRequest(request: Request, limits: Limits, bodyTimeout: number): Promise<RequestContext> {
  const body = parseRecord(await readJson(request, limits.bodyBytes, bodyTimeout), "");
  const prompt = parsePrompt(body["prompt"], "prompt", limits);
  const threadId = parseId(body["threadId"], "threadId", limits);
  const responseId = parseId(body["responseId"], "responseId", limits);
  if (prompt.id === responseId) throw invalid("responseId", "must differ from prompt.id");
  return { request, threadId, responseId, prompt };
}

/** The JSON of a body: of no more than `limit` bytes, and no longer waited for than `timeout` milliseconds. */
export async function readJson(request: Request, limit: number, timeout: number): Promise<unknown> {
  const { headers } = request;
  // Only JSON: a form post, which a browser sends across origins without asking, must not get here with its cookies.
  if (!/^application\/json\s*(;|$)/i.test(headers.get("Content-Type") ?? "")) {
    throw new ChatHandlerError("unsupported_media_type", "Send the body as application/json.");
  }
  const length = headers.get("Content-Length") ?? "";
  // A server holds its client to a length that was declared, and gives such a body whole for far less than a stream of it. It is not that
  // of a body which an adapter has unpacked.
  const isBounded = /^\d+$/.test(length) && Number(length) <= limit && !headers.has("Content-Encoding");
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let size = 0;
  const next = async () => (reader ? reader.read() : { done: true, value: await request.arrayBuffer() });
  const read = async () => {
    if (!isBounded) reader = request.body?.getReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let text = "";
    for (;;) {
      const { done, value } = await next().catch((cause: unknown) => {
        throw size > 0 || request.signal?.aborted ? clientGone() : cause; // else it was read before
      });
      size += value?.byteLength ?? 0;
      if (size > limit) throw new ChatHandlerError("body_too_large", `The body is larger than ${limit} bytes.`);
      text += decoder.decode(value, { stream: !done });
      if (done) return JSON.parse(text) as unknown;
    }
  };
  try {
    return await within(timeout, read(), () => new ChatHandlerError("invalid_request", `The body took longer than ${timeout} ms.`));
  } catch (cause) {
    void reader?.cancel(cause).catch(() => {});
    throw asChatHandlerError(
      cause,
      "invalid_json",
      size > 0 ? "The body is not JSON in UTF-8." : "There is no body, or it was read before.",
    );
  }
}
