/** A clock that two tenants share: one of them decides when time passes, and the other cannot change when it does. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../clock.ts";
import { vi } from "vitest";

/** The clock of the honest tenant. */
export interface TenantClock extends Clock {
  /** Runs work of the hostile tenant: the timers that it sets, now and later, are its own. */
  asHostile<T>(work: () => T): T;
  /** Whether the current work is the hostile tenant's. */
  isHostile(): boolean;
  /** Puts the timers of the environment back. */
  restore(): void;
}

/** Marks all timers from here on. The timers of the environment must be fake. */
export function createTenantClock(): TenantClock {
  const hostile = new AsyncLocalStorage<boolean>();
  const isHostile = () => hostile.getStore() === true;
  /** When the timers of the honest tenant are due. */
  const due = new Map<unknown, number>();
  const { setTimeout, clearTimeout } = globalThis;

  const set = (work: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    const fire = () => {
      due.delete(timer);
      work(...args);
    };
    // As real timers do, a fake one runs in the context that set it.
    const timer = setTimeout(AsyncLocalStorage.bind(fire), ms);
    if (!isHostile()) due.set(timer, performance.now() + ms);
    return timer;
  };
  const clear = (timer: NodeJS.Timeout | undefined) => {
    due.delete(timer);
    clearTimeout(timer);
  };
  Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });

  return {
    asHostile: (work) => hostile.run(true, work),
    isHostile,
    fireNext() {
      if (due.size === 0) return false;
      const next = Math.min(...due.values());
      const before = due.size;
      vi.advanceTimersByTime(Math.max(0, next - performance.now()));
      // A timer of 0 ms fires after 1.
      while (due.size === before && Math.min(...due.values()) === next) vi.advanceTimersByTime(1);
      return true;
    },
    count: () => due.size,
    restore: () => void Object.assign(globalThis, { setTimeout, clearTimeout }),
  };
}
