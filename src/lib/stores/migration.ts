/** Versioned schemas of the SQL stores. */

/** One step of a schema. Steps are never changed once published; new ones are added at the end. */
export interface Migration {
  /** Steps are applied in this order, each once. */
  version: number;
  /** What it does, in a few words. */
  name: string;
  /** The statements, the last of which records the version. To be run in one transaction. */
  sql: string;
}
