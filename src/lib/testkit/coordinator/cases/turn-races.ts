/** Calls about one turn that meet: joins, stops, appends, reads and ends. */
import type { CoordinatorEntrance, Ticket } from "../../../core/coordinator.ts";
import { expectEqual, expectThat, show } from "../../expect.ts";
import { atOnce, later, meetings, pause } from "../../gate.ts";
import type { CoordinatorCase } from "../case.ts";
import { numbers, races, untilOneFails } from "../race.ts";
import { enter, enterAs, expectLog, keyOfTurn, queue, reader, turn } from "../samples.ts";

export const turnRaceCases: CoordinatorCase[] = races([
  {
    name: "a turn that is joined while it is closed is open, or was not joined",
    invariant: "closeRace",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const a = await enter(one, turn("a", { threadId }));
        const outcome: { isClosed?: boolean; entrance?: CoordinatorEntrance } = {};
        await atOnce([
          later(first, async () => void (outcome.isClosed = await one.close(a, { unlessFollowed: true }))),
          later(second, async () => void (outcome.entrance = await other.enter(turn("a", { threadId }), queue, reader()))),
        ]);
        const expected = outcome.isClosed ? "entered" : "joined";
        expectEqual(outcome.entrance?.kind, expected, `What the entry resolved to, while the close resolved to ${outcome.isClosed}`);
      });
    },
  },
  {
    name: "a stop that meets the entry of its turn reaches it",
    invariant: "stop",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const outcome: { stop?: string; ticket?: Ticket } = {};
        await atOnce([
          later(first, async () => void (outcome.ticket = await enter(one, turn("a", { threadId })))),
          later(second, async () => void (outcome.stop = await other.stop(keyOfTurn(turn("a", { threadId }))))),
        ]);
        expectThat(outcome.stop !== "ended", "A stop of a turn that has just entered resolved to ended");
        expectEqual((await one.check(outcome.ticket!)).isStopRequested, true, `Whether the turn is asked to stop (${outcome.stop})`);
        await one.end(outcome.ticket!, 0, "");
        const again = await enterAs(other, turn("a", { threadId }));
        expectEqual(again.status.isStopRequested, false, "Whether the next attempt is asked to stop");
      });
    },
  },
  {
    name: "a stop that meets the end of its turn does not stop the next attempt",
    invariant: "stop",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const a = await enter(one, turn("a", { threadId }));
        const outcome: { stop?: string } = {};
        await atOnce([
          later(first, () => one.end(a, 0, "end")),
          later(second, async () => void (outcome.stop = await other.stop(keyOfTurn(a)))),
        ]);
        expectThat(outcome.stop !== "recorded", "A stop of a turn that has just ended resolved to recorded");
        const again = await enterAs(other, turn("a", { threadId }));
        expectEqual(again.status.isStopRequested, false, `Whether the next attempt is asked to stop (${outcome.stop})`);
      });
    },
  },
  {
    name: "appends of overlapping pieces at once add each character once",
    invariant: "log",
    async race(one, other) {
      const text = "abcdefghijklmnopqrstuvwxyz";
      await meetings(async (threadId, first, second) => {
        const a = await enter(one, turn("a", { threadId }));
        await one.append(a, 0, text.slice(0, 10));
        await atOnce([
          later(first, () => one.append(a, 10, text.slice(10, 20))),
          later(second, () => other.append(a, 10, text.slice(10, 20))),
          later(second, () => other.append(a, 5, text.slice(5))),
          later(first, () => one.append(a, 8, text.slice(8, 15))),
        ]);
        await expectLog(other, a, { text, state: "running" }, "after appends at once");
      });
    },
  },
  {
    name: "an append that meets the end is in the log before it, or not at all",
    invariant: "log",
    async race(one, other) {
      await meetings(async (threadId, first, second) => {
        const a = await enter(one, turn("a", { threadId }));
        const seen: string[] = [];
        const end = async () => {
          await other.end(a, 0, "text");
          seen.push((await other.read(keyOfTurn(a), a.attempt, 0, reader()))?.data ?? "");
        };
        await atOnce<unknown>([
          later(first, () => one.append(a, 0, "text, and what comes too late")),
          later(second, end),
          later(second, end),
        ]);
        const slice = await one.read(keyOfTurn(a), a.attempt, 0, reader());
        expectEqual([slice?.state, slice?.length], ["ended", slice?.data.length], "The state and the length of the log");
        expectEqual(seen, [slice?.data, slice?.data], "The log as it was after each end");
        expectThat(
          slice?.data === "text" || slice?.data === "text, and what comes too late",
          `The log after an append and an end at once is ${show(slice?.data)}`,
        );
        const late = await other.append(a, slice.length, "more");
        expectEqual(late.state, "lost", "What an append after both resolved to");
        await expectLog(one, a, { text: slice.data, state: "ended" }, "after an append that came too late");
      });
    },
  },
  {
    name: "a reader sees a log whole up to its length while it grows",
    invariant: "read",
    async race(one, other) {
      const a = await enter(one, turn("a"));
      const text = numbers(40).map((index) => `piece ${index}, `);
      let isDone = false;
      const write = async (hasFailed: () => boolean) => {
        let position = 0;
        for (const piece of text) {
          if (hasFailed()) return;
          await one.append(a, position, piece);
          position += piece.length;
        }
        await one.end(a, position, "");
        isDone = true;
      };
      const follow = async (hasFailed: () => boolean) => {
        let seen = "";
        while (!hasFailed()) {
          const isLast = isDone;
          const slice = await other.read(keyOfTurn(a), a.attempt, seen.length, reader());
          expectThat(slice !== undefined, "The log is gone while it grows");
          seen += slice.data;
          expectThat(text.join("").startsWith(seen), `A reader has seen ${show(seen)}`);
          expectThat(seen.length === slice.length, `A read ended at ${seen.length} of ${slice.length} characters`);
          if (slice.state === "ended") {
            expectEqual(seen, text.join(""), "What the reader has seen at the end");
            return;
          }
          expectEqual([slice.state, isLast], ["running", false], "The state of the log, and whether it had ended before it was read");
          await pause();
        }
      };
      await untilOneFails([write, follow, follow]);
    },
  },
  {
    name: "no call fails because it meets others",
    invariant: "atomic",
    async race(one, other) {
      const a = await enter(one, turn("a"));
      await enter(one, turn("b"));
      for (const round of numbers(3)) {
        const calls = [one, other].flatMap((coordinator, index): (() => Promise<unknown>)[] => [
          () => coordinator.enter(turn(`turn ${round} ${index}`), queue, reader()),
          () => coordinator.enter(turn("a"), queue, reader(`reader ${index}`)),
          () => coordinator.renew(a),
          () => coordinator.check(a),
          () => coordinator.start(a),
          () => coordinator.append(a, 4 * round, "text"),
          () => coordinator.read(keyOfTurn(a), a.attempt, 0, reader()),
          () => coordinator.stop(keyOfTurn(turn("b"))),
          () => coordinator.unfollow(a, reader(`reader ${index}`)),
          () => coordinator.close(a, { unlessFollowed: true }),
          () => coordinator.find(a),
        ]);
        await atOnce([...calls, ...calls]);
      }
      await atOnce([() => one.end(a, 12, ""), () => other.end(a, 12, "")]);
      await expectLog(other, a, { text: "texttexttext", state: "ended" }, "after calls that met");
      const states = await atOnce([() => one.find(a), () => other.find(a)]);
      expectEqual(states, ["b", "b"], "What is found after the end of the first");
    },
  },
]);
