/** A request that stops a turn. */
import { settleWithin } from "../core/async.ts";
import { readJson } from "../core/read-request.ts";
import { newestWithin } from "../core/read-window.ts";
import { endTimeout } from "../core/turn-registry.ts";
import { parseId, parseRecord } from "../core/validate.ts";
import type { RequestScope } from "./request-scope.ts";

/**
 * Answers `POST { threadId, responseId }`: 204 once the turn is stopped and stored, or 202 if that takes longer. Without `responseId`: stops what
 * runs on the thread.
 */
export async function stopTurn(scope: RequestScope): Promise<Response> {
  const { request, settings } = scope;
  const { limits, timeouts, registry, store, history } = settings;
  const body = parseRecord(await readJson(request, limits.bodyBytes, timeouts.body), "");
  const threadId = parseId(body["threadId"], "threadId", limits);
  const named = body["responseId"] === undefined ? undefined : parseId(body["responseId"], "responseId", limits);
  const authorized = await scope.authorize({ request, threadId, ...(named !== undefined && { responseId: named }) });
  if (!("owner" in authorized)) return authorized;
  try {
    const responseId = named ?? (await registry.find({ ...authorized, threadId }));
    if (responseId === undefined) return createEmptyResponse(204);
    const turn = { ...authorized, threadId, responseId };
    const stopped = await settleWithin(endTimeout, registry.stop(turn), "requested");
    if (stopped === "requested") return createEmptyResponse(202);
    if (stopped === "none" && named !== undefined) {
      const messages = await store.listMessages(turn, newestWithin(history.maxMessages, history.maxCharacters));
      // Without an answer its prompt may still be under way, and the stop has overtaken it.
      if (!messages.some(({ id }) => id === responseId)) await registry.stopLater(turn);
    }
    return createEmptyResponse(204);
  } finally {
    scope.leave();
  }
}

function createEmptyResponse(status: number): Response {
  return new Response(null, { status, headers: { "Cache-Control": "no-store" } });
}
