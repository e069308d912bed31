/** How the kit opens and closes the store that it tests. */
import type { MessageStore, ThreadStore } from "../core/store.ts";

type MaybePromise<T> = T | Promise<T>;

/** The functions that the kit needs for a store of either tier. */
export interface Subject<Store extends MessageStore> {
  /**
   * Opens a store without data: a new file, schema or key prefix. Called once per case, and again within a case that compares two
   * stores, after the first one was destroyed. Add what the functions below need, such as a file name or a connection, to the store:
   * `{ ...createMyStore(client), client }`.
   */
  create(): MaybePromise<Store>;
  /**
   * Opens a second, independent instance on the data of the first, as another process does: with its own client and connection.
   * Without it, the kit skips the cases about two instances. These find most faults in locks, caches, clocks and counters.
   */
  peer?: ((store: Store) => MaybePromise<Store>) | undefined;
  /**
   * Closes the store, as a process that ends does, and opens another one on the same data. Without it, the kit skips the cases about
   * durability.
   */
  reopen?: ((store: Store) => MaybePromise<Store>) | undefined;
  /**
   * Closes a store and removes its data. Called at the end of each case, passed or failed, with each store that is still open: every
   * peer, the newest first, then the store from `create`, or from `reopen` in its place.
   */
  destroy?: ((store: Store) => MaybePromise<void>) | undefined;
}

/** A store that only keeps messages. The kit skips the cases about threads. */
export interface MessageStoreSubject<Store extends MessageStore = MessageStore> extends Subject<Store> {
  /** Declares that the store does not implement `ThreadStore`. The kit fails if it has all methods of one. */
  threads: false;
}

/** A store that also keeps the threads of an owner. */
export interface ThreadStoreSubject<Store extends ThreadStore = ThreadStore> extends Subject<Store> {
  /** Declares that the store implements `ThreadStore`. */
  threads: true;
}
