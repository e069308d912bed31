/** The clients: they send prompts, come back to answers, and stop them, on any instance. */
import { ChatHandlerError, type ThreadKey } from "../../../src/index.ts";
import { runAsRequest } from "../current-request.ts";
import { ownerHeader } from "../server.ts";
import type { AnswerRules } from "./answer-rules.ts";
import type { Instance } from "./instance.ts";
import type { ClientRequest, InstancesLedger } from "./ledger.ts";

/** What a client asks for. */
export interface Asked {
  kind: ClientRequest["kind"];
  thread: ThreadKey;
  promptId: string;
  content: string;
  /** Empty for whatever runs. */
  responseId: string;
  cursor?: string | undefined;
}

/** Sends a request to an instance. */
export function send(asked: Asked, isReading: boolean, instance: Instance, ledger: InstancesLedger, rules: AnswerRules): ClientRequest {
  const { schedule, clock, requests, now } = ledger;
  const number = requests.length;
  const aborter = new AbortController();
  let body: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let withdraw = () => {};
  let reads = isReading;

  const fail = (error: unknown) => {
    if (instance.isDead || request.outcome) return;
    if (!(error instanceof ChatHandlerError)) schedule.break("answers fail with a ChatHandlerError", String(error));
    rules.ended(request, error instanceof ChatHandlerError ? error.code : "unknown");
  };
  const offerRead = () => {
    if (!body || !reads || request.hasDisconnected || request.outcome) return;
    const from = body;
    withdraw = instance.offer(
      `request ${number} reads`,
      () =>
        void from.read().then(({ done, value }) => {
          if (instance.isDead || request.hasDisconnected) return;
          request.readAt = clock.time;
          if (done) return rules.ended(request, "clean");
          rules.received(request, value);
          offerRead();
        }, fail),
    );
  };

  const request: ClientRequest = {
    ...asked,
    number,
    instance,
    hasCursor: asked.cursor !== undefined,
    startedAt: now(),
    attempt: undefined,
    offset: 0,
    received: Buffer.alloc(0),
    readAt: clock.time,
    hasDisconnected: false,
    isAnswered: false,
    outcome: undefined,
    read() {
      if (reads) return;
      reads = true;
      offerRead();
    },
    disconnect(how) {
      request.hasDisconnected = true;
      withdraw();
      instance.reach(`request ${number} disconnects`, () => {
        if (how === "abort" || !body) aborter.abort();
        else void body.cancel().catch(fail);
      });
    },
  };
  requests.push(request);

  const answered = async (response: Response) => {
    request.isAnswered = true;
    if (instance.isDead) return;
    const { status, headers } = response;
    if (!response.ok) {
      const { error } = (await response.json()) as { error: { code: string } };
      return rules.ended(request, error.code);
    }
    if (status === 204) return rules.ended(request, "empty");
    if (status === 202) return rules.ended(request, "accepted");
    const [attempt, offset] = (headers.get("X-Chat-Handler-Offset") ?? "").split("_");
    request.attempt = attempt;
    request.offset = Number(offset);
    const isThere = asked.cursor === undefined || asked.cursor === `${attempt}_${request.offset}`;
    if (!isThere)
      schedule.break("a resume continues at its cursor", `request ${number} asked for ${asked.cursor}, not ${attempt}_${offset}`);
    request.responseId = decodeURIComponent(headers.get("X-Chat-Handler-Response-Id") ?? "");
    body = response.body?.getReader();
    offerRead();
  };
  instance.reach(`request ${number} arrives`, () => {
    const { handler } = instance;
    const handle = { prompt: handler, resume: handler.resume, stop: handler.stop }[asked.kind];
    runAsRequest(number, () => handle(createRequest(asked, aborter.signal))).then(answered, (error: unknown) =>
      schedule.break("a handler never rejects", String(error)),
    );
  });
  return request;
}

function createRequest({ kind, thread, promptId, content, responseId, cursor }: Asked, signal: AbortSignal): Request {
  const { threadId } = thread;
  const headers = { "Content-Type": "application/json", [ownerHeader]: thread.owner };
  const url = new URL("http://chat.test/api/chat");
  if (kind === "resume") {
    url.searchParams.set("threadId", threadId);
    if (responseId) url.searchParams.set("responseId", responseId);
    if (cursor !== undefined) url.searchParams.set("offset", cursor);
    return new Request(url, { headers, signal });
  }
  const body =
    kind === "stop"
      ? { threadId, ...(responseId && { responseId }) }
      : { prompt: { id: promptId, role: "user", content }, threadId, responseId };
  return new Request(url, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** Where a client continues that has received a part. */
export const cursorOf = ({ attempt, offset, received }: ClientRequest): string | undefined =>
  attempt === undefined ? undefined : `${attempt}_${offset + received.length}`;
