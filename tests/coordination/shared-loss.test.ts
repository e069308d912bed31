/** Turns of many instances whose coordinator loses text, tickets or answers to its calls. */
import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import type { Coordinator } from "../../src/coordinator.ts";
import { createGate } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";
import { type CoordinatorData, noCoordinatorData } from "../testkit/simple-coordinator.ts";
import { key, startFollowed, startRegistries } from "./registries.ts";

failOnUnhandledErrors();

const threadOf = ({ threads }: CoordinatorData) => [...threads.values()][0]!;
const logOf = (data: CoordinatorData, responseId = "r1") => threadOf(data).logs.get(responseId)!.at(-1)!;

it("text that the database lost is written again as it was: a follower that did not notice reads on at its position", async () => {
  const data = noCoordinatorData();
  const { turn, log } = await startFollowed(...startRegistries(undefined, data));
  for (const text of ["One ", "two ", "three "]) {
    turn.log.append({ type: "text", text });
    await vi.waitFor(() => expect(log.length).toBe(turn.log.length));
  }
  // A local reader merges the pieces.
  turn.log.readFrom(0);
  const kept = logOf(data);
  const before = kept.text;
  kept.text = "";
  turn.log.append({ type: "text", text: "four." });
  await vi.waitFor(() => expect(kept.text.startsWith(before)).toBe(true));
  await turn.end();
  await log.ended;
  expect(log.textFrom(0)).toBe("One two three four.");
  expect(log.end).toEqual({ type: "end", status: "complete" });
});

it("the end of a turn reaches a log that lost its text at the last moment", async () => {
  const data = noCoordinatorData();
  const { turn, log } = await startFollowed(...startRegistries(undefined, data));
  turn.log.append({ type: "text", text: "One." });
  await vi.waitFor(() => expect(log.length).toBe(4));
  logOf(data).text = "";
  await turn.end();
  expect(logOf(data).isEnded).toBe(true);
  await log.ended;
  expect(log.end).toEqual({ type: "end", status: "complete" });
});

it("a log that loses more than the newest 512 pieces breaks for its followers, and for nobody else", async () => {
  const data = noCoordinatorData();
  const { turn, log } = await startFollowed(...startRegistries(undefined, data, { flushMs: 1 }));
  for (let piece = 0; piece < 600; piece++) {
    turn.log.append({ type: "text", text: `${piece} ` });
    while (log.length < turn.log.length) await setImmediate();
  }
  const text = turn.log.textFrom(0);
  logOf(data).text = "";
  turn.log.append({ type: "text", text: "more" });
  await turn.end();
  await log.ended;
  expect(log.end).toMatchObject({ status: "failed", error: { code: "lease_lost" } });
  expect(log.textFrom(0)).toBe(text);
  expect(turn.log.textFrom(0)).toBe(`${text}more`);
  expect(logOf(data)).toMatchObject({ isEnded: true, text: expect.stringMatching(/^\{"type":"end","status":"failed",.*\n$/) });
});

/** Subscribes when the gate opens. */
const subscribeLate = (coordinator: Coordinator, { opened }: { opened: Promise<unknown> }): Coordinator => ({
  ...coordinator,
  subscribe(thread, type, listener, onSubscribed) {
    let end = () => {};
    let isWanted = true;
    void opened.then(() => {
      if (isWanted) end = coordinator.subscribe!(thread, type, listener);
      if (isWanted) onSubscribed?.();
    });
    return () => {
      isWanted = false;
      end();
    };
  },
});
const rarely = { leaseMs: 60_000, ticketPollMs: 60_000, logPollMs: 60_000 };

it("a turn finds a stop from before its subscription was in effect", async () => {
  const gate = createGate();
  const [one, other] = startRegistries((coordinator) => subscribeLate(coordinator, gate), undefined, rarely);
  const turn = await one.mustEnter();
  (await turn.ticket.waitForLease()).markStarted();
  const stopped = other.registry.stop(key);
  await delay(100);
  expect(turn.reasons).toEqual([]);
  gate.open();
  await vi.waitFor(() => expect(turn.reasons).toEqual(["turn_stopped"]));
  await turn.end();
  expect(await stopped).toBe("stopped");
});

it("a follower reads the text from before its subscription was in effect", async () => {
  const gate = createGate();
  let instances = 0;
  const change = (coordinator: Coordinator) => (instances++ === 0 ? coordinator : subscribeLate(coordinator, gate));
  const { turn, log } = await startFollowed(...startRegistries(change, undefined, rarely));
  turn.log.append({ type: "text", text: "Early." });
  await delay(100);
  expect(log.length).toBe(0);
  gate.open();
  await vi.waitFor(() => expect(log.textFrom(0)).toBe("Early."));
  await turn.end();
  await log.ended;
});

it("nothing is copied from a turn that waits", async () => {
  const appended: string[] = [];
  const [one, other] = startRegistries((coordinator) => ({
    ...coordinator,
    append(ticket, ...rest) {
      appended.push(ticket.responseId);
      return coordinator.append(ticket, ...rest);
    },
  }));
  const first = await one.mustEnter();
  const waiting = await one.mustEnter("r2");
  const log = await other.registry.follow({ ...key, responseId: "r2" });
  await vi.waitFor(() => expect(waiting.log.hasReaders).toBe(true));
  waiting.log.append({ type: "text", text: "Early." });
  await delay(100);
  expect(appended).toEqual([]);
  await first.end();
  await waiting.ticket.waitForLease();
  await vi.waitFor(() => expect(log?.length).toBe(6));
  await waiting.end();
});

/** Takes the place of the last turn in the queue away, as from an instance that was frozen while others entered. */
function loseLastPlace(data: CoordinatorData): void {
  const thread = threadOf(data);
  const lost = thread.queue.at(-1)!;
  thread.queue = thread.queue.filter((entry) => entry !== lost);
  thread.left.set(lost.attempt, lost.place);
}

/** Starts a turn that runs, and one that waits on another instance and loses its place. Its next entry takes effect when the gate opens. */
async function startOvertaken() {
  const data = noCoordinatorData();
  const gate = createGate();
  let entries = 0;
  const holdThirdEntry = (coordinator: Coordinator): Coordinator => ({
    ...coordinator,
    async enter(...args) {
      if (++entries === 3) await gate.opened;
      return coordinator.enter(...args);
    },
  });
  const [one, other] = startRegistries(holdThirdEntry, data, { leaseMs: 800 });
  const first = await one.mustEnter();
  const waiting = await other.mustEnter("r2");
  loseLastPlace(data);
  return { data, gate, first, waiting, countEntries: () => entries };
}

it("a turn that lost its place enters again, and gives an entry back that comes too late", async () => {
  const { data, gate, first, waiting } = await startOvertaken();
  // The first try to enter again takes longer than a call may take.
  await vi.waitFor(() => expect(threadOf(data).queue).toHaveLength(2), { timeout: 5000 });
  gate.open();
  await delay(100);
  expect(threadOf(data).queue).toHaveLength(2);
  await first.end();
  await waiting.ticket.waitForLease();
  expect(waiting.reasons).toEqual([]);
  await waiting.end();
});

it("a turn that leaves while it enters again leaves no ticket behind", async () => {
  const { data, gate, first, waiting, countEntries } = await startOvertaken();
  await vi.waitFor(() => expect(countEntries()).toBe(3));
  await waiting.end();
  gate.open();
  await delay(100);
  expect(threadOf(data).queue).toHaveLength(1);
  await first.end();
});

it("nobody joins a turn in its new place if joins were refused in the old one", async () => {
  const data = noCoordinatorData();
  const [one, other] = startRegistries(undefined, data);
  const first = await one.mustEnter();
  const waiting = await other.mustEnter("r2");
  const { attempt } = waiting.log;
  waiting.ticket.refuseJoins();
  loseLastPlace(data);
  await vi.waitFor(() => expect(waiting.log.attempt).not.toBe(attempt));
  await vi.waitFor(() => expect(threadOf(data).queue.at(-1)!.isClosed).toBe(true));
  const again = await other.mustEnter("r2");
  await first.end();
  for (const turn of [waiting, again]) {
    await turn.ticket.waitForLease();
    await turn.end();
  }
});

const methodsOfATicket = ["start", "check", "renew", "close", "end"] as const;

/** A coordinator that can be cut off from the turns that have entered. */
function cutOff(state: { isCut: boolean }) {
  return (coordinator: Coordinator): Coordinator => ({
    ...coordinator,
    ...Object.fromEntries(
      methodsOfATicket.map((name) => [
        name,
        async (...args: never[]) => {
          if (state.isCut) throw new Error("connect ECONNREFUSED");
          return (coordinator[name] as (...args: never[]) => unknown)(...args);
        },
      ]),
    ),
  });
}

it("a turn that goes on alone notices that a turn ahead has stored its prompt", async () => {
  const state = { isCut: false };
  const [one] = startRegistries(cutOff(state), noCoordinatorData(), { leaseMs: 400 });
  const first = await one.mustEnter();
  const lease = await first.ticket.waitForLease();
  const waiting = await one.mustEnter("r2");
  state.isCut = true;
  lease.markStarted();
  await first.end();
  expect((await waiting.ticket.waitForLease()).hasPredecessorStarted).toBe(true);
  await waiting.end();
});

it("a resume waits for a turn that is about to end only while its instance has the lease", async () => {
  const state = { isCut: false };
  let instances = 0;
  const lookedAfterDeath: unknown[] = [];
  const [one, other] = startRegistries(
    (coordinator) => {
      if (instances++ === 0) return cutOff(state)(coordinator);
      return {
        ...coordinator,
        async read(...args) {
          const slice = await coordinator.read(...args);
          if (slice?.state === "lost") lookedAfterDeath.push(slice);
          return slice;
        },
      };
    },
    noCoordinatorData(),
    { leaseMs: 400 },
  );
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  turn.ticket.refuseJoins();
  await vi.waitFor(async () => expect((await other.registry.find({ owner: key.owner, threadId: key.threadId })) ?? "").toBe("r1"));
  state.isCut = true;
  expect(await other.registry.follow(key)).toBe(undefined);
  expect(lookedAfterDeath.length).toBeLessThanOrEqual(2);
  await turn.end();
});

it('with "abort", a turn that was frozen and cannot renew its lease may not write', async () => {
  const state = { isCut: false };
  const rarely = { ticketPollMs: 60_000, logPollMs: 60_000 };
  const [one] = startRegistries(cutOff(state), noCoordinatorData(), { whenUnrenewed: "abort", ...rarely });
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  state.isCut = true;
  const now = performance.now.bind(performance);
  const frozen = vi.spyOn(performance, "now").mockImplementation(() => now() + 20_000);
  onTestFinished(() => frozen.mockRestore());
  expect(await turn.ticket.mayWrite()).toBe(false);
  expect(turn.reasons).toEqual(["lease_lost"]);
  await turn.end();
});

it.each(["is answered", "fails"])("a renewal that %s after a freeze says nothing: the turn asks again before it writes", async (how) => {
  const rarely = { ticketPollMs: 60_000, logPollMs: 60_000 };
  let frozenMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + frozenMs);
  onTestFinished(() => clock.mockRestore());
  let isTaken = false;
  let renewals = 0;
  const [one] = startRegistries(
    (coordinator) => ({
      ...coordinator,
      async renew(ticket) {
        renewals++;
        if (isTaken) return { ...(await coordinator.check(ticket)), state: "lost" };
        const status = await coordinator.renew(ticket);
        // The instance freezes before it hears of this, and another one takes the thread.
        frozenMs += 20_000;
        isTaken = true;
        if (how === "fails") throw new Error("read ETIMEDOUT");
        return status;
      },
    }),
    noCoordinatorData(),
    rarely,
  );
  const turn = await one.mustEnter();
  await turn.ticket.waitForLease();
  frozenMs = 9000;
  expect(await turn.ticket.mayWrite()).toBe(false);
  expect(renewals).toBe(2);
  expect(turn.reasons).toEqual(["lease_lost"]);
  await turn.end();
});

it("a turn that waits does not go on alone after a freeze, because one call did not survive it", async () => {
  const data = noCoordinatorData();
  let isSilent = false;
  let unanswered = 0;
  const [one, other] = startRegistries(
    (coordinator) => ({
      ...coordinator,
      async check(ticket) {
        if (!isSilent || ticket.responseId !== "r2") return coordinator.check(ticket);
        unanswered++;
        return new Promise(() => {});
      },
    }),
    data,
    { leaseMs: 800 },
  );
  const first = await one.mustEnter();
  const waiting = await other.mustEnter("r2");
  let isGranted = false;
  void waiting.ticket.waitForLease().then(() => (isGranted = true));
  isSilent = true;
  await vi.waitFor(() => expect(unanswered).toBe(1));
  isSilent = false;
  const now = performance.now.bind(performance);
  const frozen = vi.spyOn(performance, "now").mockImplementation(() => now() + 1000);
  onTestFinished(() => frozen.mockRestore());
  await delay(400);
  expect(isGranted).toBe(false);
  await first.end();
  await waiting.ticket.waitForLease();
  await waiting.end();
});

it("an entry that cannot be given back frees its thread when its lease ends", async () => {
  const data = noCoordinatorData();
  let instances = 0;
  const answerLate = (coordinator: Coordinator): Coordinator => ({
    ...coordinator,
    async enter(...args) {
      const entrance = await coordinator.enter(...args);
      await delay(300);
      return entrance;
    },
    end: () => Promise.reject(new Error("connect ECONNREFUSED")),
  });
  const [one, other] = startRegistries((coordinator) => (instances++ === 0 ? answerLate(coordinator) : coordinator), data, {
    leaseMs: 800,
  });
  const alone = await one.mustEnter();
  expect(threadOf(data).queue).toHaveLength(1);
  const next = await other.mustEnter("r2");
  expect(next.ticket.ahead).toBe(1);
  await next.ticket.waitForLease();
  expect(next.reasons).toEqual([]);
  await Promise.all([alone.end(), next.end()]);
});
