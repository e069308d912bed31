/** `createChatHandler`: one request's way through the rooms. */
import { findOwner, findRefusal } from "../core/authorize.ts";
import type { ErrorContext, TurnContext } from "../core/context.ts";
import { ChatHandlerError, createErrorResponse, toChatHandlerError } from "../core/errors.ts";
import type { EventLog } from "../core/event-log.ts";
import type { Protocol } from "../core/protocol.ts";
import { readJson } from "../core/read-request.ts";
import { reportError } from "../core/report-error.ts";
import { throwUsageError } from "../core/usage-error.ts";
import { parseRecord } from "../core/validate.ts";
import { c1 } from "../protocols/c1/protocol.ts";
import { openLog } from "./open-log.ts";
import { type ChatHandlerOptions, resolveChatOptions } from "./options.ts";
import type { LeaveQuota } from "./owner-quota.ts";
import { parseBody } from "./parse-body.ts";
import { streamLog } from "./stream-log.ts";

/** A chat endpoint: receives a `Request` and returns its `Response`. Never rejects. */
export type ChatHandler = (request: Request) => Promise<Response>;

/**
 * Creates a chat endpoint from a store and a model.
 *
 * The handler answers `POST { prompt: { id, role: "user", content }, threadId, responseId }`, which `<C1Chat>` sends, with the answer as streamed
 * text. A clean end means that the whole answer is stored. Any failure breaks the stream or, before the first byte, returns an error status with
 * `{ error: { message, type, code, param? } }`. Sending the same ids again is always safe: a complete answer is replayed, a running one is
 * followed, and a partial one is replaced by a new answer.
 *
 * @throws TypeError for options that make no sense. The message names the fix.
 *
 * @example
 * export const POST = createChatHandler({ store: createMemoryStore(), client: new OpenAI(), model: "gpt-5-mini" });
 */
export function createChatHandler(options: ChatHandlerOptions): ChatHandler {
  const settings = resolveChatOptions(options);

  return async (request) => {
    let context: ErrorContext = { request };
    let protocol: Protocol = c1;
    let leave: LeaveQuota | undefined;
    let log: EventLog | undefined;
    try {
      checkRequest(request);
      const { admit } = settings;
      const refusal = admit && (await findRefusal(() => admit({ request })));
      if (refusal) return refusal;
      const body = parseRecord(await readJson(request, settings.limits.bodyBytes, settings.timeouts.body), "");
      const parsed = parseBody(body, settings);
      protocol = parsed.protocol;
      const { chatRequest } = parsed;
      const { threadId, responseId, prompt } = chatRequest;
      // Each function of the app receives a copy: what it changes there changes nothing here.
      const requestContext = { request, threadId, responseId, prompt };
      context = { ...requestContext };
      const authorized = await findOwner(() => settings.authorize({ ...requestContext, prompt: { ...prompt } }));
      if (!("owner" in authorized)) return authorized;
      const turnContext: TurnContext = { ...requestContext, ...authorized };
      context = { ...turnContext };
      leave = settings.quota(turnContext.owner);
      log = await openLog(turnContext, settings);
      return await streamLog(log, {
        request,
        owner: turnContext.owner,
        chatRequest,
        protocol,
        flushInterval: settings.flushInterval ?? protocol.flushInterval,
        readTimeout: settings.timeouts.read,
        unreadAnswers: settings.unreadAnswers,
        onFinished: leave,
      });
    } catch (thrown) {
      if (leave) void Promise.resolve(log?.ended).then(leave);
      const error = toChatHandlerError(thrown);
      // With a log there is a turn, which reports its errors itself: once, for all who follow it.
      if (!log) reportError(settings.onError, error, context);
      return settings.showErrors ? protocol.errorResponse(error) : createErrorResponse(error);
    }
  };
}

function checkRequest(request: Request): void {
  if (typeof request?.headers?.get !== "function") {
    throwUsageError("The handler needs a Request. Pass the framework's own: in Hono, that is `context.req.raw`.");
  }
  if (request.method !== "POST") throw new ChatHandlerError("method_not_allowed", "Use POST.");
}
