/** The end of a turn, and for how long its log is kept. */
import { expectEqual, expectThat } from "../../expect.ts";
import type { CoordinatorCase } from "../case.ts";
import { expectWithin, withShortTime } from "../clock.ts";
import { enter, enterAs, expectLog, expectStates, keyOfTurn, reader, turn } from "../samples.ts";

export const endingCases: CoordinatorCase[] = [
  {
    name: "an end is final, and the next turn is granted at once",
    invariant: "end",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(other, turn("b"))];
      await one.append(a, 0, "text");
      expectEqual(await one.end(a, 4, " end"), true, "What the end resolved to");
      await expectStates(
        other,
        [
          [a, "lost"],
          [b, "granted"],
        ],
        "after the end",
      );
      for (const coordinator of [one, other]) {
        expectEqual((await coordinator.append(a, 8, "more")).state, "lost", "What an append after the end resolved to");
        await coordinator.end(a, 8, "more");
        await coordinator.end(a, 0, "another end, which is longer");
        await coordinator.close(a);
        await coordinator.start(a);
        expectEqual((await coordinator.renew(a)).state, "lost", "What a renewal after the end resolved to");
        await expectLog(coordinator, a, { text: "text end", state: "ended" }, "after calls that came after the end");
      }
      const { state, hasPredecessorStarted } = await one.renew(b);
      expectEqual([state, hasPredecessorStarted], ["granted", false], "The state of the next turn, and whether one ahead has started");
    },
  },
  {
    name: "a turn without a log may end",
    invariant: "end",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      expectEqual(await one.end(a, 0, ""), true, "What the end resolved to");
      await expectLog(other, a, { text: "", state: "ended" }, "after the end");
      const latest = await other.read(keyOfTurn(a), undefined, 0, reader());
      expectEqual(latest, { attempt: a.attempt, data: "", length: 0, state: "ended" }, "The latest log");
    },
  },
  {
    name: "a waiting turn that ends leaves the queue",
    invariant: "end",
    async body({ one, other }) {
      const [a, b, c] = [await enter(one, turn("a")), await enter(other, turn("b")), await enter(one, turn("c"))];
      expectEqual(await other.end(b, 0, "gave up"), true, "What the end resolved to");
      await expectStates(
        one,
        [
          [a, "granted"],
          [b, "lost"],
          [c, "waiting"],
        ],
        "after the end of the second",
      );
      await expectLog(one, b, { text: "gave up", state: "ended" }, "after its end");
      expectEqual((await enterAs(one, turn("d"))).ahead, 2, "How many turns are ahead of one that enters then");
      await one.end(a, 0, "");
      await expectStates(other, [[c, "granted"]], "after the end of the first");
    },
  },
  {
    name: "the next attempt at a turn that has ended begins afresh",
    invariant: "end",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await one.append(a, 0, "old");
      await one.end(a, 3, " end");
      const again = await enter(other, turn("a"));
      await expectLog(one, again, { text: "", state: "running" }, "of the next attempt");
      await expectLog(one, a, { text: "old end", state: "ended" }, "of the first attempt");
      expectEqual((await other.append(again, 0, "new")).logLength, 3, "The length of the log of the next attempt");
      await one.end(a, 0, "old end, again");
      await expectStates(one, [[again, "granted"]], "after another end of the first");
    },
  },
  {
    name: "an ended log is readable for retentionMs, and then no more",
    invariant: "retention",
    waits: true,
    async body({ open, other, clock }) {
      await withShortTime(async (ms, threadId) => {
        const brief = await open({ retentionMs: ms });
        const a = await enter(brief, turn("a", { threadId }));
        await brief.append(a, 0, "text");
        const since = clock.now();
        await brief.end(a, 4, " end");
        for (const part of [0, 0.35, 0.35]) {
          await clock.wait(ms * part);
          for (const attempt of [a.attempt, undefined]) {
            const slice = await other.read(keyOfTurn(a), attempt, 0, reader());
            const isThere = slice?.data === "text end" && slice.state === "ended";
            expectWithin(
              isThere,
              { clock, since, ms },
              `The log is ${slice?.state ?? "gone"} and has "${slice?.data}" before retentionMs have passed`,
            );
          }
        }
        await clock.wait(ms * 0.6 + 50);
        for (const attempt of [a.attempt, undefined])
          expectEqual(await brief.read(keyOfTurn(a), attempt, 0, reader()), undefined, "What a read after retentionMs resolved to");
      });
    },
  },
  {
    name: "the log of a turn that runs is kept for as long as it runs",
    invariant: "retention",
    waits: true,
    async body({ open, other, clock }) {
      await withShortTime(async (ms, threadId) => {
        const brief = await open({ retentionMs: ms });
        const a = await enter(brief, turn("a", { threadId }));
        await brief.append(a, 0, "text");
        await clock.wait(ms * 1.5);
        await expectLog(other, a, { text: "text", state: "running" }, "after retentionMs");
        expectEqual((await brief.append(a, 4, " and more")).logLength, 13, "The length of the log after retentionMs");
        const since = clock.now();
        expectEqual(await brief.end(a, 13, "!"), true, "What the end resolved to");
        const slice = await other.read(keyOfTurn(a), a.attempt, 0, reader());
        expectWithin(slice?.data === "text and more!", { clock, since, ms }, `The log has "${slice?.data}" right after its end`);
      });
    },
  },
  {
    name: "the log of a lost attempt never ends",
    invariant: "read",
    waits: true,
    async body({ one, other, open, clock }) {
      const mortal = await open({ leaseMs: 300 });
      const a = await enter(mortal, turn("a"));
      await mortal.append(a, 0, "text");
      await clock.wait(400);
      const lost = await other.read(keyOfTurn(a), a.attempt, 0, reader());
      expectEqual(
        lost,
        { attempt: a.attempt, data: "text", length: 4, state: "lost" },
        "What a read after the end of the lease resolved to",
      );
      await enter(one, turn("b"));
      await mortal.end(a, 4, " end");
      const slice = await other.read(keyOfTurn(a), a.attempt, 0, reader());
      expectThat(slice === undefined || slice.state === "lost", `The log of a lost attempt is ${slice?.state} after an end`);
    },
  },
];
