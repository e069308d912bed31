/** A hash that every runtime has. */

/**
 * Returns the first 128 bits of the SHA-256 of a text as 32 hexadecimal digits: enough that nobody finds another text for a given hash. Half a
 * surrogate pair counts as U+FFFD.
 */
export async function hash128(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
