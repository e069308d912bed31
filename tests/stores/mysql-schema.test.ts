/** How the schema of the MySQL store comes to be, and which connections and texts it refuses. */
import { createPool } from "mysql2";
import type { PoolOptions } from "mysql2/promise";
import { expect, onTestFinished, test } from "vitest";
import { createMySqlStore, type MySqlClient, mysqlSchema } from "../../src/mysql.ts";
import { onEachConnection, onMysql, useMysqlDatabase } from "../support/mysql-database.ts";
import { here, idsOf, prompt, prompts } from "./samples.ts";

onMysql("MySQL", () => {
  const database = useMysqlDatabase();

  function openPool(options?: PoolOptions) {
    const pool = database.openPool(options);
    onTestFinished(() => pool.end());
    return pool;
  }

  test("a missing schema is an error that names migrate()", async () => {
    const store = createMySqlStore(openPool(), { prefix: "missing_" });
    await expect(store.listMessages(here)).rejects.toThrow(/call `await store.migrate\(\)`/);
    await expect(store.appendMessages(here, prompts("a"))).rejects.toThrow(/call `await store.migrate\(\)`/);
    await expect(store.getThread(here)).rejects.toThrow(/call `await store.migrate\(\)`/);
  });

  test("migrating again, at once and from several instances, changes nothing", async () => {
    const prefix = database.newPrefix();
    const stores = [1, 2, 3].map(() => createMySqlStore(openPool(), { prefix }));
    await Promise.all(stores.flatMap((store) => [store.migrate(), store.migrate()]));
    const [first, second] = stores;
    await first!.appendMessages(here, prompts("a"));
    await second!.migrate();
    expect(idsOf(await second!.listMessages(here))).toEqual(["a"]);
  });

  test("with `migrate: true` the first call migrates", async () => {
    const store = createMySqlStore(openPool(), { prefix: database.newPrefix(), migrate: true });
    expect(await Promise.all([store.appendMessages(here, prompts("a")), store.appendMessages(here, prompts("b"))])).toEqual([["a"], ["b"]]);
  });

  test("a migration that was interrupted after any statement is completed by the next", async () => {
    const count = mysqlSchema()[0]!.statements.length;
    for (let done = 0; done <= count; done++) {
      const prefix = database.newPrefix();
      const connection = await database.connect();
      for (const statement of mysqlSchema({ prefix })[0]!.statements.slice(0, done)) await connection.query(statement);
      const store = createMySqlStore(openPool(), { prefix });
      await store.migrate();
      expect(await store.appendMessages(here, prompts("a"))).toEqual(["a"]);
    }
  });

  /** A user who may use all tables of the database, and do what else is named. */
  async function createUser(privileges: string): Promise<PoolOptions> {
    const connection = await database.connect();
    const user = `user_${database.newPrefix()}`;
    await connection.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'secret'`);
    onTestFinished(async () => void (await connection.query(`DROP USER ${user}@'%'`)));
    await connection.query(`GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ${privileges} ON * TO ${user}@'%'`);
    return { user, password: "secret" };
  }

  test("the privileges that the docs name are enough, and those to create are needed only once", async () => {
    const prefix = database.newPrefix();
    const migrating = createMySqlStore(openPool(await createUser(", CREATE, REFERENCES, CREATE ROUTINE")), { prefix });
    const store = createMySqlStore(openPool(await createUser("")), { prefix });
    await expect(store.migrate()).rejects.toThrow(/denied/);
    await migrating.migrate();
    await store.migrate();
    expect(await store.appendMessages(here, prompts("a"))).toEqual(["a"]);
    expect(await store.deleteThread(here)).toBe(true);
  });

  test("an app that ran the statements itself needs no migration", async () => {
    const prefix = database.newPrefix();
    const connection = await database.connect();
    for (const { statements } of mysqlSchema({ prefix })) for (const statement of statements) await connection.query(statement);
    const store = createMySqlStore(openPool(await createUser("")), { prefix });
    await store.migrate();
    expect(await store.appendMessages(here, prompts("a"))).toEqual(["a"]);
  });

  test("procedures that a dump left out are created again, and what is stored is kept", async () => {
    const store = await database.newStore();
    await store.appendMessages(here, prompts("a"));
    const connection = await database.connect();
    await connection.query(`DROP PROCEDURE ${store.prefix}append_message`);
    await expect(store.appendMessages(here, prompts("b"))).rejects.toThrow(/call `await store.migrate\(\)`/);
    await store.migrate();
    await store.appendMessages(here, prompts("b"));
    expect(idsOf(await store.listMessages(here))).toEqual(["a", "b"]);
  });

  test("prefixes are kept apart in one database", async () => {
    const [first, second] = [await database.newStore(), await database.newStore()];
    await first.appendMessages(here, prompts("a"));
    expect(await second.listMessages(here)).toEqual([]);
  });

  test("tables have the charset that holds every character, whatever the default of the database is", async () => {
    const connection = await database.connect();
    await connection.query("ALTER DATABASE CHARACTER SET latin1");
    const store = await database.newStore();
    const odd = "🦄 é ÿ \0 ";
    const thread = { owner: odd, threadId: odd.trimEnd() };
    await store.appendMessages(thread, [prompt(odd)], { title: odd });
    expect(await store.listMessages(thread)).toEqual([prompt(odd)]);
    expect(await store.getThread(thread)).toMatchObject({ threadId: odd.trimEnd(), title: odd });
    expect(await store.getThread({ owner: odd, threadId: odd })).toBeUndefined();
  });

  test.for([
    [{ charset: "latin1" }, /charset latin1/],
    [{ charset: "utf8" }, /charset utf8/],
  ] as const)("a pool with the options %j is refused before anything is stored", async ([options, message]) => {
    const { prefix, ...store } = await database.newStore();
    const wrong = createMySqlStore(openPool(options), { prefix });
    await expect(wrong.migrate()).rejects.toThrow(message);
    await expect(wrong.appendMessages(here, prompts("🦄"))).rejects.toThrow(message);
    await expect(wrong.listMessages(here)).rejects.toThrow(message);
    expect(await store.listMessages(here)).toEqual([]);
  });

  test("a pool with autocommit off is refused: nothing would be committed", async () => {
    const { prefix } = await database.newStore();
    const pool = openPool();
    onEachConnection(pool, "SET autocommit = 0");
    await expect(createMySqlStore(pool, { prefix }).listMessages(here)).rejects.toThrow(/autocommit off/);
  });

  test("a connection that could not be checked is checked again by the next call", async () => {
    const { prefix } = await database.newStore();
    const pool = openPool();
    let failures = 1;
    const store = createMySqlStore(
      {
        query: (sql) => pool.query(sql),
        execute: (sql, values) => (failures-- > 0 ? Promise.reject(new Error("connect ECONNREFUSED")) : pool.execute(sql, values)),
      },
      { prefix },
    );
    await expect(store.listMessages(here)).rejects.toThrow("ECONNREFUSED");
    expect(await store.listMessages(here)).toEqual([]);
  });

  test("half a surrogate pair is refused in names before any statement, and kept in messages", async () => {
    const store = await database.newStore();
    const failing = () => Promise.reject(new Error("A statement was run"));
    const untouched = createMySqlStore({ query: failing, execute: failing });
    for (const text of ["\ud800", "a\udc00b"]) {
      for (const thread of [
        { owner: text, threadId: "a" },
        { owner: "", threadId: text },
      ]) {
        await expect(untouched.listMessages(thread)).rejects.toThrow(/The (owner|thread id) has half a surrogate pair/);
        await expect(untouched.appendMessages(thread, prompts("a"))).rejects.toMatchObject({ code: "invalid_request", status: 400 });
      }
      await expect(untouched.appendMessages(here, prompts("a", text))).rejects.toThrow(/The message id has/);
      await expect(untouched.appendMessages(here, [{ ...prompt("a"), promptId: text }])).rejects.toThrow(/The prompt id has/);
      await expect(untouched.appendMessages(here, prompts("a"), { replacesAnswerTo: text })).rejects.toThrow(/The answered prompt id has/);
      await expect(untouched.appendMessages(here, prompts("a"), { title: text })).rejects.toThrow(/The title has/);
      await expect(untouched.updateMessage(here, text, {})).rejects.toThrow(/The message id has/);
      await expect(untouched.deleteMessages(here, ["a", text])).rejects.toThrow(/The message id has/);
      await expect(untouched.renameThread(here, text)).rejects.toThrow(/The title has/);
      await expect(untouched.deleteOwner(text)).rejects.toThrow(/The owner has/);
      await store.appendMessages(here, [prompt(`content ${JSON.stringify(text)}`, text)]);
    }
    expect((await store.listMessages(here)).map(({ message }) => message.content)).toEqual(["\ud800", "a\udc00b"]);
  });
});

test("misuse of createMySqlStore fails at construction and names the remedy", () => {
  const execute = async () => [[]] as const;
  const client: MySqlClient = { query: execute, execute };
  const callbacks = createPool("mysql://nobody@127.0.0.1:1/none"); // connects when it is first used
  const wrong: [unknown, object, RegExp][] = [
    [undefined, {}, /^chat-handler: .*createPool\(url\) of mysql2\/promise/],
    ["mysql://localhost", {}, /createPool\(url\) of mysql2\/promise/],
    [{ query: execute }, {}, /execute\(sql, values\)/],
    [callbacks, {}, /pass pool\.promise\(\)/],
    [client, { prefix: "a-b" }, /prefix must be a name/],
    [client, { schema: "x" }, /^chat-handler: createMySqlStore has no option "schema": its options are prefix, migrate$/],
  ];
  for (const [given, options, message] of wrong) {
    expect(() => createMySqlStore(given as MySqlClient, options)).toThrow(message);
  }
  expect(() => createMySqlStore(callbacks.promise())).not.toThrow();
  expect(() => mysqlSchema({ database: "x" } as object)).toThrow(/mysqlSchema has no option "database"/);
});
