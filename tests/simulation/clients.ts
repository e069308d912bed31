/** The clients. Each sends a request, reads its answer in pieces, and may disconnect at any time. */
import { ChatHandlerError, type ChatHandler, type ThreadKey } from "../../src/index.ts";
import { runAsRequest } from "./current-request.ts";
import type { Reading } from "./plan.ts";
import type { ChatRequest, Process } from "./records.ts";
import type { Reference } from "./reference.ts";
import { ownerHeader } from "./server.ts";
import type { Schedule } from "./schedule.ts";

/** The content of a request. */
export type RequestBody = Pick<ChatRequest, "thread" | "promptId" | "content" | "responseId">;

/** Sends a request. A header contains the owner, like a session. */
export function send(
  asked: RequestBody,
  reading: Reading,
  process: Process,
  handler: ChatHandler,
  schedule: Schedule,
  reference: Reference,
): ChatRequest {
  const number = reference.ledger.requests.length;
  const aborter = new AbortController();
  const decoder = new TextDecoder();
  let body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let withdraw = () => {};
  let isReading = reading === "all";

  const fail = (error: unknown) => {
    if (process.isDead) return;
    if (!(error instanceof ChatHandlerError)) schedule.break("answers fail with a ChatHandlerError", String(error));
    reference.responses.responseEnded(request, error instanceof ChatHandlerError ? error.code : "unknown");
  };
  const offerRead = () => {
    if (!body || !isReading || request.hasDisconnected || request.outcome) return;
    const from = body;
    withdraw = schedule.offer(
      `request ${number} reads`,
      () =>
        void from.read().then(({ done, value }) => {
          if (process.isDead || request.hasDisconnected) return;
          request.readAt = performance.now();
          request.receivedText += done ? decoder.decode() : decoder.decode(value, { stream: true });
          reference.responses.textReceived(request);
          if (done) reference.responses.responseEnded(request, "clean");
          else offerRead();
        }, fail),
      process,
    );
  };

  const { thread, promptId, content, responseId } = asked;
  const request: ChatRequest = {
    thread,
    promptId,
    content,
    responseId,
    number,
    process,
    startedAt: { step: schedule.step, ms: performance.now() },
    receivedText: "",
    readAt: performance.now(),
    hasDisconnected: reading === "gone",
    isAnswered: false,
    outcome: undefined,
    read() {
      if (isReading) return;
      isReading = true;
      offerRead();
    },
    disconnect(how) {
      request.hasDisconnected = true;
      withdraw();
      if (how !== "cancel" || !body) aborter.abort();
      if (how !== "abort") void body?.cancel().catch(fail);
    },
  };
  reference.arrival.arrives(request);
  reference.ledger.requests.push(request);
  if (request.hasDisconnected) aborter.abort();

  const sent = new Request("http://chat.test/api/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json", [ownerHeader]: encodeURIComponent(thread.owner) },
    body: JSON.stringify({ prompt: { id: promptId, role: "user", content }, threadId: thread.threadId, responseId }),
    signal: aborter.signal,
  });
  runAsRequest(number, () => handler(sent)).then(
    async (response) => {
      request.isAnswered = true;
      if (process.isDead) return;
      if (response.ok) {
        body = response.body?.getReader();
        offerRead();
      } else {
        const { error } = (await response.json()) as { error: { code: string } };
        reference.responses.responseEnded(request, error.code);
      }
    },
    (error: unknown) => schedule.break("a handler never rejects", String(error)),
  );
  return request;
}

/** The text of a prompt contains its thread and id. */
export const promptText = (thread: ThreadKey, promptId: string, version = ""): string =>
  `${JSON.stringify([thread.owner, thread.threadId])} ${promptId}${version}`;
