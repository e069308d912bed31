/** Names in SQL. */
import { throwUsageError } from "../core/usage-error.ts";

/** Throws for a name that SQL would have to escape. The limit leaves room for the endings that are added. */
export function checkIdentifier(option: string, name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(name)) {
    throwUsageError(`${option} must be a name of at most 40 letters, digits and underscores, not ${JSON.stringify(name)}`);
  }
}
