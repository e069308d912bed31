/** The clients: each sends a request, takes its answer piece by piece, and may leave at any time. */
import { ChatHandlerError, type ChatHandler, type ThreadKey } from "../../src/index.ts";
import { underNumber } from "./asking.ts";
import type { Reading } from "./plan.ts";
import type { ChatRequest, Process } from "./records.ts";
import type { Reference } from "./reference.ts";
import { ownerHeader } from "./server.ts";
import type { Schedule } from "./schedule.ts";

/** What a request says. */
export type Asked = Pick<ChatRequest, "thread" | "promptId" | "content" | "responseId">;

/** Sends a request. The owner is told by a header, as a session would. */
export function send(
  asked: Asked,
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
    if (!(error instanceof ChatHandlerError)) schedule.break("answers fail with errors of ours", String(error));
    reference.shown.ends(request, error instanceof ChatHandlerError ? error.code : "unknown");
  };
  const offerRead = () => {
    if (!body || !isReading || request.hasLeft || request.outcome) return;
    const from = body;
    withdraw = schedule.offer(
      `request ${number} reads`,
      () =>
        void from.read().then(({ done, value }) => {
          if (process.isDead || request.hasLeft) return;
          request.shown += done ? decoder.decode() : decoder.decode(value, { stream: true });
          reference.shown.shows(request);
          if (done) reference.shown.ends(request, "clean");
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
    shown: "",
    hasLeft: reading === "gone",
    isAnswered: false,
    outcome: undefined,
    read() {
      if (isReading) return;
      isReading = true;
      offerRead();
    },
    leave(how) {
      request.hasLeft = true;
      withdraw();
      if (how !== "cancel" || !body) aborter.abort();
      if (how !== "abort") void body?.cancel().catch(fail);
    },
  };
  reference.arrival.arrives(request);
  reference.ledger.requests.push(request);
  if (request.hasLeft) aborter.abort();

  const sent = new Request("http://chat.test/api/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json", [ownerHeader]: encodeURIComponent(thread.owner) },
    body: JSON.stringify({ prompt: { id: promptId, role: "user", content }, threadId: thread.threadId, responseId }),
    signal: aborter.signal,
  });
  underNumber(number, () => handler(sent)).then(
    async (response) => {
      request.isAnswered = true;
      if (process.isDead) return;
      if (response.ok) {
        body = response.body?.getReader();
        offerRead();
      } else {
        const { error } = (await response.json()) as { error: { code: string } };
        reference.shown.ends(request, error.code);
      }
    },
    (error: unknown) => schedule.break("a handler never rejects", String(error)),
  );
  return request;
}

/** A prompt's text tells where it belongs. */
export const contentOf = (thread: ThreadKey, promptId: string, version = ""): string =>
  `${JSON.stringify([thread.owner, thread.threadId])} ${promptId}${version}`;
