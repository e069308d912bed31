/** Finds the protocol of a request. The shape of the body decides: there is nothing to configure. */
import { createInvalidRequest } from "../core/errors.ts";
import type { ChatRequest, Protocol } from "../core/protocol.ts";
import { checkPartTypes } from "../core/validate.ts";
import { c1 } from "../protocols/c1/protocol.ts";
import type { ChatSettings } from "./options.ts";

/** A request and the protocol that it came in. */
export interface ParsedBody {
  protocol: Protocol;
  chatRequest: ChatRequest;
}

/** Each protocol says whether a body is its own. The last one reads what no other recognises, and its errors name the fields. */
const protocols: readonly Protocol[] = [c1];

/** Reads a body with the first protocol that recognises it. */
export function parseBody(body: Record<string, unknown>, { limits, promptParts }: ChatSettings): ParsedBody {
  for (const protocol of protocols) {
    const chatRequest = protocol.parse(body, limits);
    if (!chatRequest) continue;
    checkPartTypes(chatRequest.prompt, promptParts);
    return { protocol, chatRequest };
  }
  throw createInvalidRequest("", "is not a request of any chat client that this handler supports");
}
