/** One thread on the screen: its prompts, and how far each is answered. */
import type { C1Message } from "./create-c1-threads.ts";

/** A prompt as it is sent. */
interface SentPrompt {
  id: string;
  role: "user";
  content: unknown;
}

/** A prompt and its answer. */
export interface ViewTurn {
  /** The stored prompt: a retry must send the same content. */
  readonly prompt: SentPrompt;
  /** The prompt in C1's markup. */
  readonly markup: string;
  /** The id of the answer on the server. */
  readonly responseId?: string | undefined;
  /** The id of the answer on the screen. C1Chat makes a new one for each request. */
  readonly shownId?: string | undefined;
  /** `unanswered`: it has no answer, and it is not known whether one is being written. */
  readonly status: "unanswered" | "running" | "complete" | "stopped" | "failed";
}

/** The newest turn, if its answer is partial or missing. */
export interface C1UnfinishedTurn {
  /** The id of the partial answer on the screen. `undefined` if there is no text. */
  messageId: string | undefined;
  /** Whether somebody stopped it, or it failed. */
  status: "stopped" | "failed";
}

/** Groups loaded messages into turns. */
export function toTurns(messages: readonly C1Message[]): ViewTurn[] {
  const turns: ViewTurn[] = [];
  for (const { id, role, content, status = "complete", storedContent = content } of messages) {
    const turn = turns.at(-1);
    if (role === "user") turns.push({ prompt: { id, role, content: storedContent }, markup: content, status: "unanswered" });
    else if (turn) turns[turns.length - 1] = { ...turn, responseId: id, shownId: id, status };
  }
  return turns;
}

/** The turns of one thread on the screen. */
export class ThreadView {
  /** `null`: a new chat. */
  readonly threadId: string | null;
  /** Aborts when another thread is selected. */
  readonly closed: AbortController = new AbortController();
  /** How often C1Chat has loaded the thread. */
  loads = 0;
  /** Whether the view looks for a running answer. */
  isFollowing = false;
  /** Whether C1Chat waits for an answer. */
  isRunning = false;
  /** Settles when the stop that was sent last is answered. Never rejects. */
  stopping: Promise<unknown> | undefined;
  /** The newest turn, if it is partial or has no answer. */
  unfinished: C1UnfinishedTurn | undefined;
  #turns: readonly ViewTurn[] = [];
  readonly #onChange: () => void;

  constructor(threadId: string | null, onChange: () => void) {
    this.threadId = threadId;
    this.#onChange = onChange;
  }

  /** The turns in the order of the screen. */
  get turns(): readonly ViewTurn[] {
    return this.#turns;
  }

  set turns(turns: readonly ViewTurn[]) {
    this.#turns = turns;
    this.unfinished = findUnfinished(turns.at(-1));
    this.#onChange();
  }

  /** The last turn on the screen. */
  get newest(): ViewTurn | undefined {
    return this.#turns.at(-1);
  }

  /** The turn of a prompt. */
  findPrompt(promptId: string): ViewTurn | undefined {
    return this.#turns.find(({ prompt }) => prompt.id === promptId);
  }

  /** The turn of an answer, by its id on the server. */
  findAnswer(responseId: string): ViewTurn | undefined {
    return this.#turns.find((turn) => turn.responseId === responseId);
  }

  /** The turn of an answer, by its id on the screen. */
  findShown(messageId: string): ViewTurn | undefined {
    return this.#turns.find(({ shownId }) => shownId === messageId);
  }

  /** Puts a turn at the end, where C1Chat shows it now. */
  moveToEnd(turn: ViewTurn): void {
    this.turns = [...this.#turns.filter(({ prompt }) => prompt.id !== turn.prompt.id), turn];
  }

  /** Changes the turn of a prompt. */
  update(promptId: string, change: Partial<ViewTurn>): void {
    this.turns = this.#turns.map((turn) => (turn.prompt.id === promptId ? { ...turn, ...change } : turn));
  }
}

function findUnfinished(newest: ViewTurn | undefined): C1UnfinishedTurn | undefined {
  if (newest?.status !== "stopped" && newest?.status !== "failed") return undefined;
  return { messageId: newest.shownId, status: newest.status };
}
