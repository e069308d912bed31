/** Prompts that the provider refused stay in the store, and later requests leave them out. All over HTTP. */
import { describe, expect, it } from "vitest";
import { chatBody, expectError, readResponse, startChat } from "../support/chat.ts";
import { answerWith, rejectWith, sendPieces, toEvent } from "../support/model-scripts.ts";
import type { Script } from "../support/model-server.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

describe("a prompt that the provider refused", () => {
  const image = [{ type: "image_url", image_url: { url: "https://example.com/a.png" } }];
  const refusesImages =
    (status: number): Script =>
    (call) =>
      JSON.stringify(call.body).includes("image_url")
        ? rejectWith(status, { error: { message: "no image" } })(call)
        : answerWith("Sure.")(call);

  it.each([400, 413, 422])("with %d stays stored, and is not sent again by any instance", async (status) => {
    const chat = await startChat({ script: refusesImages(status) });
    expect((await readResponse(chat.post(chatBody("Q1", 1)))).text).toBe("Sure.");
    await expectError(await chat.post(chatBody(image, 2)), 502, "model_failed");
    await chat.waitForTurns();
    expect((await chat.listStored()).map(({ id }) => id)).toEqual(["p1", "r1", "p2"]);
    const other = await startChat({ script: refusesImages(status), sharesStoreWith: chat });
    for (const [n, instance] of [chat, other, chat].entries()) {
      const id = n + 3;
      expect(await readResponse(instance.post(chatBody("Just tell me a joke", id)))).toMatchObject({ text: "Sure.", failed: false });
      expect(instance.model.calls.at(-1)?.body.messages.map(({ content }) => content)).not.toContainEqual(image);
    }
    // Refused once, and not asked for again.
    expect(chat.model.calls.filter(({ body }) => JSON.stringify(body).includes("image_url"))).toHaveLength(1);
    chat.model.always(answerWith("Now I can."));
    expect((await readResponse(chat.post(chatBody(image, 2)))).text).toBe("Now I can.");
    await readResponse(chat.post(chatBody("And now?", 9)));
    expect(JSON.stringify(chat.model.calls.at(-1)?.body.messages)).toContain("Now I can.");
  });

  it.each([401, 403, 404, 429, 500, 503])("with %d is sent again", async (status) => {
    const chat = await startChat();
    chat.model.next(rejectWith(status, {}));
    await readResponse(chat.post(chatBody("Q1", 1)));
    await readResponse(chat.post(chatBody("Q2", 2)));
    expect(chat.model.calls[1]?.body.messages.map(({ content }) => content)).toEqual(["Q1", "Q2"]);
  });

  it("with an error event is not sent again", async () => {
    const chat = await startChat();
    chat.model.next(sendPieces(toEvent({ error: { message: "prompt is too long", code: 400 } })));
    await expectError(await chat.post(chatBody("Q1", 1)), 502, "model_failed");
    await chat.waitForTurns();
    await readResponse(chat.post(chatBody("Q2", 2)));
    expect(chat.model.calls[1]?.body.messages.map(({ content }) => content)).toEqual(["Q2"]);
  });

  it("does no harm when its mark could not be stored", async () => {
    const chat = await startChat({ script: refusesImages(400) });
    const plain = await startChat({ sharesStoreWith: chat, script: rejectWith(500, {}) });
    await readResponse(plain.post(chatBody(image, 1)));
    await plain.waitForTurns();
    expect((await readResponse(chat.post(chatBody("A joke", 2)))).text).toBe("Sure.");
  });
});
