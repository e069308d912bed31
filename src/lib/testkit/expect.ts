/** The kit's own assertions: it runs under any test runner and depends on none. */

/** What a case found wrong. The runner of the case adds the invariant and the calls. */
export class Mismatch extends Error {}

/** Fails unless the condition holds. */
export function expectThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Mismatch(otherwise);
}

/** Fails unless both are the same plain data; an `undefined` field counts as absent. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  const found = differences(actual, expected, "");
  if (found.length === 0) return;
  const shown = found.slice(0, 5).map((line) => `\n  ${line}`);
  if (found.length > 5) shown.push(`\n  and ${found.length - 5} more differences`);
  throw new Mismatch(`${what}:${shown.join("")}`);
}

function differences(actual: unknown, expected: unknown, path: string): string[] {
  if (Object.is(actual, expected)) return [];
  if (Array.isArray(actual) && Array.isArray(expected)) {
    if (actual.length !== expected.length) {
      let same = 0;
      while (same < actual.length && same < expected.length && differences(actual[same], expected[same], "").length === 0) same++;
      const rest = (items: unknown[]) => (same < items.length ? show(items.slice(same)) : "no more");
      const counts = `expected ${expected.length} items, got ${actual.length}`;
      return [`${at(path)}${counts}; they part at [${same}], expected ${rest(expected)}, got ${rest(actual)}`];
    }
    return expected.flatMap((item, index) => differences(actual[index], item, `${path}[${index}]`));
  }
  if (isRecord(actual) && isRecord(expected)) {
    const names = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...names].flatMap((name) => differences(own(actual, name), own(expected, name), path ? `${path}.${name}` : name));
  }
  if (typeof actual === "string" && typeof expected === "string" && Math.max(actual.length, expected.length) > longestText) {
    let same = 0;
    while (same < actual.length && actual[same] === expected[same]) same++;
    const around = (text: string) => show(text.slice(Math.max(0, same - 20), same + 20));
    return [
      `${at(path)}expected ${expected.length} characters, got ${actual.length}; they part at ${same}, expected …${around(expected)}…, got …${around(actual)}…`,
    ];
  }
  return [`${at(path)}expected ${show(expected)}, got ${show(actual)}`];
}

const at = (path: string): string => (path ? `at ${path}: ` : "");

/** `value[name]`, but never from the prototype: `__proto__` may be a field of a message. */
function own(value: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Whether it is an object with names, and no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const longestText = 80;

/** Any value as short text, also one that no JSON can hold: this is what failures print. */
export function show(value: unknown, depth = 5): string {
  try {
    if (typeof value === "string") {
      const text = JSON.stringify(value.length > longestText ? value.slice(0, longestText - 30) : value);
      return value.length > longestText ? `${text}… (${value.length} characters)` : text;
    }
    if (typeof value === "bigint") return `${value}n`;
    if (typeof value === "function") return "a function";
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    if (typeof value !== "object" || value === null) return String(value);
    if (depth === 0) return "…";
    if (Array.isArray(value)) {
      const items = value.slice(0, 6).map((item) => show(item, depth - 1));
      return `[${items.join(", ")}${value.length > 6 ? `, … and ${value.length - 6} more` : ""}]`;
    }
    const fields = Object.entries(Object.getOwnPropertyDescriptors(value)).map(
      ([name, { value: field, get }]) => `${name}: ${get ? "a getter" : show(field, depth - 1)}`,
    );
    return fields.length === 0 ? "{}" : `{ ${fields.slice(0, 12).join(", ")}${fields.length > 12 ? ", …" : ""} }`;
  } catch {
    return "something that cannot be shown";
  }
}
