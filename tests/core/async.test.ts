/** Waits end, and leave nothing behind. */
import { getEventListeners } from "node:events";
import { afterEach, describe, expect, it, vi } from "vitest";
import { callSafely, raceAbort, withTimeout } from "../../src/lib/core/async.ts";

afterEach(() => {
  vi.useRealTimers();
});

const never = new Promise<never>(() => {});

describe("raceAbort", () => {
  it("settles like its promise, and leaves no listener at the signal", async () => {
    const { signal } = new AbortController();
    const pending = raceAbort(signal, Promise.resolve("done"));
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    expect(await pending).toBe("done");
    await expect(raceAbort(signal, Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("rejects with the reason of the signal, whether it aborts now or has aborted before", async () => {
    const controller = new AbortController();
    const pending = raceAbort(controller.signal, never);
    controller.abort(new Error("stopped"));
    await expect(pending).rejects.toThrow("stopped");
    await expect(raceAbort(controller.signal, never)).rejects.toThrow("stopped");
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});

describe("withTimeout", () => {
  it("rejects with the error that it creates when the time is over", async () => {
    vi.useFakeTimers();
    const pending = withTimeout(100, never, () => new Error("late"));
    const outcome = pending.catch((error: Error) => error.message);
    await vi.advanceTimersByTimeAsync(99);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toBe("late");
  });

  it("settles like its promise, and leaves no timer", async () => {
    vi.useFakeTimers();
    expect(await withTimeout(100, Promise.resolve("done"), () => new Error("late"))).toBe("done");
    await expect(withTimeout(100, Promise.reject(new Error("failed")), () => new Error("late"))).rejects.toThrow("failed");
    expect(vi.getTimerCount()).toBe(0);
  });
});

it("callSafely turns what a function throws at once into a rejection", async () => {
  const failing = callSafely(() => {
    throw new Error("failed");
  });
  await expect(failing).rejects.toThrow("failed");
  expect(await callSafely(() => "done")).toBe("done");
});
