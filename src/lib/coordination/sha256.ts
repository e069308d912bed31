/** A hash that every runtime has. */
import { sha256 } from "@noble/hashes/sha2.js";

/**
 * Returns the first 128 bits of the SHA-256 of a text in base64, 22 characters: enough that nobody finds another text for a given hash. Half a
 * surrogate pair counts as U+FFFD. The runtime's own hash works on a thread of its own, which for an id or a prompt costs ten times as much.
 */
export function hash128(text: string): string {
  const hash = sha256(new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...hash.subarray(0, 16))).slice(0, 22);
}
