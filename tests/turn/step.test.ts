/** What one model call said, chunk by chunk. */
import { describe, expect, it } from "vitest";
import { EventLog } from "../../src/lib/core/event-log.ts";
import { createMemoryStore } from "../../src/index.ts";
import { resolveChatOptions } from "../../src/lib/chat/options.ts";
import type { TurnSettings } from "../../src/lib/turn/settings.ts";
import { Step } from "../../src/lib/turn/step.ts";
import { createTools } from "../../src/tools.ts";

/** The settings that a step reads. */
function settingsOf(answerCharacters: number, hasTools: boolean): TurnSettings {
  const client = { chat: { completions: { create: () => Promise.reject(new Error("not called")) } } };
  const tools = hasTools ? createTools([{ name: "look", run: () => 1 }]) : undefined;
  return resolveChatOptions({ store: createMemoryStore(), client, model: "m", tools, limits: { answerCharacters } });
}

function start({ answerCharacters = 100, usedCharacters = 0, hasTools = true } = {}) {
  const log = new EventLog({ onAbandoned() {} });
  log.append({ type: "text", text: "Before. " });
  return { log, step: new Step(log, settingsOf(answerCharacters, hasTools), usedCharacters) };
}

describe("a step", () => {
  it("puts text and reasoning into the log at once, and keeps the reasoning for the provider", () => {
    const { log, step } = start();
    step.append({ reasoning: { reasoning_content: "Hm, " } });
    step.append({ text: "A " });
    step.append({ reasoning: { reasoning_content: "tea." }, text: "leaf." });
    expect(log.readFrom(8).events).toEqual([
      { type: "reasoning", text: "Hm, " },
      { type: "text", text: "A " },
      { type: "reasoning", text: "tea." },
      { type: "text", text: "leaf." },
    ]);
    expect(step.text).toBe("A leaf.");
    expect(step.reasoning).toEqual({ reasoning_content: "Hm, tea." });
    expect(step.characters).toBe("Hm, tea.A leaf.".length);
  });

  it("counts text, reasoning, tool calls and the steps before against the bound of an answer", () => {
    const { step } = start({ answerCharacters: 20, usedCharacters: 10 });
    step.append({ text: "12", reasoning: { reasoning: "34" } });
    step.append({ toolCalls: [{ index: 0, id: "1", name: "2", arguments: "3456" }] });
    expect(step.characters).toBe(20);
    expect(() => step.append({ text: "x" })).toThrow("The answer is longer than 20 characters.");
  });

  it("keeps the reason that says the answer is not whole", () => {
    const { step } = start();
    step.append({ finishReason: { word: "length", isWhole: false } });
    step.append({ finishReason: { word: "stop", isWhole: true } });
    expect(step.finishReason).toBe("length");
  });

  it("takes the last reason of a whole answer, and the last usage", () => {
    const { step } = start();
    const usage = (total_tokens: number) => ({ prompt_tokens: 0, completion_tokens: 0, total_tokens });
    step.append({ finishReason: { word: "stop", isWhole: true }, usage: usage(1) });
    step.append({ finishReason: { word: "tool_calls", isWhole: true }, usage: usage(2) });
    step.append({ text: "x" });
    expect([step.finishReason, step.usage]).toEqual(["tool_calls", usage(2)]);
  });

  it("fails at a tool call in an app without tools, and has no calls without one", () => {
    const { step } = start({ hasTools: false });
    expect(step.toolCalls).toEqual([]);
    expect(() => step.append({ toolCalls: [{ id: "c", name: "look_up", arguments: "{}" }] })).toThrow("this app has none");
  });
});
