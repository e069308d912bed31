/** Leases: tickets that are renewed, expire, live on, or are overtaken. */
import { expectEqual, expectThat } from "../../expect.ts";
import type { Coordinator, Ticket } from "../../../core/coordinator.ts";
import type { CaseSetup, CoordinatorCase } from "../case.ts";
import { expectWithin, requireSpeed, withShortTime } from "../clock.ts";
import { enter, enterAs, expectLog, expectStates, interrupt, keyOfTurn, queue, readLog, reader, reject, turn } from "../samples.ts";

/** By how much longer than a lease the cases wait for its end. */
const beyond = 1.3;

/** Enters turns with these ids in a thread of their own, and lets all of their tickets expire. */
async function enterExpired({ open, clock }: CaseSetup, ...ids: string[]): Promise<Ticket[]> {
  let tickets: Ticket[] = [];
  const name = `${ids.join()} ${++threads}`;
  await withShortTime(async (ms, round) => {
    const threadId = `${name}, ${round}`;
    const mortal = await open({ leaseMs: ms });
    const since = clock.now();
    tickets = [];
    for (const id of ids) tickets.push(await enter(mortal, turn(id, { threadId })));
    requireSpeed({ clock, since, ms });
    await clock.wait(ms * beyond);
  });
  return tickets;
}

let threads = 0;

/** Fails unless every call with this ticket is refused and changes nothing. `live` is the turn that has the thread. */
async function expectLostForEver(coordinator: Coordinator, lost: Ticket, live: Ticket): Promise<void> {
  const before = await coordinator.check(live);
  expectEqual((await coordinator.check(lost)).state, "lost", "The state of a ticket that was overtaken");
  expectEqual((await coordinator.renew(lost)).state, "lost", "What its renewal resolved to");
  await coordinator.start(lost);
  expectEqual((await coordinator.append(lost, 0, "late")).state, "lost", "What its append resolved to");
  await coordinator.close(lost);
  expectEqual(await coordinator.end(lost, 0, "late"), false, "What its end resolved to");
  expectEqual((await coordinator.renew(lost)).state, "lost", "What another renewal resolved to");
  expectEqual((await coordinator.read(keyOfTurn(lost), lost.attempt, 0, reader()))?.data ?? "", "", "What its log has");
  expectEqual(await coordinator.check(live), before, "The status of the turn that has the thread, after the calls of the lost one");
}

export const leaseCases: CoordinatorCase[] = [
  {
    name: "a ticket that is renewed lives on for as long as you like",
    invariant: "renewed",
    waits: true,
    async body({ one, other, open, clock }) {
      await withShortTime(async (ms, threadId) => {
        const mortal = await open({ leaseMs: ms });
        let since = clock.now();
        const a = await enter(mortal, turn("a", { threadId }));
        const b = await enter(one, turn("b", { threadId }));
        const begin = clock.now();
        while (clock.now() - begin < ms * 1.7) {
          await clock.wait(ms / 3);
          const { state } = await other.check(b);
          expectWithin(state === "waiting", { clock, since, ms }, `The turn behind one that is renewed is ${state}`);
          const sent = clock.now();
          const renewed = await mortal.renew(a);
          expectWithin(renewed.state === "granted", { clock, since, ms }, `A ticket that is renewed in time is ${renewed.state}`);
          since = sent;
        }
      });
    },
  },
  {
    name: "an expired ticket does not delay the next",
    invariant: "oneGranted",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const [a] = await enterExpired(setup, "a");
      const b = await enterAs(one, turn("b", { threadId: a!.threadId }));
      expectEqual([b.ahead, b.status.state], [0, "granted"], "Turns ahead of one that enters behind an expired ticket, and its state");
      expectEqual((await other.check(a!)).state, "lost", "The state of the expired ticket");

      const mortal = await setup.open({ leaseMs: 300 });
      await enter(mortal, turn("a"));
      const next = await enter(one, turn("b"));
      const last = await enter(other, turn("c"));
      await setup.clock.wait(300 * beyond);
      await expectStates(
        other,
        [
          [next, "granted"],
          [last, "waiting"],
        ],
        "after the ticket ahead has expired",
      );
      expectEqual((await one.renew(next)).state, "granted", "The state that its renewal resolved to");
      expectEqual((await one.append(next, 0, "text")).state, "granted", "The state that its append resolved to");
      expectEqual(await other.find(next), "b", "The turn that is found");
      await expectLog(other, next, { text: "text", state: "running" }, "after the ticket ahead has expired");
    },
  },
  {
    name: "a renewal is granted at once when the ticket ahead has expired",
    invariant: "oneGranted",
    waits: true,
    async body({ one, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      const b = await enter(one, turn("b"));
      await clock.wait(300 * beyond);
      expectEqual((await one.renew(b)).state, "granted", "The state that the renewal resolved to");
      expectEqual((await mortal.renew(a)).state, "lost", "The state of the expired ticket");
    },
  },
  {
    name: "a waiting ticket that expires does not delay those behind it",
    invariant: "oneGranted",
    waits: true,
    async body({ one, other, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(one, turn("a"));
      for (const id of ["b", "c"]) await enter(mortal, turn(id));
      const d = await enter(other, turn("d"));
      await clock.wait(300 * beyond);
      await expectStates(
        one,
        [
          [a, "granted"],
          [d, "waiting"],
        ],
        "after those between them have expired",
      );
      await one.end(a, 0, "");
      await expectStates(one, [[d, "granted"]], "after the first has ended");
    },
  },
  {
    name: "expired tickets count for no policy, and are not joined",
    invariant: "overtaken",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      for (const policy of [reject, interrupt, { ...queue, maxQueued: 0 }]) {
        const [a, b] = await enterExpired(setup, "a", "b");
        const again = await enterAs(one, turn("a", { threadId: a!.threadId }), policy);
        expectEqual([again.ahead, again.status.state], [0, "granted"], "Turns ahead of a new attempt, and its state");
        await expectStates(
          other,
          [
            [a!, "lost"],
            [b!, "lost"],
          ],
          "after another has entered",
        );
      }
      const [dead] = await enterExpired(setup, "a");
      const changed = await enterAs(one, turn("a", { threadId: dead!.threadId, promptId: "another" }));
      expectEqual(changed.ahead, 0, "Turns ahead of a new attempt with another prompt");
    },
  },
  {
    name: "looking at a ticket does not extend its lease",
    invariant: "renewed",
    waits: true,
    async body({ one, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      const b = await enter(one, turn("b"));
      const begin = clock.now();
      while (clock.now() - begin < 300 * beyond) {
        await clock.wait(50);
        await mortal.check(a);
        await mortal.read(keyOfTurn(a), a.attempt, 0, reader());
        await mortal.find(a);
      }
      expectEqual((await one.check(b)).state, "granted", "The state of the turn behind one that was only looked at");
    },
  },
  {
    name: "a ticket that another turn entered behind, once expired, is lost for ever",
    invariant: "overtaken",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const [a] = await enterExpired(setup, "a");
      const { threadId } = a!;
      const b = await enter(one, turn("b", { threadId }));
      for (const coordinator of [one, other]) await expectLostForEver(coordinator, a!, b);
      await one.end(b, 0, "");
      await expectStates(other, [[a!, "lost"]], "after the one that overtook it has ended");
      const c = await enter(other, turn("c", { threadId }));
      await expectLostForEver(one, a!, c);
    },
  },
  {
    name: "a ticket whose successor was granted, once expired, is lost for ever",
    invariant: "overtaken",
    waits: true,
    async body({ one, other, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      const b = await enter(one, turn("b"));
      await clock.wait(300 * beyond);
      expectEqual((await one.renew(b)).state, "granted", "The state that the renewal of the successor resolved to");
      for (const coordinator of [mortal, other]) await expectLostForEver(coordinator, a, b);
      await one.end(b, 0, "");
      await expectStates(other, [[a, "lost"]], "after the successor has ended");
    },
  },
  {
    name: "nothing is accepted from an attempt whose turn was attempted again",
    invariant: "fenced",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const mortal = await setup.open({ leaseMs: 300 });
      const dead = await enter(mortal, turn("a"));
      await mortal.append(dead, 0, "dead ");
      await setup.clock.wait(300 * beyond);
      const live = await enter(one, turn("a"));
      await one.append(live, 0, "live");
      for (const coordinator of [one, other]) {
        expectEqual(
          (await coordinator.append(dead, 4, "text of the dead")).state,
          "lost",
          "What an append of the lost attempt resolved to",
        );
        expectEqual((await coordinator.append(dead, 5, "more")).state, "lost", "What another resolved to");
        await coordinator.close(dead);
        expectEqual(await coordinator.end(dead, 5, "end"), false, "What its end resolved to");
        await expectLog(coordinator, live, { text: "live", state: "running" }, "after calls of the lost attempt");
        expectEqual(await readLog(coordinator, keyOfTurn(live)), "live", "The log of the latest attempt");
        const log = await coordinator.read(keyOfTurn(dead), dead.attempt, 0, reader());
        expectThat(
          log === undefined || (log.data === "dead " && log.state === "lost"),
          `The log of the lost attempt is ${log?.state} and has "${log?.data}"`,
        );
      }
      const joined = await other.enter(turn("a"), queue, reader());
      expectEqual(joined, { kind: "joined", attempt: live.attempt }, "What a join after calls of the lost attempt resolved to");
      expectEqual(await one.end(live, 4, " end"), true, "What the end of the live attempt resolved to");
      await expectLog(other, live, { text: "live end", state: "ended" }, "at the end");
    },
  },
  {
    name: "an expired ticket that nobody overtook lives on",
    invariant: "overtaken",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const mortal = await setup.open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      await mortal.append(a, 0, "before ");
      await setup.clock.wait(300 * beyond);
      expectThat((await other.check(a)).state !== "lost", "An expired ticket that nobody overtook is lost when it is checked");
      const { state, logLength } = await one.renew(a);
      expectEqual([state, logLength], ["granted", 7], "The state and the length that its renewal resolved to");
      expectEqual((await enterAs(other, turn("b"))).ahead, 1, "How many turns are ahead of one that enters then");
      expectEqual((await one.append(a, 7, "after")).state, "granted", "What its append resolved to");
      await expectLog(other, a, { text: "before after", state: "running" }, "after it lived on");
      expectEqual(await one.end(a, 12, ""), true, "What its end resolved to");
    },
  },
  {
    name: "an expired ticket that nobody overtook may still append and end",
    invariant: "overtaken",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const [a] = await enterExpired(setup, "a");
      expectThat((await one.append(a!, 0, "text")).state !== "lost", "What its append resolved to is lost");
      expectEqual(await readLog(other, keyOfTurn(a!), a!.attempt), "text", "Its log");
      const [b] = await enterExpired(setup, "b");
      expectEqual(await one.end(b!, 0, "text"), true, "What its end resolved to");
      await expectLog(other, b!, { text: "text", state: "ended" }, "after its end");
    },
  },
  {
    name: "expired tickets that live on keep their order",
    invariant: "oneGranted",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const [a, b] = await enterExpired(setup, "a", "b");
      expectEqual((await one.renew(a!)).state, "granted", "What the renewal of the first resolved to");
      expectEqual((await one.renew(b!)).state, "waiting", "What the renewal of the second resolved to");
      await one.end(a!, 0, "");
      await expectStates(other, [[b!, "granted"]], "after the first has ended");
    },
  },
  {
    name: "a ticket that has left is lost for ever",
    invariant: "overtaken",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.end(a, 0, "");
      for (const coordinator of [one, other]) {
        expectEqual((await coordinator.renew(a)).state, "lost", "What its renewal on a free thread resolved to");
        expectEqual((await coordinator.check(a)).state, "lost", "Its state when checked");
      }
      const b = await enter(other, turn("b"));
      await expectLostForEver(one, a, b);
      expectEqual((await enterAs(one, turn("c"))).ahead, 1, "How many turns are ahead of one that enters then");
    },
  },
  {
    name: "the log of an expired ticket is lost until it lives on",
    invariant: "read",
    waits: true,
    async body(setup) {
      const { one, other } = setup;
      const [a] = await enterExpired(setup, "a");
      await expectLog(other, a!, { text: "", state: "lost" }, "after it has expired");
      await one.renew(a!);
      await expectLog(other, a!, { text: "", state: "running" }, "after it was renewed");
    },
  },
];
