/** What the three kinds of requests share: checks, `admit`, `authorize`, the owner's quota, and the answer to an error. */
import { findOwner, findRefusal } from "../core/authorize.ts";
import type { ErrorContext, RequestContext } from "../core/context.ts";
import { ChatHandlerError, createErrorResponse, toChatHandlerError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { AnswerKey, Protocol } from "../core/protocol.ts";
import { reportError } from "../core/report-error.ts";
import { checkRequest } from "../core/usage-error.ts";
import { c1 } from "../protocols/c1/protocol.ts";
import type { ChatSettings } from "./options.ts";
import type { LeaveQuota } from "./owner-quota.ts";
import { streamLog } from "./stream-log.ts";

/** One request, as far as it has come. */
export class RequestScope {
  readonly request: Request;
  readonly settings: ChatSettings;
  /** How the client is answered. */
  protocol: Protocol = c1;
  #owner = "";
  #context: ErrorContext;
  #leaveQuota: LeaveQuota | undefined;
  #log: EventLog | undefined;

  constructor(request: Request, settings: ChatSettings) {
    this.request = request;
    this.settings = settings;
    this.#context = { request };
  }

  /** Asks the app who the request is from. Takes a place in the owner's quota. Returns a refusal as it is. */
  async authorize(context: RequestContext): Promise<{ owner: string } | Response> {
    const { authorize, quota, timeouts } = this.settings;
    const { prompt } = context;
    // Each function of the app receives a copy: what it changes there changes nothing here.
    this.#context = { ...context };
    const authorized = await findOwner(timeouts.authorize, () => authorize({ ...context, ...(prompt && { prompt: { ...prompt } }) }));
    if (!("owner" in authorized)) return authorized;
    const { owner } = authorized;
    this.#owner = owner;
    this.#context = { ...context, owner };
    this.#leaveQuota = quota(owner);
    return { owner };
  }

  /** Streams a log as the response, from an offset of its body in bytes. */
  async stream(log: EventLog, answer: AnswerKey, offset = 0): Promise<Response> {
    this.#log = log;
    const { protocol, request, settings } = this;
    return streamLog(log, {
      request,
      owner: this.#owner,
      answer,
      protocol,
      offset,
      flushInterval: settings.flushInterval ?? protocol.flushInterval,
      readTimeout: settings.timeouts.read,
      unreadAnswers: settings.unreadAnswers,
      onFinished: this.#leaveQuota ?? (() => {}),
    });
  }

  /** Whether a log failed because its other readers had left when this client came. No client sees that. */
  isAbandoned(error: unknown): boolean {
    return toChatHandlerError(error).code === "client_gone" && !this.request.signal?.aborted;
  }

  /** Forgets a log that failed before its first byte, and whose request goes on. */
  dropLog(): void {
    this.#log = undefined;
  }

  /** Gives the place in the quota back, once the turn has ended. */
  leave(): void {
    const leave = this.#leaveQuota;
    if (leave) void Promise.resolve(this.#log?.ended).then(leave);
  }

  /** The response for an error. */
  fail(thrown: unknown, allow: string): Response {
    this.leave();
    const error = toChatHandlerError(thrown);
    // A turn reports its own error: once, for all who follow it.
    if (error !== this.#log?.end?.error) reportError(this.settings.onError, error, this.#context);
    return this.settings.showErrors ? this.protocol.errorResponse(error) : createErrorResponse(error, allow);
  }
}

/** Answers a request of one method. Never rejects. */
export async function handleRequest(
  request: Request,
  method: "GET" | "POST",
  settings: ChatSettings,
  answer: (scope: RequestScope) => Promise<Response>,
): Promise<Response> {
  const scope = new RequestScope(request, settings);
  try {
    checkRequest(request);
    if (request.method !== method) throw new ChatHandlerError("method_not_allowed", `Use ${method}.`);
    const { admit, timeouts } = settings;
    const refusal = admit && (await findRefusal(timeouts.authorize, () => admit({ request })));
    return refusal ?? (await answer(scope));
  } catch (thrown) {
    return scope.fail(thrown, method);
  }
}
