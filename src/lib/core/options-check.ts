/** Misuse fails at construction, with a message that names the remedy. */

/** Throws the `TypeError` of a wrong construction. */
export function misuse(problem: string): never {
  throw new TypeError(`chat-handler: ${problem}`);
}

/** What a timer of JavaScript can wait at most, in milliseconds; as good a bound for every other number. */
const mostNumber = 2 ** 31 - 1;

/**
 * Options over their defaults, `undefined` counting as absent. Each must be of its kind, and an unknown name is refused, so that a
 * slip of the pen is not silently without effect. Groups of numbers (those a default stands for with an object that is not in
 * `kinds`) are filled in likewise; their numbers are whole and at least 1.
 */
export function withDefaults<T extends object>(given: object, defaults: T, kinds: Readonly<Record<string, string>> = {}, path = ""): T {
  const settings = new Map<string, unknown>(Object.entries(defaults));
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const name = path + key;
    const standard = settings.get(key);
    const kind = Object.hasOwn(kinds, key) ? kinds[key] : standard ? typeof standard : undefined;
    if (!kind) return misuse(`there is no option ${name} among ${Object.keys({ ...defaults, ...kinds }).join(", ")}`);
    if (value === null || !kind.includes(typeof value)) misuse(`${name} must be of type ${kind.replace(" ", " or ")}`);
    const least = path ? 1 : 0;
    if (kind === "number" && !(Number.isInteger(value) && value >= least && value <= mostNumber)) {
      misuse(`${name} must be a whole number from ${least} to ${mostNumber}`);
    }
    settings.set(key, kind === "object" && standard ? withDefaults(value as object, standard, {}, `${name}.`) : value);
  }
  return Object.fromEntries(settings) as T;
}

/** Refuses a store that lacks a method, by name. */
export function checkStore(store: object | undefined, methods: readonly string[]): void {
  for (const method of methods) {
    if (typeof (Object(store) as Record<string, unknown>)[method] !== "function") {
      misuse(`the store has no ${method}(): use one that has, like createMemoryStore()`);
    }
  }
}
