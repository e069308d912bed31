/** What is known of a schedule: who asked what, what the model was asked and said, what is stored, and how it all ended. */
import type { TurnEndEvent, StoredMessage, ThreadKey } from "../../src/index.ts";
import type { Script } from "./plan.ts";

/** One life of a server: a handler, with what it holds in memory. */
export interface Process {
  readonly number: number;
  isDead: boolean;
  /** Turns that have begun, by `waitUntil`. */
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
  /** All text that arrived. */
  shown: string;
  /** Whether the client has left: it sees nothing more. */
  hasLeft: boolean;
  /** Whether the handler has given its response. */
  isAnswered: boolean;
  /** `"clean"` or the code of an error. */
  outcome: string | undefined;
  /** Reads the answer from now on. */
  read(): void;
  leave(how: "abort" | "cancel" | "both"): void;
}

/** One go of the handler at answering a prompt. */
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
  /** All its texts begin with this number, so each text tells where it comes from. */
  readonly number: number;
  readonly attempt: Attempt;
  readonly script: Script;
  /** All that the model says, if it is let. */
  readonly text: string;
  /** Ids of the tool calls that it makes. */
  readonly toolCallIds: readonly string[];
  /** How many characters of its text it has said. */
  said: number;
  /** Whether its finish reason was sent. */
  isFinished: boolean;
  /** Whether the handler holds it: it was made and neither closed by the handler nor ended by the model. */
  isOpen: boolean;
}

/** A whole answer that is stored. Once anyone was told so, it must stay. */
export interface Whole {
  readonly thread: ThreadKey;
  readonly responseId: string;
  readonly promptId: string;
  /** The step it was stored in. */
  readonly step: number;
  /** Whether the store did it after its caller had given up. */
  readonly isLate: boolean;
  isTold: boolean;
  /** What its message has held, and last what it must hold: each save of its form changes it. */
  readonly contents: string[];
  /** What may be shown of it: the text of all its steps, for each of the contents. */
  readonly texts: string[];
}

/** Something that may explain an error. */
export interface Incident {
  readonly kind: "store fault" | "late write" | "deletion";
  readonly thread: ThreadKey;
  readonly step: number;
}

/** Thread and message as one text, for maps and reports. */
export const nameOf = ({ owner, threadId }: ThreadKey, ...id: string[]): string => JSON.stringify([owner, threadId, ...id]);

/** Whether two keys name the same thread. */
export const isSame = (a: ThreadKey, b: ThreadKey): boolean => a.owner === b.owner && a.threadId === b.threadId;

/** Whether two processes went at the same prompt. */
export const isRival = (a: Attempt, b: Attempt): boolean =>
  a.process !== b.process && a.promptId === b.promptId && isSame(a.thread, b.thread);

/** How texts begin that a model said in its nth call. */
export const markOf = (call: number): string => `⟦${call}⟧`;

/** The calls whose text a text is made of, by number. */
export const callsIn = (text: string): number[] => [...text.matchAll(/⟦(\d+)⟧/g)].map(([, number]) => Number(number));

/** Whether a text is the beginning of another; half a surrogate pair at its end may have become U+FFFD. */
export function isBeginning(part: string, whole: string): boolean {
  if (whole.startsWith(part)) return true;
  return part.endsWith("\uFFFD") && whole.startsWith(part.slice(0, -1)) && !whole.slice(0, part.length).isWellFormed();
}

/** What a message says. */
export const textOf = ({ content }: StoredMessage["message"]): string => (typeof content === "string" ? content : "");

/** A value as a store keeps it: without fields that are undefined. */
export const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
