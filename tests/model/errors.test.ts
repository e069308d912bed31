/** Errors as real providers send them: events within a 200, and the bodies of error responses. All over HTTP. */
import { gzipSync } from "node:zlib";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { chatBody, expectError, startChat } from "../support/chat.ts";
import { doneEvent, sendPieces, toEvent } from "../support/model-scripts.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

describe("too many requests, within a 200", () => {
  it.each<[string, unknown]>([
    ["a code", { error: { message: "Provider returned error, sk-secret", code: 429 } }],
    ["a code that is text", { error: { message: "sk-secret", code: "429" } }],
    ["a word", { error: { message: "sk-secret", code: "rate_limit_exceeded" } }],
    ["an object of its own", { object: "error", message: "sk-secret", code: 429 }],
    ["a list", [{ error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "sk-secret" } }]],
    ["a chunk", { choices: [], error: { code: 429, message: "sk-secret" } }],
  ])("as %s is the same as HTTP 429", async (_, event) => {
    const chat = await startChat({ script: sendPieces(toEvent(event), doneEvent) });
    const response = await chat.post(chatBody("Hi"));
    expect(await response.clone().text()).not.toContain("sk-secret");
    await expectError(response, 429, "rate_limited");
  });
});

describe("the body of an error", () => {
  it("is read no further than a log can take, however it is compressed", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    try {
      const bomb = gzipSync(Buffer.alloc(100_000_000, "x"));
      const chat = await startChat({
        onError: undefined,
        script: async (call) => {
          call.head(500, { "Content-Encoding": "gzip" });
          await call.send(bomb);
        },
      });
      await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
      await chat.waitForTurns();
      const line = String(log.mock.calls[0]?.[0]);
      expect(line).toMatch(/^chat-handler: model_failed \(502\)/);
      expect(line.length).toBeLessThanOrEqual(1_000);
      expect(line).not.toContain("\n");
    } finally {
      log.mockRestore();
    }
  });

  it("is not awaited for ever", { timeout: 15_000 }, async () => {
    const chat = await startChat({
      script: async (call) => {
        call.head(500);
        while (call.disconnectedAt === undefined) {
          await call.send("x");
          await Promise.race([call.closed, delay(100)]);
        }
      },
    });
    await expectError(await chat.post(chatBody("Hi")), 502, "model_failed");
  });
});
