/** The wire format of C1Chat. How it draws is tested in a browser: tests/browser/pace.test.ts. */
import { expect, it } from "vitest";
import { defaultLimits } from "../../../src/lib/core/limits.ts";
import type { TurnEvent } from "../../../src/lib/core/events.ts";
import { c1 } from "../../../src/lib/protocols/c1/protocol.ts";

const body = { prompt: { id: "p1", role: "user", content: "Hi" }, threadId: "t", responseId: "r1" };

it("waits more than 70 ms between two writes, which C1Chat needs to draw each of them", () => {
  expect(c1.flushInterval).toBe(80);
});

it("writes text, and no other event", () => {
  const write = c1.createWriter(c1.parse(body, defaultLimits)!);
  const events: TurnEvent[] = [
    { type: "step-start" },
    { type: "reasoning", text: "Hm." },
    { type: "text", text: "One" },
    { type: "tool-call", id: "c", name: "look" },
    { type: "tool-arguments", id: "c", text: "{}" },
    { type: "tool-input", id: "c", input: {} },
    { type: "tool-result", id: "c", content: "seen" },
    { type: "step-end" },
    { type: "text", text: " two" },
    { type: "end", status: "complete" },
  ];
  expect(events.map(write)).toEqual(["", "", "One", "", "", "", "", "", " two", ""]);
});

it("never requests a regeneration", () => {
  expect(c1.parse(body, defaultLimits)).toEqual(body);
});
