/** Turns that enter, wait and expire at the same moment. */
import type { CoordinatorEntrance, Ticket } from "../../../core/coordinator.ts";
import { expectEqual, expectThat } from "../../expect.ts";
import { atOnce, later, meetings, pause } from "../../gate.ts";
import type { CoordinatorCase } from "../case.ts";
import { numbers, races, untilOneFails } from "../race.ts";
import { enter, enterAs, expectLog, expectStates, interrupt, queue, reader, reject, turn } from "../samples.ts";

/** The tickets of those that entered, in the order of their places in the queue. Fails unless they have one order. */
function inOrder(entrances: readonly CoordinatorEntrance[], ahead: number): Ticket[] {
  const entered = entrances.filter((entrance) => entrance.kind === "entered").sort((a, b) => a.ahead - b.ahead);
  expectEqual(
    entered.map((entrance) => entrance.ahead),
    numbers(entered.length).map((index) => index + ahead),
    "How many turns are ahead of each that entered",
  );
  const granted = entered.filter(({ status }) => status.state === "granted").length;
  expectEqual(granted, ahead === 0 && entered.length > 0 ? 1 : 0, "How many entered as granted");
  return entered.map(({ ticket }) => ticket);
}

/** How often each kind of entrance is among them. */
const countOf = (entrances: readonly CoordinatorEntrance[], kind: CoordinatorEntrance["kind"]): number =>
  entrances.filter((entrance) => entrance.kind === kind).length;

export const queueRaceCases: CoordinatorCase[] = races([
  {
    name: "of two turns that enter at once one is ahead",
    invariant: "order",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const entrances = await atOnce([
          later(first, () => one.enter(turn("a", { threadId }), queue, reader())),
          later(second, () => other.enter(turn("b", { threadId }), queue, reader())),
        ]);
        const [ahead, behind] = inOrder(entrances, 0);
        expectThat(
          behind !== undefined,
          `Of two turns that entered at once, one is ${entrances.map(({ kind }) => kind).join(", the other ")}`,
        );
        await expectStates(
          one,
          [
            [ahead!, "granted"],
            [behind, "waiting"],
          ],
          "after both have entered",
        );
      });
    },
  },
  {
    name: "twenty turns that enter at once are granted one after the other, in one order",
    invariant: "order",
    async race(one, other) {
      const entrances = await atOnce(
        numbers(20).map((index) => () => (index % 2 ? other : one).enter(turn(`turn ${index}`), queue, reader())),
      );
      expectEqual(countOf(entrances, "entered"), 20, "How many entered");
      const tickets = inOrder(entrances, 0);
      for (const [index, ticket] of tickets.entries()) {
        const states = await atOnce(tickets.map((ticket, place) => () => (place % 2 ? other : one).check(ticket)));
        const expected = tickets.map((_, place) => (place < index ? "lost" : place === index ? "granted" : "waiting"));
        expectEqual(
          states.map(({ state }) => state),
          expected,
          `The states after ${index} have ended, in the order of the queue`,
        );
        await (index % 2 ? one : other).end(ticket, 0, "");
      }
    },
  },
  {
    name: "turns that wait and run at once run one at a time, in their order",
    invariant: "oneGranted",
    async race(one, other) {
      let running = 0;
      let entered = 0;
      const order: string[] = [];
      const places: string[] = [];
      await untilOneFails(
        numbers(12).map((index) => async (hasFailed) => {
          const coordinator = index % 2 ? other : one;
          const { ticket, ahead, status } = await enterAs(coordinator, turn(`turn ${index}`));
          places[ahead] = ticket.responseId;
          entered++;
          let { state } = status;
          // Until all have entered, none may leave: those behind it count how many are ahead.
          while ((state === "waiting" || entered < 12) && !hasFailed()) {
            // The first in the queue look least often: it is not theirs because they ask first.
            for (let turns = 12 - ahead; turns > 0; turns--) await pause();
            ({ state } = await (index % 3 ? coordinator.check(ticket) : coordinator.renew(ticket)));
          }
          if (hasFailed()) return;
          expectEqual(state, "granted", `The state of "${ticket.responseId}" after it has waited`);
          expectEqual(++running, 1, "How many turns run");
          order.push(ticket.responseId);
          expectEqual(order, places.slice(0, order.length), "The turns that have run, in their order");
          await coordinator.start(ticket);
          await coordinator.append(ticket, 0, "some text");
          running--;
          expectEqual(await coordinator.end(ticket, 9, "."), true, `What the end of "${ticket.responseId}" resolved to`);
          await expectLog(other, ticket, { text: "some text.", state: "ended" }, "after its end");
        }),
      );
    },
  },
  {
    name: "of equal turns that enter at once one enters and the others join it",
    invariant: "join",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const entrances = await atOnce(
          numbers(4).map((index) =>
            later(index % 2 ? second : first, () => (index % 2 ? other : one).enter(turn("a", { threadId }), queue, reader(`${index}`))),
          ),
        );
        const [ticket] = inOrder(entrances, 0);
        const joined = entrances.filter((entrance) => entrance.kind === "joined").map(({ attempt }) => attempt);
        expectEqual(
          [countOf(entrances, "entered"), joined],
          [1, Array(3).fill(ticket?.attempt)],
          "How many entered, and what the others joined",
        );
        expectEqual((await one.check(ticket!)).isFollowed, true, "Whether the turn is followed");
      });
    },
  },
  {
    name: "an attempt that enters twice at once has one place",
    invariant: "samePlace",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const request = turn("a", { threadId });
        const [entrance, again] = await atOnce([later(first, () => enterAs(one, request)), later(second, () => enterAs(other, request))]);
        expectEqual(again, entrance, "What the second entry resolved to");
        expectEqual((await enterAs(other, turn("b", { threadId }))).ahead, 1, "How many turns are ahead of the next");
      });
    },
  },
  {
    name: 'of turns with "reject" that enter at once one enters',
    invariant: "busy",
    async race(one, other) {
      for (const round of numbers(3)) {
        const threadId = `thread ${round}`;
        const entrances = await atOnce(
          numbers(8).map((index) => () => (index % 2 ? other : one).enter(turn(`turn ${index}`, { threadId }), reject, reader())),
        );
        expectEqual([countOf(entrances, "entered"), countOf(entrances, "busy")], [1, 7], "How many entered, and how many were busy");
      }
    },
  },
  {
    name: "no more than maxQueued turns wait when many enter at once",
    invariant: "busy",
    async race(one, other) {
      for (const round of numbers(3)) {
        const threadId = `thread ${round}`;
        const policy = { concurrency: "queue", maxQueued: 2 } as const;
        const entrances = await atOnce(
          numbers(8).map((index) => () => (index % 2 ? other : one).enter(turn(`turn ${index}`, { threadId }), policy, reader())),
        );
        expectEqual([countOf(entrances, "entered"), countOf(entrances, "busy")], [3, 5], "How many entered, and how many were busy");
        inOrder(entrances, 0);
      }
    },
  },
  {
    name: "turns that interrupt at once stop all but the last of them",
    invariant: "interrupt",
    async race(one, other) {
      for (const round of numbers(3)) {
        const threadId = `thread ${round}`;
        const first = await enter(one, turn("first", { threadId }));
        const entrances = await atOnce(
          numbers(6).map((index) => () => (index % 2 ? other : one).enter(turn(`turn ${index}`, { threadId }), interrupt, reader())),
        );
        const tickets = [first, ...inOrder(entrances, 1)];
        const stops = await atOnce(tickets.map((ticket) => async () => (await other.check(ticket)).isStopRequested));
        expectEqual(stops, [true, true, true, true, true, true, false], "Whether each is asked to stop, in the order of the queue");
      }
    },
  },
  {
    name: "a renewal of an expired ticket that meets an entry keeps its place, or is lost",
    invariant: "overtaken",
    waits: true,
    async race(one, other, { open, clock }) {
      const leaseMs = 300;
      const mortal = await open({ leaseMs });
      const tickets = new Map<string, Ticket>();
      const rounds: [string, number, number][] = [];
      await meetings(async (...round) => void rounds.push(round));
      for (const [threadId] of rounds) tickets.set(threadId, await enter(mortal, turn("a", { threadId })));
      await clock.wait(leaseMs * 1.5);
      for (const [threadId, first, second] of rounds) {
        const a = tickets.get(threadId)!;
        const outcome: { state?: string; entrance?: CoordinatorEntrance } = {};
        await atOnce([
          later(first, async () => void (outcome.state = (await one.renew(a)).state)),
          later(second, async () => void (outcome.entrance = await other.enter(turn("b", { threadId }), queue, reader()))),
        ]);
        const b = outcome.entrance;
        expectThat(b?.kind === "entered", `What the entry resolved to is ${b?.kind}`);
        const isKept = outcome.state === "granted";
        expectThat(isKept || outcome.state === "lost", `A renewal that met an entry resolved to ${outcome.state}`);
        expectEqual(
          [b.ahead, b.status.state],
          isKept ? [1, "waiting"] : [0, "granted"],
          "Turns ahead of the one that entered, and its state",
        );
        await expectStates(
          one,
          [
            [a, isKept ? "granted" : "lost"],
            [b.ticket, isKept ? "waiting" : "granted"],
          ],
          "afterwards",
        );
      }
    },
  },
]);
