/** Who asks. Fails closed: a slip in the app's `authorize` would show one person the threads of another. */
import type { Authorized, AuthorizeResult } from "../chat/options.ts";

/** The owner that `authorize` names, or its refusal. */
export async function findOwner(authorize: () => AuthorizeResult | Promise<AuthorizeResult>): Promise<Authorized | Response> {
  let found;
  try {
    found = await authorize();
  } catch (thrown) {
    // Remix and React Router throw their responses.
    if (!isResponse(thrown)) throw thrown;
    found = thrown;
  }
  if (isResponse(found)) return found;
  // Not even null: "session && { owner }" would open the threads of nobody to everyone who is logged out.
  const owner = found === undefined ? "" : found?.owner;
  if (typeof owner === "string") return { owner };
  throw new TypeError("authorize must return { owner: string }, a Response or undefined");
}

/** Not by `instanceof`: hono's Node server puts a class of its own in the place of `Response`, and what `fetch` gives is none. */
const isResponse = (value: unknown): value is Response => Object(value)[Symbol.toStringTag] === "Response";
