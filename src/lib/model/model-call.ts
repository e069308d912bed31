/** The contract of a model call that is under way. */
import type { ModelDelta } from "./delta.ts";

/** A model call. Its creator closes it. */
export interface ModelCall {
  /**
   * Returns the chunks of the next network read: none of them for a keep-alive. Rejects with what is wrong with a chunk, or with a
   * `ConnectionLostError`. Settles at once when the call is closed.
   */
  next(): Promise<IteratorResult<readonly ModelDelta[], undefined>>;
  /** Releases the connection: for the next call when this one has ended, otherwise by closing it. Calling it again does nothing. */
  close(): void;
}
