/** The deadlines of a turn: its total time, and the silence of the model. */
import { ChatHandlerError } from "../core/errors.ts";
import type { Timeouts } from "../core/limits.ts";
import type { TurnState } from "./state.ts";

/** The turn of the deadlines. */
export interface DeadlinesOwner {
  readonly state: TurnState;
  abort(reason: ChatHandlerError): void;
}

/**
 * One timer for all deadlines of a turn. Setting a deadline does not move the timer, because that would cost more than reading a chunk: the
 * timer fires at least once within each wait, and checks.
 */
export class Deadlines {
  /** By `performance.now()`. */
  #modelDueAt = Infinity;
  #turnEndsAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #timeouts: Timeouts;
  readonly #turn: DeadlinesOwner;

  constructor(timeouts: Timeouts, turn: DeadlinesOwner) {
    this.#timeouts = timeouts;
    this.#turn = turn;
  }

  /** Starts the time of the turn. */
  start(): void {
    this.#turnEndsAt = performance.now() + this.#timeouts.turn;
    this.#schedule();
  }

  /** The model must send something within this many milliseconds. `Infinity`: nothing is expected of it. */
  expectModel(ms: number): void {
    this.#modelDueAt = performance.now() + ms;
  }

  /** As {@link Deadlines.expectModel}, for a wait that may be shorter than every timeout. Moves the timer. */
  expectModelSoon(ms: number): void {
    this.expectModel(ms);
    clearTimeout(this.#timer);
    this.#schedule();
  }

  /** Ends all deadlines. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(): void {
    const left = Math.min(this.#modelDueAt, this.#turnEndsAt) - performance.now();
    const { firstChunk, idle } = this.#timeouts;
    this.#timer = setTimeout(() => this.#check(), Math.max(0, Math.min(left, firstChunk, idle)));
  }

  #check(): void {
    const now = performance.now();
    if (now >= this.#turnEndsAt) return this.#turn.abort(new ChatHandlerError("turn_timeout", "The answer took too long."));
    if (now >= this.#modelDueAt) {
      const state = this.#turn.state;
      if (state.name !== "generating" || !state.step.finishReason) {
        return this.#turn.abort(new ChatHandlerError("model_timeout", "The model took too long."));
      }
      // The model has finished. Nothing waits for its connection to close.
      this.expectModel(Infinity);
      state.call?.close();
      state.call = undefined;
    }
    this.#schedule();
  }
}
