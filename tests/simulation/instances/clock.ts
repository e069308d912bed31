/** A clock for several instances. The schedule advances it, and the timers of an instance stop while it is frozen. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock } from "../clock.ts";

/** Whose timers and readings of the clock these are. */
export interface TimerOwner {
  isDead: boolean;
  isFrozen: boolean;
  /** How far its `performance.now()` is ahead, in milliseconds. */
  clockOffset: number;
  /** How far its `Date.now()` is ahead, in milliseconds. */
  wallOffset: number;
}

/** The clock of a schedule. */
export interface InstanceClock extends Clock {
  /** The true time in milliseconds. */
  readonly time: number;
  /** Whether timers have fired faster than any turn needs. */
  readonly isRacing: boolean;
  /** Runs work of an instance: its timers, now and later, belong to the instance. */
  runAs<T>(owner: TimerOwner, work: () => T): T;
  /** Sets a timer that no instance owns. */
  after(ms: number, work: () => void): void;
  /** Delays all timers of an instance whose clock stood still. */
  postpone(owner: TimerOwner, ms: number): void;
  /** Called when the time has advanced, before a timer fires. */
  onAdvance: () => void;
  /** Puts the clock of the environment back. */
  restore(): void;
}

/** Most timers within so many milliseconds. */
const [maxTimers, timersWithin] = [60, 60];

interface Timer {
  dueAt: number;
  owner: TimerOwner | undefined;
  work: () => void;
}

/** Replaces the clock of the environment. */
export function createInstanceClock(): InstanceClock {
  const owners = new AsyncLocalStorage<TimerOwner | undefined>();
  const { setTimeout, clearTimeout } = globalThis;
  const dateNow = Date.now;
  const timers = new Map<number, Timer>();
  let time = 1;
  let lastId = 0;
  const fired: number[] = [];
  let isRacing = false;

  const add = (owner: TimerOwner | undefined, ms: number, work: () => void): number => {
    timers.set(++lastId, { dueAt: time + Math.max(1, Math.ceil(ms)), owner, work });
    return lastId;
  };

  Object.assign(globalThis, {
    setTimeout: (work: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => add(owners.getStore(), ms, () => work(...args)),
    clearTimeout: (id: number) => void timers.delete(id),
  });
  performance.now = () => time + (owners.getStore()?.clockOffset ?? 0);
  Date.now = () => Math.floor(time + (owners.getStore()?.wallOffset ?? 0));

  const clock: InstanceClock = {
    get time() {
      return time;
    },
    get isRacing() {
      return isRacing;
    },
    runAs: (owner, work) => owners.run(owner, work),
    after: (ms, work) => void add(undefined, ms, work),
    postpone(owner, ms) {
      for (const timer of timers.values()) if (timer.owner === owner) timer.dueAt += ms;
    },
    fireNext() {
      let next: [number, Timer] | undefined;
      for (const entry of timers) {
        const [, { owner, dueAt }] = entry;
        if (owner?.isDead || owner?.isFrozen) continue;
        if (!next || dueAt < next[1].dueAt) next = entry;
      }
      if (!next) return false;
      const [id, { dueAt, owner, work }] = next;
      timers.delete(id);
      time = Math.max(time, dueAt);
      fired.push(time);
      if (fired.length > maxTimers) isRacing ||= time - fired.shift()! < timersWithin;
      clock.onAdvance();
      owners.run(owner, work);
      return true;
    },
    count: () => [...timers.values()].filter(({ owner }) => !owner?.isDead).length,
    onAdvance() {},
    restore() {
      Object.assign(globalThis, { setTimeout, clearTimeout });
      Reflect.deleteProperty(performance, "now");
      Date.now = dateNow;
    },
  };
  return clock;
}
