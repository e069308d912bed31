/** The coordinator's schema in PostgreSQL, and its versions. */
import { checkOptionNames } from "../../core/usage-error.ts";
import type { Migration } from "../../sql/migration.ts";
import type { PostgresSchemaOptions } from "../../sql/postgres.ts";
import { logFunctions } from "./log-functions.ts";
import { coordinatorNames, type CoordinatorNames } from "./names.ts";
import { queueFunctions } from "./queue-functions.ts";
import { ticketFunctions } from "./ticket-functions.ts";

/**
 * Returns the coordinator's schema as SQL, for an app that runs its own migrations. Run each step once, in order, in a transaction.
 * Otherwise call the coordinator's `migrate()`, which does the same. The coordinator's role needs SELECT, INSERT, UPDATE and DELETE on the
 * tables, and EXECUTE on the functions.
 *
 * @throws TypeError for an unknown option or an invalid name.
 *
 * @example
 * for (const { version, name, sql } of postgresCoordinatorSchema()) console.log(`-- ${version}: ${name}\n${sql}`);
 */
export function postgresCoordinatorSchema(options: PostgresSchemaOptions = {}): Migration[] {
  checkOptionNames("postgresCoordinatorSchema", options, ["schema", "prefix"]);
  const { prefix = "chat_" } = options;
  const names = coordinatorNames(options);
  return [
    {
      version: 1,
      name: "tickets and logs",
      sql: `
CREATE TABLE ${names.versions} (version integer PRIMARY KEY);
${tables(names, prefix)}
${ticketFunctions(names)}
${queueFunctions(names)}
${logFunctions(names)}
INSERT INTO ${names.versions} VALUES (1);
`,
    },
  ];
}

/**
 * All tables are unlogged: a coordinator may forget everything. So no call waits for the disk, and the WAL gets only a record of each
 * commit. A crash empties all of them at once, so there is never a ticket without its log. A restart after a clean shutdown keeps them. A
 * standby starts empty.
 *
 * - `slots`: one row for many threads, by the first 12 bits of a thread's digest. Its row lock serializes the calls that concern more than
 *   one ticket. Rows are never deleted, so `epoch`, the time of the row's creation, is a new one only after the tables were emptied.
 * - `tickets`: a row for each attempt, also after it has left, until it is swept. `place` is the time of entrance in microseconds: places
 *   that were given after a crash are behind those from before. `response` and `attempt` are JSON, which holds every string. No column that
 *   renewing or appending changes is in an index, and pages have room for the next version of a row, so these updates leave the indexes
 *   alone.
 * - `turn_log`: pieces of at most 32 KiB, so that a slice of a long log is read without the rest.
 *
 * `retention` is that of the instance that entered, in milliseconds. Everything else that comes from clients is a SHA-256 digest, so that
 * it fits into an index entry at any length.
 */
function tables({ slots, tickets, followers, stops, log }: CoordinatorNames, prefix: string): string {
  return `CREATE UNLOGGED TABLE ${slots} (
  slot integer PRIMARY KEY,
  epoch bigint NOT NULL
) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE ${tickets} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  place bigint NOT NULL,
  log_length bigint NOT NULL DEFAULT 0,
  retention bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  left_at timestamptz,
  sweep_at timestamptz NOT NULL,
  is_open boolean NOT NULL DEFAULT true,
  is_ended boolean NOT NULL DEFAULT false,
  is_closed boolean NOT NULL DEFAULT false,
  is_stopped boolean NOT NULL,
  is_started boolean NOT NULL DEFAULT false,
  has_predecessor_started boolean NOT NULL DEFAULT false,
  thread bytea NOT NULL,
  turn bytea NOT NULL,
  prompt bytea NOT NULL,
  response text NOT NULL,
  attempt text NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX "${prefix}tickets_by_turn" ON ${tickets} (turn, id);
CREATE INDEX "${prefix}tickets_in_queue" ON ${tickets} (thread, place) WHERE is_open;
CREATE INDEX "${prefix}tickets_to_sweep" ON ${tickets} (sweep_at);
CREATE UNLOGGED TABLE ${followers} (
  ticket bigint NOT NULL,
  follower bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (ticket, follower)
) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE ${stops} (
  turn bytea PRIMARY KEY,
  expires_at timestamptz NOT NULL
);
CREATE INDEX "${prefix}stops_to_sweep" ON ${stops} (expires_at);
CREATE UNLOGGED TABLE ${log} (
  ticket bigint NOT NULL,
  starts_at bigint NOT NULL,
  data text NOT NULL,
  PRIMARY KEY (ticket, starts_at)
);`;
}
