import { describe, expect, it } from "vitest";
import { isSamePrompt, partFields } from "../../src/lib/core/prompt.ts";

describe("two prompts are the same", () => {
  const message = (content: unknown) => ({ role: "user", content });
  const part = (type: string, fields: object) => (type === "text" ? { type, ...fields } : { type, [type]: fields });

  it("in any order of fields, and with fields that a database adds", () => {
    const one = message([{ type: "text", text: "Hi" }]);
    expect(isSamePrompt(one, { seq: 7, content: [{ text: "Hi", type: "text" }], role: "user" })).toBe(true);
    expect(isSamePrompt(message("Hi"), message("Ho"))).toBe(false);
    expect(isSamePrompt(message("Hi"), one)).toBe(false);
  });

  const fields = [...partFields].flatMap(([type, names]) => names.map((name) => ({ type, name })));

  it.each(fields)("only with the same $name in a part of type $type", ({ type, name }) => {
    const whole = Object.fromEntries((partFields.get(type) ?? []).map((field) => [field, `${field} of a part`]));
    const one = message([part(type, whole)]);
    expect(isSamePrompt(one, structuredClone(one))).toBe(true);
    expect(isSamePrompt(one, message([part(type, { ...whole, [name]: "another" })]))).toBe(false);
  });
});
