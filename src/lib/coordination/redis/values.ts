/** Checks what goes to the scripts, and parses what they return. */
import type { CoordinatorEntrance, LogSlice, TicketRequest, TicketStatus } from "../../core/coordinator.ts";

/** Throws for an attempt that could be taken for two words, or that is long. */
export function checkAttempt(attempt: unknown): void {
  if (typeof attempt === "string" && /^[\x21-\x7e]{1,100}$/.test(attempt)) return;
  throw new TypeError("attempt must be a string of 1 to 100 ASCII characters without spaces, for example crypto.randomUUID().");
}

/** Throws for a follower that is long, or that Redis would not keep exactly. */
export function checkFollower(follower: unknown): void {
  if (typeof follower === "string" && /^[\x20-\x7e]{1,100}$/.test(follower)) return;
  throw new TypeError("follower must be a string of 1 to 100 ASCII characters, for example crypto.randomUUID().");
}

/** Throws for a position that is not a whole number. */
export function checkPosition(position: unknown): void {
  if (Number.isSafeInteger(position) && (position as number) >= 0 && (position as number) <= maxPosition) return;
  throw new TypeError(`position must be a whole number from 0 to ${maxPosition}, not ${String(position)}.`);
}

/** Redis keeps strings of at most 512 MiB. */
const maxPosition = 512 * 1024 * 1024;

/** Throws for text whose characters are not bytes. */
export function checkData(data: unknown): void {
  if (typeof data !== "string" || !/^[\0-\x7f]*$/.test(data)) throw new TypeError("data must be a string of ASCII characters.");
}

/** Returns place and epoch. */
export function parsePlace(place: string): [string, string] {
  const [, sequence, epoch] = /^(\d{1,15})\.([\d-]{1,40})$/.exec(place) ?? [];
  if (sequence === undefined || epoch === undefined) {
    throw new TypeError(`ticket.place must be the place that enter() returned, not ${JSON.stringify(place)}.`);
  }
  return [sequence, epoch];
}

/** Returns what must be equal for a turn to join. */
export function writePrompt({ promptId, promptDigest }: TicketRequest): string {
  return `${JSON.stringify(promptId)} ${promptDigest}`;
}

/** Parses the reply of the script `enter`. */
export function parseEntrance(turn: TicketRequest, reply: unknown[]): CoordinatorEntrance {
  const [kind, first, second, ahead, ...status] = reply;
  if (kind === "joined") return { kind, attempt: String(first) };
  if (kind === "conflict" || kind === "busy") return { kind };
  const { owner, threadId, responseId, attempt, promptId, promptDigest } = turn;
  const ticket = { owner, threadId, responseId, attempt, promptId, promptDigest, place: `${Number(first)}.${String(second)}` };
  return { kind: "entered", ticket, ahead: Number(ahead), status: parseStatus(status) };
}

/** Parses the status of a ticket. */
export function parseStatus(reply: unknown[]): TicketStatus {
  const [state, stop, followed, started, length] = reply;
  return {
    state: state as TicketStatus["state"],
    isStopRequested: Number(stop) === 1,
    isFollowed: Number(followed) === 1,
    hasPredecessorStarted: Number(started) === 1,
    logLength: Number(length),
  };
}

/** Parses the reply of the script `read`. */
export function parseSlice(attempt: string, reply: unknown[] | null): LogSlice | undefined {
  if (!reply) return undefined;
  const [state, length, data] = reply;
  return { attempt, data: String(data), length: Number(length), state: state as LogSlice["state"] };
}
