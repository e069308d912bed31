/** Finds the protocol of a request. The shape of the body decides: there is nothing to configure. */
import { createInvalidRequest } from "../core/errors.ts";
import type { Limits } from "../core/limits.ts";
import type { ChatRequest, Protocol } from "../core/protocol.ts";
import { c1 } from "../protocols/c1/protocol.ts";

/** Each protocol says whether a body is its own. The last one reads what no other recognises, and its errors name the fields. */
const protocols: readonly Protocol[] = [c1];

/** Reads a body with the first protocol that recognises it. */
export function parseBody(body: Record<string, unknown>, limits: Limits): { protocol: Protocol; chatRequest: ChatRequest } {
  for (const protocol of protocols) {
    const chatRequest = protocol.parse(body, limits);
    if (chatRequest) return { protocol, chatRequest };
  }
  throw createInvalidRequest("", "is not a request of any chat client that this handler supports");
}
