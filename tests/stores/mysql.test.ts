/** The kit over MySQL: through every client, and whatever the settings of a connection are. */
import type { PoolOptions } from "mysql2/promise";
import { expect, test } from "vitest";
import type { ThreadStore } from "../../src/index.ts";
import { createMySqlStore, type MySqlClient } from "../../src/mysql.ts";
import { messageStoreCases, testMessageStore, type ThreadStoreSubject } from "../../src/testkit.ts";
import { describeWith, installed } from "../services/include.ts";
import { prefixOwners } from "../support/prefix-owners.ts";
import { onEachConnection, onMysql, useMysqlDatabase } from "../support/mysql-database.ts";

interface MariaPool {
  query(sql: string): Promise<unknown>;
  execute(sql: string, values: unknown[]): Promise<unknown>;
  end(): Promise<void>;
}
const mariadb = await installed<{ createPool(options: object): MariaPool }>("./node_modules/mariadb/promise.js");

onMysql("MySQL", () => {
  const database = useMysqlDatabase();

  type Open = () => { client: MySqlClient; close(): Promise<void> };
  type Opened = ThreadStore & { space: string; close(): Promise<void> };

  /** Cases share tables, each in a space of its own: creating tables takes longer than most cases. */
  function subject(open: Open): ThreadStoreSubject<Opened> {
    const prefix = database.newPrefix();
    let spaces = 0;
    const openStore = async (space: string): Promise<Opened> => {
      const { client, close } = open();
      const store = createMySqlStore(client, { prefix });
      await store.migrate();
      return { ...prefixOwners(store, space), space, close };
    };
    return {
      threads: true,
      create: () => openStore(`${++spaces}: `),
      peer: ({ space }) => openStore(space),
      async reopen({ space, close }) {
        await close();
        return openStore(space);
      },
      destroy: ({ close }) => close(),
    };
  }

  const openPool =
    (options: PoolOptions = {}, ...settings: string[]): Open =>
    () => {
      const pool = database.openPool(options);
      for (const setting of settings) onEachConnection(pool, `SET SESSION ${setting}`);
      return { client: pool, close: () => pool.end() };
    };

  testMessageStore("mysql2 pool", subject(openPool()), { test });

  // What an app may have set for its own statements: rows of another shape, numbers of another kind, another count of changed rows.
  const unusual: PoolOptions = {
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    namedPlaceholders: true,
    jsonStrings: true,
    flags: ["-FOUND_ROWS"],
  };
  testMessageStore("mysql2 pool with other options", subject(openPool(unusual)), { test });

  // The isolation level matters to the cases in which calls meet. The default is REPEATABLE READ.
  const sessions = [
    ["TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'"],
    ["TRANSACTION ISOLATION LEVEL READ COMMITTED", "sql_mode = ''"],
    ["TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
  ];
  for (const settings of sessions) {
    const meetings = messageStoreCases(subject(openPool({}, ...settings))).filter(({ name }) => name.includes("between"));
    for (const { name, run } of meetings)
      test(`mysql2 pool, ${settings.join(", ")}: ${name}`, () => expect(run()).resolves.toBeUndefined());
  }

  const withMariadb = describeWith("the mariadb package", mariadb !== undefined, "npm install --prefix tests/services");
  withMariadb("mariadb", () => {
    const open: Open = () => {
      const { hostname: host, port, username: user, password, pathname } = new URL(database.url);
      const pool = mariadb!.createPool({ host, port: Number(port), user, password, database: pathname.slice(1), connectionLimit: 5 });
      const client: MySqlClient = {
        query: async (sql) => [await pool.query(sql)],
        execute: async (sql, values) => [await pool.execute(sql, values)],
      };
      return { client, close: () => pool.end() };
    };
    testMessageStore("mariadb pool", subject(open), { test });
  });

  test("the settings of the kit's connections are those asked for", async () => {
    const pool = database.openPool();
    onEachConnection(pool, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    const [rows] = await pool.query("SHOW SESSION VARIABLES LIKE '%isolation'");
    expect(JSON.stringify(rows)).toContain('"SERIALIZABLE"');
    await pool.end();
  });
});
