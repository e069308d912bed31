/** The option `migrate: true` of the SQL stores. */
import { throwUsageError } from "../core/usage-error.ts";
import type { ThreadStore } from "../core/store.ts";

/** A store that can bring its schema up to date. */
interface MigratingStore extends ThreadStore {
  migrate(): Promise<void>;
}

/**
 * Returns the store itself, or with `migrate: true` one whose calls wait for `migrate()`. It runs before the first call, once for all
 * calls that come at the same time, and again before the next call if it failed.
 *
 * @throws TypeError if `migrate` is not a boolean.
 */
export function migrateFirst<Store extends MigratingStore>(store: Store, migrate: boolean | undefined = false): Store {
  if (typeof migrate !== "boolean") throwUsageError("migrate must be true or false");
  if (!migrate) return store;
  let migration: Promise<void> | undefined;

  function migrated(): Promise<void> {
    migration ??= store.migrate().catch((error: unknown) => {
      migration = undefined;
      throw error;
    });
    return migration;
  }

  return {
    ...store,
    listMessages: (thread, options) => migrated().then(() => store.listMessages(thread, options)),
    appendMessages: (thread, messages, options) => migrated().then(() => store.appendMessages(thread, messages, options)),
    updateMessage: (thread, id, change) => migrated().then(() => store.updateMessage(thread, id, change)),
    deleteMessages: (thread, ids) => migrated().then(() => store.deleteMessages(thread, ids)),
    listThreads: (owner, page) => migrated().then(() => store.listThreads(owner, page)),
    getThread: (thread) => migrated().then(() => store.getThread(thread)),
    createThread: (thread, title) => migrated().then(() => store.createThread(thread, title)),
    renameThread: (thread, title) => migrated().then(() => store.renameThread(thread, title)),
    deleteThread: (thread) => migrated().then(() => store.deleteThread(thread)),
    deleteOwner: (owner) => migrated().then(() => store.deleteOwner(owner)),
  };
}
