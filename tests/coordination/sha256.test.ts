import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { hash128 } from "../../src/lib/coordination/sha256.ts";

test.each(["", "abc", "a".repeat(1000), "Grüße 😀", "half \ud83d"])("hashes %j as SHA-256 does", (text) => {
  expect(hash128(text)).toBe(createHash("sha256").update(text).digest().subarray(0, 16).toString("base64").slice(0, 22));
});
