/** What a handler bounds, and how long it waits. */

/** The fields of `T`, each optional. `undefined` counts as absent. */
export type PartialOptions<T> = { [Name in keyof T]?: T[Name] | undefined };

/** Bounds of a chat handler. Input beyond a bound is rejected with an error, never cut silently. */
export interface Limits {
  /** Size of a request body in bytes → 413. @default 1048576 (1 MiB) */
  bodyBytes: number;
  /** All of a prompt in characters (UTF-16 code units), including addresses and data of images and files → 400. @default 100000 */
  promptCharacters: number;
  /** Content parts of a prompt → 400. @default 32 */
  parts: number;
  /** Length of an id in characters → 400. @default 128 */
  idCharacters: number;
  /** Text of an answer and the arguments of its tool calls, in characters. A longer answer fails. @default 1000000 */
  answerCharacters: number;
  /** Model calls in one turn. A model that keeps calling tools beyond it fails the answer. @default 8 */
  steps: number;
  /** Turns that may wait on one thread → 409. @default 32 */
  queue: number;
  /**
   * Requests of one owner, in one process, that wait, run or are still read, joins and replays included → 429. Stops have as many places of
   * their own. Without `authorize`, all users are one owner.
   *
   * @default 10000
   */
  turnsPerOwner: number;
  /**
   * Text of ended answers that the clients of one owner have not read, in one process, in characters. Beyond it, the client that has not read for
   * longest is disconnected.
   *
   * @default 20000000
   */
  unreadCharacters: number;
}

/** How long a chat handler waits, in milliseconds. Each at most 2147483647. */
export interface Timeouts {
  /** For `admit`, and for `authorize` → 500. @default 30000 */
  authorize: number;
  /** For a request body to arrive → 400. @default 30000 */
  body: number;
  /** For the turns ahead in the thread's queue → 409. @default 60000 */
  queue: number;
  /**
   * For one call of the store → 503. Set it longer than your database client's own timeout: a call that timed out here may still
   * take effect later. It never replaces a complete answer.
   *
   * @default 10000
   */
  store: number;
  /** For the first chunk of a model call → 504. @default 120000 */
  firstChunk: number;
  /** Between two chunks of the model → 504. @default 60000 */
  idle: number;
  /** For a whole turn, from the front of its queue, including a client that does not read → 504. Also for `generateTitle` and for `onTurnEnd`. @default 600000 */
  turn: number;
  /** For a client to read on after the answer has ended. Then its stream breaks. @default 60000 */
  read: number;
}

/** The default of each limit. */
export const defaultLimits: Limits = {
  bodyBytes: 1024 * 1024,
  promptCharacters: 100_000,
  parts: 32,
  idCharacters: 128,
  answerCharacters: 1_000_000,
  steps: 8,
  queue: 32,
  turnsPerOwner: 10_000,
  unreadCharacters: 20_000_000,
};

/** The default of each timeout. */
export const defaultTimeouts: Timeouts = {
  authorize: 30_000,
  body: 30_000,
  queue: 60_000,
  store: 10_000,
  firstChunk: 120_000,
  idle: 60_000,
  turn: 600_000,
  read: 60_000,
};
