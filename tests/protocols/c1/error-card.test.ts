/** The card with which C1Chat shows a failure before the first byte. */
import { describe, expect, it } from "vitest";
import { ChatHandlerError } from "../../../src/index.ts";
import { chatBody, readResponse, startChat, summarize, variants } from "../../support/chat.ts";
import { rejectWith, sendPieces, textEvent } from "../../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../../support/unhandled-errors.ts";

failOnUnhandledErrors();

describe.each(variants)("showErrors, $name", ({ way }) => {
  it("answers a failure before the first byte with a C1 card, with its code in a header", async () => {
    const chat = await startChat({ ...way, showErrors: true });
    chat.model.next(rejectWith(500, { error: { message: "sk-secret-key" } }));
    const response = await chat.post(chatBody("Hi"));
    expect(response.status).toBe(200);
    expect(response.headers.get("X-Chat-Handler-Error")).toBe("model_failed");
    expect(response.headers.get("Content-Type")).toBe("text/event-stream; charset=utf-8");
    const card = await cardOf(response);
    expect(card).toMatch(/could not answer/);
    expect(card).toMatch(/try again/i);
    expect(card).not.toContain("sk-secret-key");
    await chat.waitForTurns();
    // It is no answer: neither stored nor replayed.
    expect(summarize(await chat.listStored())).toEqual(['user p1 complete "Hi"']);
    expect(await readResponse(chat.post(chatBody("Hi")))).toEqual({ status: 200, text: "Answer to Hi.", failed: false });
    expect((await chat.post(chatBody("Hi"))).headers.get("X-Chat-Handler-Error")).toBeNull();
  });

  it("still errors the stream when the answer breaks off after its first byte", async () => {
    const chat = await startChat({ ...way, showErrors: true });
    chat.model.next(sendPieces(textEvent("Half")));
    expect((await readResponse(chat.post(chatBody("Hi")))).failed).toBe(true);
  });
});

it.each([
  ["invalid_request", false],
  ["forbidden", false],
  ["id_conflict", false],
  ["thread_busy", true],
  ["turn_stopped", true],
  ["rate_limited", true],
  ["store_failed", true],
  ["model_timeout", true],
] as const)("the card of %s shows whether a retry helps", async (code, mayPass) => {
  const chat = await startChat({
    showErrors: true,
    authorize: () => {
      throw new ChatHandlerError(code, "It failed.");
    },
  });
  const card = await cardOf(await chat.post(chatBody("Hi")));
  expect(card).toContain("It failed.");
  expect(card.includes("Try again.")).toBe(mayPass);
  expect(card.includes("Trying again will not help.")).toBe(!mayPass);
});

it("the card does not repeat the advice to try again", async () => {
  const chat = await startChat({
    showErrors: true,
    authorize: () => {
      throw new ChatHandlerError("thread_busy", "It failed. Try again.");
    },
  });
  expect((await cardOf(await chat.post(chatBody("Hi")))).match(/Try again/g)).toHaveLength(1);
});

it("the card holds any message without breaking", async () => {
  const message = '<b>&amp; "quotes" \\ </content> ` \u2028 {"a":1} 😀';
  const chat = await startChat({
    showErrors: true,
    authorize: () => {
      throw new ChatHandlerError("forbidden", message);
    },
  });
  expect(await cardOf(await chat.post(chatBody("Hi")))).toContain(message);
});

/** The text of a C1 card, read as C1's browser client reads it. */
async function cardOf(response: Response): Promise<string> {
  const body = await response.text();
  const [, escaped] = /^<content thesys="true">([^<]*)<\/content>$/.exec(body) ?? [];
  const json = (escaped ?? "").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  const { component, error } = JSON.parse(json) as { component: { component: string; props: { children: Child[] } }; error: null };
  expect([component.component, error]).toEqual(["Card", null]);
  return component.props.children
    .map((child) => {
      expect(child.component).toBe("TextContent");
      return child.props.textMarkdown;
    })
    .join("\n");
}

interface Child {
  component: string;
  props: { textMarkdown: string };
}
