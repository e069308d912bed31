/** Stops, whenever they come. */
import { expectEqual } from "../../expect.ts";
import type { Coordinator, Ticket } from "../../../core/coordinator.ts";
import type { CoordinatorCase } from "../case.ts";
import { expectWithin, requireSpeed, withShortTime } from "../clock.ts";
import { enter, enterAs, expectJoins, keyOfTurn, queue, reader, reject, turn } from "../samples.ts";

/** Fails unless the ticket has a stop, or has none. */
async function expectStop(coordinator: Coordinator, ticket: Ticket, isStopRequested: boolean, when: string): Promise<void> {
  const status = await coordinator.check(ticket);
  expectEqual(status.isStopRequested, isStopRequested, `Whether "${ticket.responseId}" (${ticket.attempt}) is asked to stop ${when}`);
}

export const stopCases: CoordinatorCase[] = [
  {
    name: "a stop reaches a turn that runs, and one that waits",
    invariant: "stop",
    async body({ one, other }) {
      const [a, b, c] = [await enter(one, turn("a")), await enter(one, turn("b")), await enter(other, turn("c"))];
      for (const ticket of [a, b]) {
        expectEqual(await other.stop(keyOfTurn(ticket)), "requested", `What the stop of "${ticket.responseId}" resolved to`);
        await expectStop(one, ticket, true, "after the stop");
        expectEqual((await one.renew(ticket)).isStopRequested, true, "Whether a renewal says so");
      }
      await expectStop(one, c, false, "after the stop of others");
      await one.end(a, 0, "");
      await expectStop(one, b, true, "once it runs");
      await expectStop(one, c, false, "after the end of one that was stopped");
    },
  },
  {
    name: "a stop persists until its turn has ended",
    invariant: "stop",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await other.stop(keyOfTurn(a));
      for (let round = 0; round < 3; round++) {
        await one.renew(a);
        await one.append(a, round, "x");
        await one.start(a);
        await expectJoins(other, turn("a"), a.attempt);
        await other.read(keyOfTurn(a), undefined, 0, reader());
        await expectStop(one, a, true, `after ${round + 1} rounds of calls`);
      }
      await one.close(a);
      await expectStop(other, a, true, "after its close");
      await one.end(a, 3, "");
      await expectStop(other, await enter(other, turn("a")), false, "in its next attempt");
    },
  },
  {
    name: "a stop that comes before its turn waits for it",
    invariant: "stop",
    async body({ one, other }) {
      expectEqual(await other.stop(keyOfTurn(turn("a"))), "recorded", "What the stop of a turn that has not entered resolved to");
      expectEqual(await one.stop(keyOfTurn(turn("a"))), "recorded", "What a second stop resolved to");
      await expectStop(other, await enter(one, turn("b")), false, "after the stop of another turn");
      const a = await enterAs(one, turn("a"));
      expectEqual(a.status.isStopRequested, true, "Whether it enters with a stop");
      await expectStop(other, a.ticket, true, "after it has entered");
      expectEqual(await other.stop(keyOfTurn(a.ticket)), "requested", "What a stop of it resolved to then");
      await one.end(a.ticket, 0, "");
      await expectStop(other, await enter(other, turn("a")), false, "in its next attempt");
    },
  },
  {
    name: "a stop that waits is kept while its turn is busy",
    invariant: "stop",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      expectEqual(await other.stop(keyOfTurn(turn("b"))), "recorded", "What the stop resolved to");
      expectEqual(await one.enter(turn("b"), reject, reader()), { kind: "busy" }, "What its entry resolved to");
      await one.end(a, 0, "");
      await expectStop(other, await enter(one, turn("b"), reject), true, "when it enters later");
    },
  },
  {
    name: "nothing is left to stop of a turn that has ended",
    invariant: "stop",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.end(a, 0, "end");
      for (const coordinator of [one, other])
        expectEqual(await coordinator.stop(keyOfTurn(a)), "ended", "What the stop of a turn that has ended resolved to");
      const again = await enterAs(other, turn("a"));
      expectEqual(again.status.isStopRequested, false, "Whether its next attempt enters with a stop");
    },
  },
  {
    name: "the attempt behind one that was stopped and closed runs",
    invariant: "stop",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await other.stop(keyOfTurn(a));
      await one.close(a);
      const again = await enter(other, turn("a"));
      await expectStop(other, again, false, "behind the stopped one");
      await one.end(a, 0, "");
      await expectStop(other, again, false, "after the end of the stopped one");
      expectEqual(await one.stop(keyOfTurn(again)), "requested", "What a stop of the next attempt resolved to");
      await expectStop(other, again, true, "after a stop of its own");
    },
  },
  {
    name: "a stop reaches the turn of that response, thread and owner alone",
    invariant: "stop",
    async body({ one, other }) {
      const tickets = [
        await enter(one, turn("a")),
        await enter(one, turn("A")),
        await enter(one, turn("a", { threadId: "another" })),
        await enter(one, turn("a", { owner: "somebody" })),
      ];
      for (const [index, ticket] of tickets.entries()) {
        expectEqual(await other.stop(keyOfTurn(ticket)), "requested", "What the stop resolved to");
        for (const [place, each] of tickets.entries())
          await expectStop(one, each, place <= index, `of ${each.owner}/${each.threadId}, after ${index + 1} stops`);
      }
    },
  },
  {
    name: "a stop that met no turn is kept for retentionMs, and then no more",
    invariant: "stop",
    waits: true,
    async body({ one, open, clock }) {
      await withShortTime(async (ms, threadId) => {
        const brief = await open({ retentionMs: ms });
        const since = clock.now();
        for (const id of ["a", "b"])
          expectEqual(await brief.stop(keyOfTurn(turn(id, { threadId }))), "recorded", "What the stop resolved to");
        await clock.wait(ms * 0.7);
        const { status } = await enterAs(one, turn("a", { threadId }));
        expectWithin(status.isStopRequested, { clock, since, ms }, "A stop is gone before retentionMs have passed");
        await clock.wait(ms * 0.6 + 50);
        await expectStop(one, await enter(one, turn("b", { threadId })), false, "after retentionMs");
      });
    },
  },
  {
    name: "a stop outlives the lease of its turn",
    invariant: "stop",
    waits: true,
    async body({ one, other, open, clock }) {
      await withShortTime(async (ms, threadId) => {
        const mortal = await open({ leaseMs: ms });
        const since = clock.now();
        const a = await enter(mortal, turn("a", { threadId }));
        await other.stop(keyOfTurn(a));
        requireSpeed({ clock, since, ms });
        await clock.wait(ms + 100);
        expectEqual((await one.renew(a)).isStopRequested, true, "Whether a ticket that lives on is asked to stop");
      });
    },
  },
  {
    name: "a stop waits for the next attempt when the attempt that it met has died",
    invariant: "stop",
    waits: true,
    async body({ one, other, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      await other.stop(keyOfTurn(a));
      await clock.wait(400);
      const again = await enterAs(one, turn("a"));
      expectEqual(again.status.isStopRequested, true, "Whether the next attempt enters with the stop: its turn has not ended");
      await one.end(again.ticket, 0, "");
      const { status } = await enterAs(one, turn("a"), queue);
      expectEqual(status.isStopRequested, false, "Whether the attempt after the end has it");
    },
  },
];
