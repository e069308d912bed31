/** The one error class, and its form on the wire. */
import { describe, expect, it } from "vitest";
import { ChatHandlerError, type ChatHandlerErrorCode } from "../../src/index.ts";
import { chatBody, readResponse, startChat } from "../support/chat.ts";
import { failOnUnhandledErrors } from "../support/unhandled-errors.ts";

failOnUnhandledErrors();

const statuses: Record<ChatHandlerErrorCode, number> = {
  invalid_json: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  thread_busy: 409,
  id_conflict: 409,
  thread_deleted: 409,
  form_mismatch: 409,
  turn_stopped: 409,
  cursor_gone: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  too_many_turns: 429,
  client_gone: 499,
  body_already_read: 500,
  internal: 500,
  model_failed: 502,
  answer_incomplete: 502,
  answer_too_large: 502,
  store_failed: 503,
  coordinator_failed: 503,
  lease_lost: 503,
  model_timeout: 504,
  turn_timeout: 504,
};
const codes = Object.entries(statuses) as [ChatHandlerErrorCode, number][];

describe("ChatHandlerError", () => {
  it.each(codes)("%s has status %d", (code, status) => {
    const cause = new Error("cause");
    const error = new ChatHandlerError(code, "Message.", { cause, param: "a.b", retryAfter: "7" });
    expect(error).toBeInstanceOf(Error);
    expect({ ...error, name: error.name, message: error.message, status: error.status, cause: error.cause }).toEqual({
      name: "ChatHandlerError",
      message: "Message.",
      code,
      status,
      param: "a.b",
      retryAfter: "7",
      cause,
    });
  });

  it("needs no options", () => {
    const error = new ChatHandlerError("forbidden", "No.");
    expect([error.param, error.retryAfter, error.cause]).toEqual([undefined, undefined, undefined]);
  });

  it.each(["unauthenticated", "constructor", "__proto__"])("with an unknown code, %s, has status 500", async (code) => {
    const authorize = () => {
      throw new ChatHandlerError(code as "internal", "No.");
    };
    for (const showErrors of [false, true]) {
      const chat = await startChat({ authorize, showErrors });
      expect((await chat.post(chatBody("Hi"))).status).toBe(showErrors ? 200 : 500);
    }
  });

  it.each(["a\nb", "später", "org acme key sk_live_123", "key, sk_live_12345678901234 GMT!"])(
    "passes no Retry-After on that is neither seconds nor a date: %j",
    async (retryAfter) => {
      const authorize = () => {
        throw new ChatHandlerError("rate_limited", "Slow down.", { retryAfter });
      };
      const chat = await startChat({ authorize });
      const response = await chat.post(chatBody("Hi"));
      expect([response.status, response.headers.has("Retry-After")]).toEqual([429, false]);
    },
  );

  it("passes a date on", async () => {
    const retryAfter = new Date(0).toUTCString();
    const authorize = () => {
      throw new ChatHandlerError("rate_limited", "Slow down.", { retryAfter });
    };
    const chat = await startChat({ authorize });
    expect((await chat.post(chatBody("Hi"))).headers.get("Retry-After")).toBe(retryAfter);
  });

  it.each(["authorize", "model", "onTurnEnd"] as const)(
    "treats a value that throws when it is inspected as an error, in %s",
    async (name) => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const fail = () => {
        throw proxy as Error;
      };
      const chat = await startChat({ [name]: fail });
      const seen = await readResponse(chat.post(chatBody("Hi")));
      expect(seen.status).toBe(name === "onTurnEnd" ? 200 : 500);
      await chat.waitForTurns();
      expect(chat.errors.map(({ code }) => code)).toEqual(["internal"]);
      const healed = await startChat({ sharesStoreWith: chat });
      expect((await readResponse(healed.post(chatBody("Next", 2)))).text).toBe("Answer to Next.");
    },
  );

  it.each(codes)("%s thrown by authorize sets the status, the message and a type that OpenAI's clients know", async (code, status) => {
    const chat = await startChat({
      authorize: () => {
        throw new ChatHandlerError(code, "In plain words.", { param: "threadId", retryAfter: "7" });
      },
    });
    const response = await chat.post(chatBody("Hi"));
    expect(response.status).toBe(status);
    expect(response.headers.get("Retry-After")).toBe("7");
    const type = status < 500 ? "invalid_request_error" : "server_error";
    expect(await response.json()).toEqual({ error: { message: "In plain words.", type, code, param: "threadId" } });
  });
});
