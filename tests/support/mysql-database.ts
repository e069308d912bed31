/** MySQL databases of the tests' own. */
import { randomUUID } from "node:crypto";
import { type Connection, createConnection, createPool, type Pool, type PoolOptions } from "mysql2/promise";
import { afterAll, beforeAll } from "vitest";
import { createMySqlStore, type MySqlStore } from "../../src/mysql.ts";
import { describeWith, remedyFor } from "../services/include.ts";

const { MYSQL_URL = "" } = process.env;

/** `describe` where a server was given. */
export const onMysql = describeWith("MySQL", MYSQL_URL !== "", remedyFor("MYSQL_URL"));

export interface MySqlDatabase {
  /** Its address, once the tests run. */
  readonly url: string;
  /** Each set of tables has a name of its own. */
  newPrefix(): string;
  /** A pool to it. */
  openPool(options?: PoolOptions): Pool;
  /** A connection of the test's own, closed at the end. */
  connect(): Promise<Connection>;
  /** A store with new tables, on a pool that all of them share. */
  newStore(): Promise<MySqlStore & { prefix: string }>;
}

/** Creates a database on the server. */
export async function createMysqlDatabase(server = MYSQL_URL): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  async function run(sql: string): Promise<void> {
    const connection = await createConnection(server);
    await connection.query(sql);
    await connection.end();
  }
  await run(`CREATE DATABASE ${name}`);
  return { url, drop: () => run(`DROP DATABASE ${name}`) };
}

/** Runs a statement on each connection of a pool before any other. */
export function onEachConnection(pool: Pool, sql: string): void {
  pool.on("connection", (connection) => (connection as unknown as { query(sql: string): void }).query(sql));
}

/** Creates a database for the tests of a `describe`, and drops it after them. */
export function useMysqlDatabase(): MySqlDatabase {
  const connections: Connection[] = [];
  let url: string;
  let drop: () => Promise<void>;
  let pool: Pool;
  let count = 0;

  const newPrefix = () => `t${++count}_`;

  beforeAll(async () => {
    ({ url, drop } = await createMysqlDatabase());
    pool = createPool({ uri: url, connectionLimit: 5 });
  });

  afterAll(async () => {
    await pool.end();
    for (const connection of connections) await connection.end();
    await drop();
  }, 120_000);

  return {
    get url() {
      return url;
    },
    newPrefix,
    openPool: (options = {}) => createPool({ uri: url, connectionLimit: 5, ...options }),
    async connect() {
      const connection = await createConnection(url);
      connections.push(connection);
      return connection;
    },
    async newStore() {
      const prefix = newPrefix();
      const store = createMySqlStore(pool, { prefix });
      await store.migrate();
      return { ...store, prefix };
    },
  };
}
