/** How often a ticket is looked at. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { resolveCoordinatorSettings } from "../../src/lib/core/coordinator-options.ts";
import { TicketWatch } from "../../src/lib/coordination/shared/ticket-watch.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Ticks each second for 30 seconds. Returns how often the ticket was looked at. */
async function countLooks(isGranted: boolean, { isHinted = false, leaseMs = 10_000 } = {}): Promise<number> {
  const settings = resolveCoordinatorSettings({ leaseMs }, { ticketPollMs: 1000, logPollMs: 1000, flushMs: 84 });
  let looks = 0;
  const look = async (): Promise<boolean> => {
    looks++;
    watch.postpone();
    await new Promise((resolve) => setTimeout(resolve, 20));
    watch.postpone();
    return true;
  };
  const watch = new TicketWatch({ isGranted, check: look, renew: look }, settings, performance.now());
  if (isHinted) watch.setHinted();
  for (let second = 0; second < 30; second++) {
    await vi.advanceTimersByTimeAsync(1000);
    watch.tick(performance.now());
  }
  return looks;
}

test("a turn that waits is looked at each time that it is due, although the reply to the last look came a little later", async () => {
  expect(await countLooks(false)).toBeGreaterThanOrEqual(29);
});

test("a turn that runs is looked at when nothing was received for the whole interval", async () => {
  expect(await countLooks(true)).toBeLessThan(20);
});

test("with hints, a turn that runs is looked at only by its renewals, and a turn that waits as often as without", async () => {
  expect(await countLooks(true, { isHinted: true })).toBeLessThanOrEqual(9);
  expect(await countLooks(false, { isHinted: true })).toBeGreaterThanOrEqual(29);
});

test("where a call takes longer than a poll, a turn renews its lease as early as elsewhere", async () => {
  const settings = resolveCoordinatorSettings({ leaseMs: 9000 }, { ticketPollMs: 300, logPollMs: 300, flushMs: 84 });
  const renewed: number[] = [];
  const takeLong = () => new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 1000));
  const renew = () => {
    renewed.push(performance.now());
    return takeLong();
  };
  const watch = new TicketWatch({ isGranted: true, check: takeLong, renew }, settings, performance.now());
  for (let tick = 0; tick < 90; tick++) {
    await vi.advanceTimersByTimeAsync(300);
    watch.tick(performance.now());
  }
  expect(renewed.length).toBeGreaterThanOrEqual(6);
});

test("with hints and a long lease, a turn that runs is looked at between its renewals", async () => {
  expect(await countLooks(true, { isHinted: true, leaseMs: 60_000 })).toBeGreaterThanOrEqual(5);
});
