/** `createChatHandler`: wires the parts, decides nothing. */
import { findOwner } from "../core/authorize.ts";
import { errorCard } from "../protocols/c1/error-card.ts";
import { asChatHandlerError, ChatHandlerError, errorResponse } from "../core/errors.ts";
import { guardStore, report } from "../core/guard-store.ts";
import { misuse } from "../core/options-check.ts";
import { type ChatHandlerOptions, type ErrorContext, resolveOptions, type TurnContext } from "./options.ts";
import { readChatRequest } from "../core/read-request.ts";
import { conflict } from "../turn/existing-turn.ts";
import { asksSame } from "../core/prompt.ts";
import { runningTurnsOn } from "../coordination/local.ts";
import { TextReader } from "../protocols/c1/text-response.ts";
import { Turn } from "../turn/turn.ts";

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
export function createChatHandler(options: ChatHandlerOptions): ChatHandler {
  const settings = resolveOptions(options, arguments.length);
  const turns = runningTurnsOn(settings.store);
  settings.store = guardStore(settings.store, settings.timeouts.store);

  return async (request) => {
    /** For the app's functions: what they set in it changes nothing, but in the prompt. */
    let known: ErrorContext = { request };
    let turn: Turn | undefined;
    try {
      if (!request.headers?.get) misuse("pass a Request (Hono: context.req.raw)");
      if (request.method !== "POST") throw new ChatHandlerError("method_not_allowed", "Use POST.");
      const asked = await readChatRequest(request, settings.limits, settings.timeouts.body);
      const said = (known = { ...asked });
      const authorized = await findOwner(() => settings.authorize?.(said));
      if (!("owner" in authorized)) return authorized;
      const context: TurnContext = (known = { ...asked, ...authorized });
      const running = turns.find(context);
      if (running && (running.asked.id !== asked.prompt.id || !asksSame(running.asked.message, asked.prompt))) throw conflict("responseId");
      turn = running ?? new Turn(context, settings, turns);
      const reader = new TextReader(turn.answer, request);
      // Waiting for the turn also keeps alive a request that has joined one: workerd ends those that wait for nothing of their own.
      void turn.over.then(() => reader.unfollow());
      return await reader.respond();
    } catch (thrown) {
      const error = asChatHandlerError(thrown);
      // A turn reports its own errors, once for all who joined it.
      if (!turn) report(settings, error, known);
      return settings.showErrors ? errorCard(error) : errorResponse(error);
    }
  };
}
