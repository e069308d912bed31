/** Misuse fails at construction, with a message that names the remedy. */

/** Throws the `TypeError` of a wrong construction. */
export function misuse(problem: string): never {
  throw new TypeError(`chat-handler: ${problem}`);
}

/**
 * The options that are not `undefined`, each checked to be of its kind: what `typeof` says, or several of that with `" or "`
 * between. An unknown name is refused, so that a slip of the pen is not silently without effect.
 */
export function checkKinds<T extends object>(given: T, kinds: Readonly<Record<string, string>>, path = ""): Partial<T> {
  const defined = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [name, value] of defined) {
    const kind = kinds[name] ?? misuse(`unknown option ${path}${name}; there are ${Object.keys(kinds).join(", ")}`);
    if (value === null || !kind.split(" or ").includes(typeof value)) misuse(`${path}${name} must be a ${kind}`);
  }
  return Object.fromEntries(defined) as Partial<T>;
}

/** Whole numbers from 1 to `most` over their defaults. */
export function checkNumbers<T extends object>(path: string, defaults: T, given: Partial<T> = {}, most: number = Number.MAX_SAFE_INTEGER): T {
  const kinds = Object.fromEntries(Object.keys(defaults).map((name) => [name, "number"]));
  const numbers = checkKinds(given, kinds, `${path}.`);
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isInteger(value) || Number(value) < 1 || Number(value) > most) misuse(`${path}.${name} must be a whole number from 1 to ${most}`);
  }
  return { ...defaults, ...numbers };
}

/** Refuses a store that lacks a method, by name. */
export function checkStore(store: object | undefined, methods: readonly string[]): void {
  for (const method of methods) {
    if (typeof (store as Record<string, unknown> | undefined)?.[method] !== "function") {
      misuse(`the store has no ${method}(): use one that has, for example createMemoryStore()`);
    }
  }
}

/** What a timer of JavaScript can wait at most, in milliseconds. */
export const longestTimer: number = 2 ** 31 - 1;
