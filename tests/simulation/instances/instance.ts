/** An instance of the app: its steps stop when it crashes, and wait while it is frozen. */
import type { ChatHandler } from "../../../src/index.ts";
import type { Process } from "../records.ts";
import type { Schedule } from "../schedule.ts";
import type { InstanceClock, TimerOwner } from "./clock.ts";
import type { Line } from "./plan.ts";

interface HeldStep {
  label: string;
  act: () => unknown;
  withdraw: (() => void) | undefined;
}

/** One instance. */
export class Instance implements Process, TimerOwner {
  readonly number: number;
  handler!: ChatHandler;
  isDead = false;
  diedAt = Infinity;
  isFrozen = false;
  wasFrozen = false;
  /** Until when no hint reaches it, in milliseconds. */
  mutedUntil = 0;
  clockOffset = 0;
  wallOffset = 0;
  /** How it reaches the coordinator. */
  line: Line = "whole";
  turnsBegun = 0;
  turnsSettled = 0;
  /** Its subscriptions at the coordinator. */
  readonly subscriptions = new Set<() => void>();
  readonly #steps = new Set<HeldStep>();
  readonly #schedule: Schedule;
  readonly #clock: InstanceClock;
  #frozenAt = 0;

  constructor(number: number, schedule: Schedule, clock: InstanceClock) {
    this.number = number;
    this.#schedule = schedule;
    this.#clock = clock;
  }

  /** Its own monotonic time. */
  get now(): number {
    return this.#clock.time + this.clockOffset;
  }

  /** Adds a possible step of this instance. The returned function removes it. */
  offer(label: string, act: () => unknown): () => void {
    const held: HeldStep = { label, act, withdraw: undefined };
    if (this.isDead) return () => {};
    this.#steps.add(held);
    if (!this.isFrozen) this.#put(held);
    return () => {
      this.#steps.delete(held);
      held.withdraw?.();
    };
  }

  /** Runs work now, or when the instance is no longer frozen. */
  reach(label: string, act: () => unknown): void {
    if (this.isDead) return;
    if (this.isFrozen) this.offer(label, act);
    else this.#clock.runAs(this, act);
  }

  freeze(): void {
    if (this.isFrozen || this.isDead) return;
    this.isFrozen = true;
    this.wasFrozen = true;
    this.#frozenAt = this.#clock.time;
    for (const held of this.#steps) held.withdraw?.();
  }

  /** @param clockStops - Whether its monotonic clock stood still meanwhile, as that of a suspended machine. */
  thaw(clockStops: boolean): void {
    if (!this.isFrozen || this.isDead) return;
    this.isFrozen = false;
    const frozenFor = this.#clock.time - this.#frozenAt;
    if (clockStops) {
      this.clockOffset -= frozenFor;
      this.#clock.postpone(this, frozenFor);
    }
    for (const held of this.#steps) this.#put(held);
  }

  kill(): void {
    this.isDead = true;
    this.diedAt = this.#clock.time;
    for (const held of this.#steps) held.withdraw?.();
    this.#steps.clear();
    for (const unsubscribe of this.subscriptions) unsubscribe();
  }

  #put(held: HeldStep): void {
    held.withdraw = this.#schedule.offer(held.label, () => {
      this.#steps.delete(held);
      return this.#clock.runAs(this, held.act);
    });
  }
}
