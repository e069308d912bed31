/** `createChatHandler`: a chat endpoint as three functions of a request. */
import { answerPrompt } from "./answer-prompt.ts";
import { type ChatHandlerOptions, resolveChatOptions } from "./options.ts";
import { createOwnerQuota } from "./owner-quota.ts";
import { handleRequest } from "./request-scope.ts";
import { resumeTurn } from "./resume-turn.ts";
import { stopTurn } from "./stop-turn.ts";

/** A chat endpoint: receives a `Request` with a prompt and returns its `Response`. Never rejects. */
export interface ChatHandler {
  (request: Request): Promise<Response>;
  /**
   * Comes back to an answer, on any instance that shares the coordinator: after a reload, from a second tab, or after the network was
   * lost. Mount it for GET. Never rejects.
   *
   * Answers `GET ?threadId=&responseId=&offset=` with the answer that runs from its beginning, or with a complete one. `offset` continues from a
   * cursor: the `X-Chat-Handler-Offset` header of a response is the cursor of its first byte; add the bytes that you received to its number.
   * Without `responseId`, it is the turn that runs on the thread; `X-Chat-Handler-Response-Id` names it, percent-encoded.
   *
   * 204: nothing runs, and there is no complete answer. 410 `cursor_gone`: the answer was written again, so start from its beginning.
   *
   * @example
   * export const GET = chat.resume;
   */
  resume(request: Request): Promise<Response>;
  /**
   * Stops a turn, on any instance that shares the coordinator. The model call is aborted, and the partial answer is stored as
   * `stopped`. Mount it for POST. Never rejects.
   *
   * Answers `POST { threadId, responseId }` with 204 once the turn is stopped and stored, or if nothing ran; with 202 if that takes longer. A stop that
   * overtakes its prompt waits two minutes for it. Sending it again is safe. Without `responseId`, it stops the turn that runs on the thread, and no other.
   *
   * @example
   * export const POST = chat.stop;
   */
  stop(request: Request): Promise<Response>;
}

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
  // A card would look like text of the answer to a client that resumes.
  const withoutCards = { ...settings, showErrors: false };
  // An owner whose turns fill its quota can stop them.
  const forStops = { ...withoutCards, quota: createOwnerQuota(settings.limits.turnsPerOwner) };

  return Object.assign((request: Request) => handleRequest(request, "POST", settings, answerPrompt), {
    resume: (request: Request) => handleRequest(request, "GET", withoutCards, resumeTurn),
    stop: (request: Request) => handleRequest(request, "POST", forStops, stopTurn),
  });
}
