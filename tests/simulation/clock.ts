/** The clock of a schedule. Only the schedule advances it. */
import { vi } from "vitest";

/** The timers that a schedule fires. */
export interface Clock {
  /** Advances the time to the next timer and fires it. Returns whether there was one. */
  fireNext(): boolean;
  /** How many timers there are. */
  count(): number;
}

/** All timers. */
export const plainClock: Clock = {
  fireNext() {
    if (vi.getTimerCount() === 0) return false;
    vi.advanceTimersToNextTimer();
    return true;
  },
  count: () => vi.getTimerCount(),
};
