/** Checks the options of a factory and fills in the defaults. */
import { throwUsageError } from "./usage-error.ts";

/** The types that an option may have, by its name: results of `typeof`. */
export type OptionTypes = Readonly<Record<string, readonly string[]>>;

/** The longest delay of a timer in JavaScript, in milliseconds. Also the upper bound of every other number. */
const maxNumber = 2 ** 31 - 1;

/**
 * Returns the options with their defaults. `undefined` counts as absent. An option with a default has its type, all others are in
 * `types`. An option whose default is an object is a group of numbers (`limits`, `timeouts`), unless it is in `types`.
 *
 * @throws TypeError for an unknown name, a wrong type, and a number out of range.
 */
export function resolveOptions<T extends object>(given: object, defaults: T, types: OptionTypes = {}): T {
  return resolve(given, defaults, types, "");
}

/** Returns a group of numbers with their defaults. The numbers start at 1. `group` names it in errors. */
export function resolveNumbers<T extends object>(group: string, given: object, defaults: T): T {
  return resolve(given, defaults, {}, `${group}.`);
}

/** Throws for a store that lacks a method. */
export function checkStoreMethods(store: unknown, methods: readonly string[]): void {
  const given = Object(store) as Record<string, unknown>;
  for (const method of methods) {
    if (typeof given[method] !== "function") {
      throwUsageError(`store has no ${method}(). Pass a store, for example createMemoryStore().`);
    }
  }
}

/** @param group - What stands before a name in errors. */
function resolve<T extends object>(given: object, defaults: T, types: OptionTypes, group: string): T {
  const resolved = new Map<string, unknown>(Object.entries(defaults));
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const fallback = resolved.get(name);
    const allowed = Object.hasOwn(types, name) ? types[name] : fallback !== undefined && [typeof fallback];
    if (!allowed) {
      const names = Object.keys({ ...defaults, ...types }).join(", ");
      throwUsageError(`There is no option ${group}${name}. The options are ${names}.`);
    }
    if (value === null || !allowed.includes(typeof value)) throwUsageError(`${group}${name} must be of type ${allowed.join(" or ")}.`);
    if (typeof value === "number") checkNumber(`${group}${name}`, value, group ? 1 : 0);
    const isGroup = typeof fallback === "object" && fallback !== null && !Object.hasOwn(types, name);
    resolved.set(name, isGroup ? resolveNumbers(name, value as object, fallback) : value);
  }
  return Object.fromEntries(resolved) as T;
}

function checkNumber(name: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min && value <= maxNumber) return;
  throwUsageError(`${name} must be a whole number from ${min} to ${maxNumber}.`);
}
