/** The deadlines of a turn, by a clock that the test moves. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ChatHandlerError } from "../../src/index.ts";
import { defaultTimeouts } from "../../src/lib/core/limits.ts";
import { Deadlines } from "../../src/lib/turn/deadlines.ts";
import type { TurnState } from "../../src/lib/turn/state.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Starts the deadlines of a turn that is in this state. */
function start(state: TurnState = { name: "queued" }) {
  const abort = vi.fn<(reason: ChatHandlerError) => void>();
  const timeouts = { ...defaultTimeouts, firstChunk: 1000, idle: 500, turn: 5000 };
  const deadlines = new Deadlines(timeouts, { state, abort });
  deadlines.start();
  return { deadlines, codes: () => abort.mock.calls.map(([reason]) => reason.code) };
}

/** A step that has ended with this reason, and a call that is still open. */
function createGenerating(finishReason: string | undefined) {
  const close = vi.fn<() => void>();
  const state = { name: "generating", step: { finishReason }, controller: new AbortController(), call: { close } };
  return { state: state as unknown as Extract<TurnState, { name: "generating" }>, close };
}

it("end a turn that takes too long, to the millisecond and once", () => {
  const { codes } = start();
  vi.advanceTimersByTime(4999);
  expect(codes()).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(codes()).toEqual(["turn_timeout"]);
  vi.advanceTimersByTime(60_000);
  expect(codes()).toEqual(["turn_timeout"]);
  expect(vi.getTimerCount()).toBe(0);
});

it("end a turn whose model is silent", () => {
  const { state } = createGenerating(undefined);
  const { deadlines, codes } = start(state);
  deadlines.expectModel(1000);
  vi.advanceTimersByTime(900);
  deadlines.expectModel(500);
  vi.advanceTimersByTime(499);
  expect(codes()).toEqual([]);
  // The timer is not moved at each chunk, so it may be late by one timeout of silence.
  vi.advanceTimersByTime(501);
  expect(codes()).toEqual(["model_timeout"]);
});

it("expect nothing of a model while its client does not read", () => {
  const { deadlines, codes } = start();
  deadlines.expectModel(1000);
  deadlines.expectModel(Infinity);
  vi.advanceTimersByTime(4999);
  expect(codes()).toEqual([]);
});

it("close the call of a model that has finished and keeps its connection open, and go on", () => {
  const { state, close } = createGenerating("stop");
  const { deadlines, codes } = start(state);
  deadlines.expectModelSoon(20);
  vi.advanceTimersByTime(19);
  expect(close).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(close).toHaveBeenCalledTimes(1);
  expect(state.call).toBeUndefined();
  expect(codes()).toEqual([]);
  vi.advanceTimersByTime(5000);
  expect(close).toHaveBeenCalledTimes(1);
  expect(codes()).toEqual(["turn_timeout"]);
});

it("have one timer, and none after they are stopped", () => {
  const { deadlines, codes } = start();
  deadlines.expectModelSoon(300);
  deadlines.expectModelSoon(200);
  expect(vi.getTimerCount()).toBe(1);
  deadlines.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(60_000);
  expect(codes()).toEqual([]);
});
