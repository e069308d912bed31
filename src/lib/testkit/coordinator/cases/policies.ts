/** What the policies do while other turns wait or run. */
import { expectEqual } from "../../expect.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, enterAs, expectJoins, expectStates, interrupt, queue, reader, reject, turn } from "../samples.ts";

const atMost = (maxQueued: number, concurrency: "queue" | "reject" | "interrupt" = "queue") => ({ concurrency, maxQueued });

export const policyCases: CoordinatorCase[] = [
  {
    name: 'a turn with "reject" is busy while another waits or runs',
    invariant: "busy",
    async body({ one, other }) {
      const a = await enter(one, turn("a"), reject);
      const b = await enter(other, turn("b"));
      for (const coordinator of [one, other])
        expectEqual(await coordinator.enter(turn("c"), reject, reader()), { kind: "busy" }, "What an entry behind two turns resolved to");
      await one.end(a, 0, "");
      expectEqual(await one.enter(turn("c"), reject, reader()), { kind: "busy" }, "What an entry behind one turn resolved to");
      await expectStates(other, [[b, "granted"]], "after entries that were busy");
      await other.end(b, 0, "");
      expectEqual((await enterAs(one, turn("c"), reject)).ahead, 0, "How many turns are ahead once all have ended");
    },
  },
  {
    name: 'a turn with "reject" waits behind one that has been closed',
    invariant: "busy",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.close(a);
      const b = await enterAs(other, turn("b"), reject);
      expectEqual([b.ahead, b.status.state], [1, "waiting"], "Turns ahead of it, and its state");
      expectEqual(
        await one.enter(turn("c"), reject, reader()),
        { kind: "busy" },
        "What an entry behind one that is not closed resolved to",
      );
    },
  },
  {
    name: "at most maxQueued turns wait",
    invariant: "busy",
    async body({ one, other }) {
      const a = await enter(one, turn("a"), atMost(0));
      for (const concurrency of ["queue", "interrupt"] as const)
        expectEqual(
          await other.enter(turn("b"), atMost(0, concurrency), reader()),
          { kind: "busy" },
          `What "${concurrency}" behind 1 turn resolved to`,
        );
      await enter(other, turn("b"), atMost(1));
      expectEqual(await one.enter(turn("c"), atMost(1), reader()), { kind: "busy" }, "What an entry behind 2 turns resolved to");
      await enter(one, turn("c"), atMost(2));
      expectEqual(await one.enter(turn("d"), atMost(2), reader()), { kind: "busy" }, "What an entry behind 3 turns resolved to");
      expectEqual((await one.check(a)).isStopRequested, false, "Whether an interrupt that was busy stopped a turn");
      await one.end(a, 0, "");
      expectEqual((await enterAs(one, turn("d"), atMost(2))).ahead, 2, "How many turns are ahead after one has ended");
    },
  },
  {
    name: "a busy entry leaves nothing behind",
    invariant: "busy",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const b = turn("b");
      expectEqual(await one.enter(b, reject, reader()), { kind: "busy" }, "What the entry resolved to");
      expectEqual(await one.enter(b, atMost(0, "interrupt"), reader()), { kind: "busy" }, "What the interrupt resolved to");
      const { isStopRequested, isFollowed } = await other.check(a);
      expectEqual([isStopRequested, isFollowed], [false, false], "Whether the running turn has a stop or a follower");
      expectEqual(await other.read(b, undefined, 0, reader()), undefined, "What a read of the turn that did not enter resolved to");
      await one.end(a, 0, "");
      expectEqual(await other.find(a), undefined, "The turn that is found after the end of the only one");
      expectEqual((await enterAs(other, b)).ahead, 0, "How many turns are ahead of it when it enters later");
    },
  },
  {
    name: 'a turn with "interrupt" asks all turns ahead to stop',
    invariant: "interrupt",
    async body({ one, other }) {
      const elsewhere = await enter(one, turn("a", { threadId: "another" }));
      const foreign = await enter(one, turn("a", { owner: "somebody" }));
      const ahead = [await enter(one, turn("a")), await enter(other, turn("b")), await enter(one, turn("c"))];
      const d = await enterAs(other, turn("d"), interrupt);
      expectEqual([d.ahead, d.status.state, d.status.isStopRequested], [3, "waiting", false], "Turns ahead of it, its state and its stop");
      const after = await enter(one, turn("e"));
      for (const ticket of ahead)
        expectEqual((await one.check(ticket)).isStopRequested, true, `Whether "${ticket.responseId}" is asked to stop`);
      for (const ticket of [elsewhere, foreign, d.ticket, after])
        expectEqual(
          (await one.check(ticket)).isStopRequested,
          false,
          `Whether "${ticket.responseId}" of ${ticket.owner}/${ticket.threadId} is asked to stop`,
        );
      for (const ticket of ahead) await one.end(ticket, 0, "");
      await expectStates(
        one,
        [
          [d.ticket, "granted"],
          [after, "waiting"],
        ],
        "after those ahead have ended",
      );
      expectEqual((await one.renew(d.ticket)).isStopRequested, false, "Whether it is asked to stop itself");
    },
  },
  {
    name: 'a turn with "interrupt" on a free thread runs',
    invariant: "interrupt",
    async body({ one, other }) {
      const a = await enterAs(one, turn("a"), interrupt);
      expectEqual([a.ahead, a.status.state, a.status.isStopRequested], [0, "granted", false], "Turns ahead of it, its state and its stop");
      await expectJoins(other, turn("a"), a.ticket.attempt);
      expectEqual((await one.check(a.ticket)).isStopRequested, false, "Whether a join asked it to stop");
      await enter(other, turn("b"), queue);
      expectEqual((await one.check(a.ticket)).isStopRequested, false, 'Whether an entry with "queue" asked it to stop');
    },
  },
];
