/** A request that comes back to an answer: after a reload, from another tab, or after the network was lost. */
import { ChatHandlerError, toChatHandlerError } from "../core/errors.ts";
import { EventLog } from "../core/event-log.ts";
import type { TurnKey } from "../core/coordinator.ts";
import { mayBeCut, newestWithin, turnSearchWindow } from "../core/read-window.ts";
import { parseId } from "../core/validate.ts";
import { toTurnEvents } from "../history/turn-events.ts";
import { groupByTurn } from "../history/turn-order.ts";
import { type Cursor, parseCursor } from "./cursor.ts";
import type { ChatSettings } from "./options.ts";
import type { RequestScope } from "./request-scope.ts";

/**
 * Answers `GET ?threadId=&responseId=&offset=`: the running answer, or a complete one, from its beginning or from a cursor; 204 where there is neither.
 * Without `responseId`: what runs on the thread.
 */
export async function resumeTurn(scope: RequestScope): Promise<Response> {
  const { request, settings } = scope;
  const { limits, registry } = settings;
  const { searchParams } = new URL(request.url);
  const threadId = parseId(searchParams.get("threadId"), "threadId", limits);
  const named = searchParams.has("responseId") ? parseId(searchParams.get("responseId"), "responseId", limits) : undefined;
  const cursor = parseCursor(searchParams.get("offset"));
  const authorized = await scope.authorize({ request, threadId, ...(named !== undefined && { responseId: named }) });
  if (!("owner" in authorized)) return authorized;
  const thread = { ...authorized, threadId };
  let responseId = named ?? (await registry.find(thread));
  for (let abandoned: string | undefined; responseId !== undefined;) {
    const log = await findLog({ ...thread, responseId }, cursor, abandoned, settings);
    if (!log) {
      // It ended early. By now, the next one may run.
      const next = named ?? (await registry.find(thread));
      if (next === responseId) break;
      responseId = next;
      continue;
    }
    try {
      return await scope.stream(log, { threadId, responseId }, cursor?.offset);
    } catch (error) {
      // The store may have what the coordinator has lost.
      if (!scope.isAbandoned(error) && toChatHandlerError(error).code !== "lease_lost") throw error;
      abandoned = log.attempt;
      scope.dropLog();
    }
  }
  scope.leave();
  return new Response(null, { status: 204, headers: { "Cache-Control": "no-store" } });
}

/**
 * The log that a cursor fits: of a turn that runs or has just ended, or of a complete answer in the store.
 *
 * @param abandoned - An attempt that is not wanted.
 */
async function findLog(
  turn: TurnKey,
  cursor: Cursor | undefined,
  abandoned: string | undefined,
  settings: ChatSettings,
): Promise<EventLog | undefined> {
  const fits = ({ attempt }: EventLog): boolean => !cursor || cursor.attempt === attempt;
  const followed = await settings.registry.follow(turn, cursor?.attempt);
  const running = followed?.attempt === abandoned ? undefined : followed;
  if (running && fits(running)) return running;
  const stored = await replayStored(turn, settings);
  if (stored && fits(stored)) return stored;
  if (running || stored) {
    throw new ChatHandlerError("cursor_gone", "The answer was written again. Start from its beginning.", { param: "offset" });
  }
  return undefined;
}

/** The log of a complete answer in the store. */
async function replayStored(turn: TurnKey, { store, history }: ChatSettings): Promise<EventLog | undefined> {
  let messages = await store.listMessages(turn, newestWithin(history.maxMessages, history.maxCharacters));
  const response = messages.find(({ id, message }) => id === turn.responseId && message.role === "assistant");
  if (response?.status !== "complete") return undefined;
  const hasPrompt = () => messages.some(({ id }) => id === response.promptId);
  if (!hasPrompt()) {
    // The first steps of the answer may be missing, too.
    const window = turnSearchWindow(history);
    messages = await store.listMessages(turn, window);
    if (!hasPrompt() && mayBeCut(messages, window)) return undefined;
  }
  const answer = groupByTurn(messages).filter(({ id, promptId }) => promptId === response.promptId && id !== promptId);
  const log = new EventLog({ onAbandoned() {} }, response.attempt);
  for (const event of toTurnEvents(answer)) log.append(event);
  log.append({ type: "end", status: "complete" });
  return log;
}
