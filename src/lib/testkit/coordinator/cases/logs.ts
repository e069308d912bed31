/** Logs: what is appended, and what a read returns of it. */
import { maxSliceLength, type Ticket } from "../../../core/coordinator.ts";
import { expectEqual, expectThat } from "../../expect.ts";
import { noise } from "../../samples.ts";
import type { CoordinatorCase } from "../case.ts";
import { enter, expectLog, keyOfTurn, readLog, reader, turn } from "../samples.ts";

/** All of ASCII but NUL, and what means something to some database or client. */
const oddPieces = [
  Array.from({ length: 127 }, (_, code) => String.fromCharCode(code + 1)).join(""),
  "\r\n\n\r",
  " ",
  "  \t",
  "\\ \\\\ \\u0000 \\x41 \\n \\N",
  "%s %% $1 $$ ? :name '' \" ` {} ${x} NULL",
  "0",
  "1e3",
  '{"a":null}',
];

export const logCases: CoordinatorCase[] = [
  {
    name: "a log is read as it grows, from any position, on any instance",
    invariant: "read",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await expectLog(other, a, { text: "", state: "running" }, "before anything was appended");
      let text = "";
      for (const piece of ["Hello", ", ", "world", "!"]) {
        const { state, logLength } = await one.append(a, text.length, piece);
        text += piece;
        expectEqual([state, logLength], ["granted", text.length], `The state and the length that the append of "${piece}" resolved to`);
        for (const attempt of [a.attempt, undefined]) {
          for (let position = 0; position <= text.length; position += 2) {
            const slice = await other.read(keyOfTurn(a), attempt, position, reader());
            const expected = { attempt: a.attempt, data: text.slice(position), length: text.length, state: "running" };
            expectEqual(slice, expected, `What a read from ${position} resolved to`);
          }
        }
      }
      expectEqual((await other.check(a)).logLength, text.length, "The length in the ticket's status");
    },
  },
  {
    name: "the log of a waiting turn is empty and waits",
    invariant: "read",
    async body({ one, other }) {
      const [a, b] = [await enter(one, turn("a")), await enter(one, turn("b"))];
      await expectLog(other, b, { text: "", state: "waiting" }, "while another runs");
      await one.end(a, 0, "");
      await expectLog(other, b, { text: "", state: "running" }, "once it runs");
    },
  },
  {
    name: "what is unknown has no log",
    invariant: "read",
    async body({ one, other }) {
      const unknown = turn("a");
      expectEqual(await one.read(unknown, undefined, 0, reader()), undefined, "What a read of an unknown turn resolved to");
      const a = await enter(one, turn("a"));
      const b = await enter(one, turn("b"));
      await one.append(a, 0, "text");
      for (const [what, key, attempt] of [
        ["an unknown attempt", a, unknown.attempt],
        ["the attempt of another turn", a, b.attempt],
        ["another turn with its attempt", b, a.attempt],
        ["another thread", { ...a, threadId: "another" }, undefined],
        ["another thread with its attempt", { ...a, threadId: "another" }, a.attempt],
        ["another owner with its attempt", { ...a, owner: "somebody" }, a.attempt],
        ["an unknown response id", { ...a, responseId: "c" }, undefined],
      ] as const)
        expectEqual(await other.read(keyOfTurn(key), attempt, 0, reader()), undefined, `What a read of ${what} resolved to`);
    },
  },
  {
    name: "a piece that is appended again adds nothing",
    invariant: "log",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      for (const [position, piece, text] of [
        [0, "abcdef", "abcdef"],
        [0, "abcdef", "abcdef"],
        [0, "abc", "abcdef"],
        [3, "def", "abcdef"],
        [2, "c", "abcdef"],
        [4, "efgh", "abcdefgh"],
        [0, "abcdefghij", "abcdefghij"],
        [10, "", "abcdefghij"],
        [10, "k", "abcdefghijk"],
        [3, "", "abcdefghijk"],
      ] as const) {
        for (const coordinator of [one, other]) {
          const { logLength } = await coordinator.append(a, position, piece);
          expectEqual(logLength, text.length, `The length after the append of "${piece}" at ${position}`);
          await expectLog(coordinator, a, { text, state: "running" }, `after the append of "${piece}" at ${position}`);
        }
      }
      expectEqual(await one.end(a, 8, "ijklm"), true, "What an end that overlaps resolved to");
      await expectLog(other, a, { text: "abcdefghijklm", state: "ended" }, "after an end that overlaps");
    },
  },
  {
    name: "a piece that would leave a gap is rejected",
    invariant: "log",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const text = "abc";
      for (const [position, length] of [
        [1, 0],
        [4, 3],
        [1000, 3],
      ] as const) {
        if (length > 0) await one.append(a, 0, text);
        for (const coordinator of [one, other]) {
          for (const method of ["append", "end"] as const) {
            const outcome = await coordinator[method](a, position, "gap").then(
              () => "resolved",
              () => "rejected",
            );
            expectEqual(outcome, "rejected", `What ${method} at ${position} of a log of ${length} did`);
          }
          await expectLog(coordinator, a, { text: text.slice(0, length), state: "running" }, "after pieces that would leave a gap");
        }
      }
      expectEqual((await other.append(a, 3, "d")).logLength, 4, "The length after an append that fits");
    },
  },
  {
    name: "any ASCII text is kept exactly",
    invariant: "read",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      let text = "";
      for (const piece of oddPieces) {
        await one.append(a, text.length, piece);
        text += piece;
        expectEqual(await readLog(other, keyOfTurn(a), a.attempt), text, "The log");
      }
      const slice = await other.read(keyOfTurn(a), a.attempt, 5, reader());
      expectEqual(slice?.data, text.slice(5), "What a read from 5 resolved to");
      await one.end(a, text.length, oddPieces[0]!);
      expectEqual(await readLog(other, keyOfTurn(a)), text + oddPieces[0], "The log after its end");
    },
  },
  {
    name: "a log of 1 MB is read in slices",
    invariant: "read",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const text = noise(1_000_000);
      const cuts = [0, 1, 70_000, 600_000, 600_010, 900_000];
      for (const [index, from] of cuts.slice(0, -1).entries()) await one.append(a, from, text.slice(from, cuts[index + 1]));
      await one.end(a, 900_000, text.slice(900_000));
      for (const position of [0, 1, 262_143, 262_144, 599_999, 999_999, 1_000_000]) {
        const slice = await other.read(keyOfTurn(a), a.attempt, position, reader());
        expectThat(slice !== undefined, `A read from ${position} resolved to nothing`);
        expectThat(slice.data.length <= maxSliceLength, `A read from ${position} returned ${slice.data.length} characters`);
        expectThat(slice.data.length > 0 || position === text.length, `A read from ${position} returned no characters`);
        expectEqual(slice.data, text.slice(position, position + slice.data.length), `What a read from ${position} returned`);
        expectEqual([slice.length, slice.state], [text.length, "ended"], `Length and state in a read from ${position}`);
      }
      expectEqual(await readLog(one, keyOfTurn(a)), text, "The whole log");
    },
  },
  {
    name: "a log of many pieces is read whole",
    invariant: "log",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      const text = noise(3_000);
      for (let from = 0; from < text.length; from += 30) await one.append(a, from, text.slice(from, from + 30));
      expectEqual(await readLog(other, keyOfTurn(a)), text, "The log");
    },
  },
  {
    name: "each attempt has a log of its own, and the latest is that of the last to enter",
    invariant: "read",
    async body({ one, other }) {
      const attempts: Ticket[] = [];
      for (const [index, text] of ["first", "second one", "third"].entries()) {
        const ticket = await enter(index === 1 ? other : one, turn("a"));
        attempts.push(ticket);
        const latest = await other.read(keyOfTurn(ticket), undefined, 0, reader());
        expectEqual(latest, { attempt: ticket.attempt, data: "", length: 0, state: index === 0 ? "running" : "waiting" }, "The latest log");
        const before = attempts[index - 1];
        if (before) await one.end(before, (await one.check(before)).logLength, "");
        await one.append(ticket, 0, text);
        await one.close(ticket);
      }
      const [first, second, third] = attempts as [Ticket, Ticket, Ticket];
      await expectLog(other, first, { text: "first", state: "ended" }, "of the first attempt");
      await expectLog(other, second, { text: "second one", state: "ended" }, "of the second attempt");
      await expectLog(other, third, { text: "third", state: "closed" }, "of the third attempt");
    },
  },
  {
    name: "what an append resolves to says how the ticket stands",
    invariant: "instances",
    async body({ one, other }) {
      const a = await enter(one, turn("a"));
      await other.stop(a);
      await other.read(keyOfTurn(a), undefined, 0, reader());
      const expected = { state: "granted", isStopRequested: true, isFollowed: true, hasPredecessorStarted: false, logLength: 4 };
      expectEqual(await one.append(a, 0, "text"), expected, "What the append resolved to");
    },
  },
];
