/** What the kit needs to know of the store it tests. */
import type { MessageStore, ThreadStore } from "../core/store.ts";

type MaybePromise<T> = T | Promise<T>;

/** What both tiers of subjects have in common. */
export interface Subject<Store extends MessageStore> {
  /**
   * Makes a store on no data: a fresh file, schema or key prefix. Called once per case. Whatever else the functions below need
   * (a file name, a connection) may be added to the store: `{ ...createMyStore(client), client }`.
   */
  create(): MaybePromise<Store>;
  /**
   * A second, independent instance on the data of the first, as another process has it: its own client, its own connection.
   * Without it the races between two instances are skipped.
   */
  peer?: ((store: Store) => MaybePromise<Store>) | undefined;
  /**
   * Closes the store, as an ending process does, and opens another on the same data. Without it the cases about durability are
   * skipped.
   */
  reopen?: ((store: Store) => MaybePromise<Store>) | undefined;
  /**
   * Closes a store and clears its data away. Called at the end of a case, also a failed one, with each store that is still
   * open: the one from `create` (or from `reopen` in its place) and every peer, the newest first.
   */
  destroy?: ((store: Store) => MaybePromise<void>) | undefined;
}

/** A store that keeps messages alone. The cases about threads are skipped. */
export interface MessageStoreSubject<Store extends MessageStore = MessageStore> extends Subject<Store> {
  /** Says that the store does not implement `ThreadStore`: one that has all its methods fails. */
  threads: false;
}

/** A store that also keeps the threads of an owner. */
export interface ThreadStoreSubject<Store extends ThreadStore = ThreadStore> extends Subject<Store> {
  /** Says that the store implements `ThreadStore`. */
  threads: true;
}
