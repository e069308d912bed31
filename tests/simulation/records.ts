/** The records of a schedule: processes, requests, attempts, model calls and answers. */
import type { TurnEndEvent, StoredMessage, ThreadKey } from "../../src/index.ts";
import type { Script } from "./plan.ts";

/** One process: a handler with its memory. */
export interface Process {
  readonly number: number;
  isDead: boolean;
  /** Turns that have started, according to `waitUntil`. */
  turnsBegun: number;
  /** Turns that have settled. */
  turnsSettled: number;
}

/** A moment of a schedule. */
interface Moment {
  step: number;
  ms: number;
}

/** One request of a client. */
export interface ChatRequest {
  readonly number: number;
  readonly process: Process;
  readonly thread: ThreadKey;
  readonly promptId: string;
  readonly content: string;
  readonly responseId: string;
  readonly startedAt: Moment;
  /** The text that arrived. */
  receivedText: string;
  /** When the client last read, in milliseconds. */
  readAt: number;
  /** Whether the client has disconnected. */
  hasDisconnected: boolean;
  /** Whether the handler has returned its response. */
  isAnswered: boolean;
  /** `"clean"` or the code of an error. */
  outcome: string | undefined;
  /** Starts to read the answer. */
  read(): void;
  disconnect(how: "abort" | "cancel" | "both"): void;
}

/** One attempt of the handler to answer a prompt. */
export interface Attempt {
  readonly process: Process;
  readonly thread: ThreadKey;
  readonly promptId: string;
  readonly responseId: string;
  readonly startedAt: Moment;
  readonly calls: Call[];
  ended: TurnEndEvent | undefined;
}

/** One model call. */
export interface Call {
  /** All of its texts start with this number, so each text identifies its call. */
  readonly number: number;
  readonly attempt: Attempt;
  readonly script: Script;
  /** The whole text, if nothing interrupts it. */
  readonly text: string;
  /** The ids of its tool calls. */
  readonly toolCallIds: readonly string[];
  /** The number of characters that were sent. */
  sentCharacters: number;
  /** Whether its finish reason was sent. */
  isFinished: boolean;
  /** Whether it is open: neither closed by the handler nor ended by the model. */
  isOpen: boolean;
}

/** A complete answer in the store. Once it is confirmed, it must not disappear. */
export interface CompleteAnswer {
  readonly thread: ThreadKey;
  readonly responseId: string;
  readonly promptId: string;
  /** The step in which it was stored. */
  readonly step: number;
  /** Whether the append took effect after its timeout. */
  readonly isLate: boolean;
  isConfirmed: boolean;
  /** The contents of its message over time. The last one is current. Each save of form state adds one. */
  readonly contents: string[];
  /** The text of all its steps, for each of the contents. */
  readonly texts: string[];
}

/** An event that may explain an error. */
export interface Incident {
  readonly kind: "store fault" | "late write" | "deletion";
  readonly thread: ThreadKey;
  readonly step: number;
}

/** Thread and message id as one string. */
export const nameOf = ({ owner, threadId }: ThreadKey, ...id: string[]): string => JSON.stringify([owner, threadId, ...id]);

/** Whether two keys name the same thread. */
export const isSame = (a: ThreadKey, b: ThreadKey): boolean => a.owner === b.owner && a.threadId === b.threadId;

/** Whether two processes attempted the same prompt. */
export const isRival = (a: Attempt, b: Attempt): boolean =>
  a.process !== b.process && a.promptId === b.promptId && isSame(a.thread, b.thread);

/** The start of all texts of the nth call. */
export const markOf = (call: number): string => `⟦${call}⟧`;

/** The numbers of the calls whose text is in a text. */
export const callsIn = (text: string): number[] => [...text.matchAll(/⟦(\d+)⟧/g)].map(([, number]) => Number(number));

/** Whether a text is the beginning of another. Half of a surrogate pair at its end may have become U+FFFD. */
export function isPrefix(part: string, whole: string): boolean {
  if (whole.startsWith(part)) return true;
  return part.endsWith("\uFFFD") && whole.startsWith(part.slice(0, -1)) && !whole.slice(0, part.length).isWellFormed();
}

/** The text of a message. */
export const textOf = ({ content }: StoredMessage["message"]): string => (typeof content === "string" ? content : "");

/** A value as JSON keeps it, without undefined fields. */
export const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
