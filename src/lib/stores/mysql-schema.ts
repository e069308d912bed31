/** The MySQL schema and its versions. */
import { checkOptionNames } from "../core/usage-error.ts";
import { mysqlProcedures, mysqlTables } from "./mysql-procedures.ts";

/** Options of {@link mysqlSchema}. */
export interface MySqlSchemaOptions {
  /** What the names of tables and procedures begin with. At most 40 letters, digits and underscores. @default "chat_" */
  prefix?: string | undefined;
}

/** One step of the schema. Published steps never change; a release adds new ones at the end. */
export interface MySqlMigration {
  /** Steps are applied in this order, each once. */
  version: number;
  /** What the step does, in a few words. */
  name: string;
  /**
   * The statements, to be run one by one, without a delimiter. The last one records the version. MySQL commits after each of them, so
   * a step that was interrupted is run again from its start: skip what exists already.
   */
  statements: string[];
}

/**
 * Returns the schema as SQL, for an app that runs its own migrations. Run each step once, in order. Otherwise call the store's
 * `migrate()`, which does the same. The user of the store needs the privileges SELECT, INSERT, UPDATE, DELETE and EXECUTE. The user that
 * runs the schema also needs CREATE, REFERENCES and CREATE ROUTINE.
 *
 * @throws TypeError for an unknown option or an invalid prefix.
 *
 * @example
 * for (const { version, name, statements } of mysqlSchema()) {
 *   console.log(`-- ${version}: ${name}\nDELIMITER //\n${statements.join(" //\n")} //\nDELIMITER ;`);
 * }
 */
export function mysqlSchema(options: MySqlSchemaOptions = {}): MySqlMigration[] {
  const { prefix = "chat_" } = options;
  checkOptionNames("mysqlSchema", options, ["prefix"]);
  const tables = mysqlTables(prefix);
  const { threads, messages, versions } = tables;
  // Not the default charset of the database: utf8mb3 and latin1 lose characters.
  const tableOptions = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
  return [
    {
      version: 1,
      name: "threads and messages",
      // An index entry has at most 3,072 bytes, too few for an owner and a thread id of any length. So the indexes hold hashes. They
      // also compare exactly, which no collation does: `utf8mb4_bin` ignores spaces at the end. The size of a body is a column, because
      // MySQL reads all of a body to count it.
      statements: [
        `CREATE TABLE ${versions} (version INT NOT NULL PRIMARY KEY) ${tableOptions}`,
        `CREATE TABLE ${threads} (
  \`key\` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  owner_hash BINARY(32) NOT NULL,
  thread_hash BINARY(32) NOT NULL,
  owner LONGTEXT NOT NULL,
  thread_id LONGTEXT NOT NULL,
  title LONGTEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  activity BIGINT NOT NULL,
  last_seq BIGINT NOT NULL DEFAULT 0,
  UNIQUE KEY by_id (owner_hash, thread_hash),
  KEY by_activity (owner_hash, activity, thread_hash)
) ${tableOptions}`,
        `CREATE TABLE ${messages} (
  thread BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  id_hash BINARY(32) NOT NULL,
  prompt_hash BINARY(32) NOT NULL,
  complete BOOLEAN NOT NULL,
  body LONGTEXT NOT NULL,
  size BIGINT GENERATED ALWAYS AS (LENGTH(body)) STORED,
  PRIMARY KEY (thread, seq),
  UNIQUE KEY by_id (thread, id_hash),
  KEY by_prompt (thread, prompt_hash),
  CONSTRAINT FOREIGN KEY (thread) REFERENCES ${threads} (\`key\`) ON DELETE CASCADE
) ${tableOptions}`,
        ...Object.values(mysqlProcedures(prefix, tables)).map(({ create }) => create),
        `INSERT INTO ${versions} VALUES (1)`,
      ],
    },
  ];
}
