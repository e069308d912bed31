/** The versions of a SQL schema. */

/** One step of a schema. A published step never changes; a release adds new steps at the end. */
export interface Migration {
  /** The order in which the steps are applied, each once. */
  version: number;
  /** What the step does, in a few words. */
  name: string;
  /** The statements, to be run in one transaction. The last one records the version. */
  sql: string;
}
