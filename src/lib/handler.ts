/** `createChatHandler`: wires the parts, decides nothing. */
import { errorCard } from "./error-card.ts";
import { asChatHandlerError, ChatHandlerError, errorResponse } from "./errors.ts";
import { guardApp } from "./guarded-store.ts";
import { type Authorized, type ChatHandlerOptions, type ErrorContext, type RequestContext, resolveOptions, type Settings } from "./options.ts";
import { readChatRequest } from "./request.ts";
import { sameJson } from "./earlier.ts";
import { runningTurnsOn } from "./running-turns.ts";
import { textResponse } from "./text-response.ts";
import { startTurn, type Turn } from "./turn.ts";

/** A chat endpoint: give it a `Request`, get the `Response`. Never rejects. */
export type ChatHandler = (request: Request) => Promise<Response>;

/**
 * Makes a chat endpoint from a store and a model.
 *
 * The handler answers `POST { prompt: { id, role: "user", content }, threadId, responseId }` (what `<C1Chat>` sends) with the answer
 * as streamed text. A clean end means that the whole answer is stored; whatever else happens errors the stream or, before the first
 * byte, gives an error status with `{ error: { message, type, code, param? } }`. Sending the same ids again is always safe: a complete
 * answer is replayed, a running one joined, a broken one made anew.
 *
 * @throws TypeError where the options make no sense; the message names the remedy.
 */
export function createChatHandler(options: ChatHandlerOptions, ...extra: never[]): ChatHandler {
  const settings = resolveOptions(options, extra);
  const turns = runningTurnsOn(settings.store);

  const findOrStart = (context: RequestContext & Authorized): Turn => {
    const running = turns.find(context, context.responseId);
    if (!running) {
      const turn = startTurn(context, settings, turns, (error) => report(settings, error, context));
      void guardApp("waitUntil", () => settings.waitUntil?.(turn.settled)).catch((error: ChatHandlerError) => report(settings, error, context));
      return turn;
    }
    if (running.prompt.id !== context.prompt.id || !sameJson(running.prompt.content, context.prompt.content)) {
      throw new ChatHandlerError("id_conflict", "responseId names the answer to another prompt; make a new id for each.", { param: "responseId" });
    }
    return running;
  };

  return async (request) => {
    const known: ErrorContext = { request };
    let turn: Turn | undefined;
    try {
      if (request.method !== "POST") throw new ChatHandlerError("method_not_allowed", "Use POST.");
      Object.assign(known, await readChatRequest(request, settings.limits, settings.timeouts.body));
      const context = known as RequestContext;
      const authorized = await authorize(settings, context);
      if (authorized instanceof Response) return authorized;
      Object.assign(known, authorized);
      turn = findOrStart({ ...context, ...authorized });
      const reader = turn.join();
      const leave = () => reader.leave(new ChatHandlerError("client_gone", "The client left."));
      if (request.signal.aborted) leave();
      request.signal.addEventListener("abort", leave, { once: true });
      // Holding the request here also keeps it from the garbage collector, which in Node would take its signal along.
      void turn.settled.then(() => request.signal.removeEventListener("abort", leave));
      await reader.opened();
      return textResponse(reader, leave);
    } catch (thrown) {
      const error = asChatHandlerError(thrown, "internal", "Something went wrong.");
      // A turn reports its own errors, once for all who joined it.
      if (!turn && error.code !== "client_gone") report(settings, error, known);
      if (settings.showErrors && error.code !== "client_gone") return errorCard(error);
      return errorResponse(error, error.code === "method_not_allowed" ? { Allow: "POST" } : undefined);
    }
  };
}

async function authorize({ authorize, timeouts }: Settings, context: RequestContext): Promise<Authorized | Response> {
  if (!authorize) return { owner: "" };
  const found = await guardApp("authorize", () => authorize(context));
  if (found === undefined) return { owner: "" };
  if (found instanceof Response) return found;
  // Fail closed: a slip here would show one person the threads of another.
  if (typeof found?.owner !== "string") {
    throw new ChatHandlerError("internal", "Something went wrong.", {
      cause: new TypeError("`authorize` must return { owner: string }, a Response or undefined."),
    });
  }
  return { owner: found.owner };
}

/** Tells the app of an error; what its hook does changes nothing. */
function report({ onError }: Settings, error: ChatHandlerError, context: ErrorContext): void {
  void guardApp("onError", () => onError(error, context)).catch(() => {});
}
