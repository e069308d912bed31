/** Notices that a client disconnects. */
import { type ChatHandlerError, createClientGoneError } from "../core/errors.ts";
import type { LogWrites } from "./log-writes.ts";

/** The client of one response. It leaves when its request aborts, when it cancels the body, or when it stops reading. */
export class ClientConnection {
  /** Why it left, if it did. */
  error: ChatHandlerError | undefined;
  /** Held whole: Node's garbage collector would take the signal of a request along. */
  readonly #request: Request;
  readonly #writes: LogWrites;
  readonly #turnEnded: Promise<void>;
  #onFinished: (() => void) | undefined;

  /** @param onFinished - Called once, when the client has read everything or has left, and the turn has ended. */
  constructor(request: Request, writes: LogWrites, turnEnded: Promise<void>, onFinished: () => void) {
    this.#turnEnded = turnEnded;
    this.#onFinished = onFinished;
    this.#request = request;
    this.#writes = writes;
    request.signal?.addEventListener("abort", this);
    if (request.signal?.aborted) this.leave();
  }

  /** Notes that the client has disconnected, and ends the writes. */
  leave(): void {
    this.error ??= createClientGoneError();
    this.finish();
  }

  /** Stops reading the log. The request may go on with another one. */
  leaveLog(): void {
    this.stopWatching();
    this.#writes.close();
  }

  /** Notes that the client has read everything or has left. Calls `onFinished` once the turn has ended, too. */
  finish(): void {
    this.leaveLog();
    void this.#turnEnded.then(this.#onFinished);
    this.#onFinished = undefined;
  }

  get isFinished(): boolean {
    return this.#onFinished === undefined;
  }

  /** Removes its listener. Only the request's own code may call it: workerd does not let another request use its signal. */
  stopWatching(): void {
    this.#request.signal?.removeEventListener("abort", this);
  }

  /** The request was aborted. */
  handleEvent(): void {
    this.leave();
  }
}
