/** What calls of the MySQL store do when they meet, and what each costs. */
import type { Connection } from "mysql2/promise";
import { expect, test } from "vitest";
import { createMySqlStore } from "../../src/mysql.ts";
import { onMysql, useMysqlDatabase } from "../support/mysql-database.ts";
import { expectBoundedReads } from "./bounded-reads.ts";
import { expectOneOrder } from "./equal-activities.ts";
import { answer, here, idsOf, prompt, prompts } from "./samples.ts";

onMysql("MySQL", () => {
  const database = useMysqlDatabase();

  /** A transaction that the test holds open while the store waits for it. */
  async function begin(): Promise<Connection> {
    const connection = await database.connect();
    await connection.query("BEGIN");
    return connection;
  }

  /**
   * Waits until so many transactions in this file's database wait for a lock, so that what the test does next comes after. Other test
   * files use the same server, and their transactions wait, too.
   */
  async function untilWaiting(count = 1): Promise<void> {
    const connection = await database.connect();
    const waiting = `SELECT trx_id FROM information_schema.INNODB_TRX JOIN information_schema.PROCESSLIST ON ID = trx_mysql_thread_id
      WHERE trx_state = 'LOCK WAIT' AND DB = DATABASE()`;
    // The server refreshes the table only when nobody has read it for 100 ms: an earlier read would come back.
    do await new Promise((resolve) => setTimeout(resolve, 120));
    while (((await connection.query(waiting))[0] as object[]).length < count);
  }

  const hash = (text: string) => `UNHEX(SHA2('${text}', 256))`;

  test("a read ends where its characters do", async () => {
    await expectBoundedReads(await database.newStore());
  });

  test("an append that waited for a delete sees what it deleted", async () => {
    const { prefix, ...store } = await database.newStore();
    await store.appendMessages(here, prompts("prompt", "answer"));
    const other = await begin();
    await other.query(`SELECT 1 FROM ${prefix}threads FOR UPDATE`);
    await other.query(`DELETE FROM ${prefix}messages`);
    const appending = Promise.all([
      store.appendMessages(here, [answer("late")], { replacesAnswerTo: "prompt" }),
      store.appendMessages(here, prompts("answer")),
    ]);
    await untilWaiting(2);
    await other.query("COMMIT");
    expect(await appending).toEqual([[], ["answer"]]);
  });

  test("an answer that waited for an update sees what it made complete", async () => {
    const { prefix, ...store } = await database.newStore();
    await store.appendMessages(here, [...prompts("prompt"), answer("step", "prompt", "failed"), answer("end", "prompt", "failed")]);
    const other = await begin();
    await other.query(`UPDATE ${prefix}messages SET complete = 1 WHERE id_hash = ${hash("end")}`);
    const appending = store.appendMessages(here, [answer("new")], { replacesAnswerTo: "prompt" });
    await untilWaiting();
    await other.query("COMMIT");
    expect(await appending).toEqual([]);
    expect(idsOf(await store.listMessages(here))).toEqual(["prompt", "step", "end"]);
  });

  test("an update that waited for an answer changes what took the place of the old one", async () => {
    const { prefix, ...store } = await database.newStore();
    await store.appendMessages(here, [...prompts("prompt"), answer("end", "prompt", "failed")]);
    const newEnd = answer("end", "prompt", "stopped");
    const other = await begin();
    await other.query(`UPDATE ${prefix}messages SET body = ? WHERE id_hash = ${hash("end")}`, [JSON.stringify(newEnd)]);
    const updating = store.updateMessage(here, "end", { finishReason: "length" });
    await untilWaiting();
    await other.query("COMMIT");
    expect(await updating).toBe(true);
    expect(await store.listMessages(here)).toEqual([prompt("prompt"), { ...newEnd, finishReason: "length" }]);
  });

  test("an append that waited for the deletion of its thread does not bring it back, unless it may", async () => {
    const { prefix, ...store } = await database.newStore();
    await store.appendMessages(here, prompts("prompt"));
    const other = await begin();
    await other.query(`DELETE FROM ${prefix}threads`);
    const appending = store.appendMessages(here, [answer("late")], { replacesAnswerTo: "prompt" });
    await untilWaiting();
    await other.query("COMMIT");
    expect(await appending).toEqual([]);
    expect(await store.getThread(here)).toBeUndefined();

    await store.appendMessages(here, prompts("prompt"));
    await other.query("BEGIN");
    await other.query(`DELETE FROM ${prefix}threads`);
    const again = store.appendMessages(here, prompts("new"), { title: "New" });
    await untilWaiting();
    await other.query("COMMIT");
    expect(await again).toEqual(["new"]);
    expect(idsOf(await store.listMessages(here))).toEqual(["new"]);
    expect(await store.getThread(here)).toMatchObject({ title: "New" });
  });

  test("a thread that another transaction is creating is not created twice", async () => {
    const { prefix, ...store } = await database.newStore();
    const other = await begin();
    await other.query(`INSERT INTO ${prefix}threads (owner_hash, thread_hash, owner, thread_id, title, created_at, updated_at, activity)
      VALUES (${hash("")}, ${hash("thread")}, '', 'thread', 'First', 1, 1, -1)`);
    const appending = store.appendMessages(here, prompts("a"), { title: "Second" });
    const creating = store.createThread(here, "Third");
    await untilWaiting(2);
    await other.query("COMMIT");
    expect(await appending).toEqual(["a"]);
    expect(await creating).toMatchObject({ title: "First" });
    expect(await store.getThread(here)).toMatchObject({ title: "First" });
  });

  test("a call that was killed in the middle leaves nothing, and its connection is usable", async () => {
    const { prefix, ...store } = await database.newStore();
    await store.appendMessages(here, [prompt("prompt"), answer("old", "prompt", "failed")]);
    const connection = await database.connect();
    const killed = createMySqlStore(connection, { prefix });
    await killed.getThread(here);
    const other = await begin();
    await other.query(`UPDATE ${prefix}messages SET complete = 0 WHERE id_hash = ${hash("old")}`);
    await other.query(`SELECT 1 FROM ${prefix}messages WHERE id_hash = ${hash("old")} FOR UPDATE`);
    const appending = killed.appendMessages(here, [answer("new")], { replacesAnswerTo: "prompt" });
    const failure = appending.catch((error: unknown) => error);
    await untilWaiting();
    await other.query(`KILL QUERY ${connection.threadId}`);
    expect(await failure).toMatchObject({ errno: 1317 });
    await other.query("COMMIT");
    expect(await killed.appendMessages({ ...here, threadId: "other" }, prompts("a"))).toEqual(["a"]);
    expect(idsOf(await store.listMessages(here))).toEqual(["prompt", "old"]);
    expect(await store.appendMessages(here, [answer("new")], { replacesAnswerTo: "prompt" })).toEqual(["new"]);
  });

  test("changes of one message made at once are all made", async () => {
    const store = await database.newStore();
    await store.appendMessages(here, prompts("a"));
    const changes = [
      { status: "failed" as const },
      { createdAt: 7 },
      { finishReason: "stop" },
      { message: { role: "user" as const, content: "new" } },
    ];
    expect(await Promise.all(changes.map((change) => store.updateMessage(here, "a", change)))).toEqual([true, true, true, true]);
    expect(await store.listMessages(here)).toEqual([Object.assign(prompt("a"), ...changes)]);
  });

  test("names of any length are kept apart to the last character", async () => {
    const store = await database.newStore();
    const long = "é".repeat(50_000);
    const threads = ["a", "b", "b ", "B"].map((end) => ({ owner: long + end, threadId: long + end }));
    for (const thread of threads) await store.appendMessages(thread, prompts(long, `${long} `), { title: thread.owner.slice(-1) });
    for (const thread of threads) {
      expect(await store.getThread(thread)).toMatchObject({ title: thread.owner.slice(-1), threadId: thread.threadId });
      expect(idsOf(await store.listMessages(thread))).toEqual([long, `${long} `]);
    }
  });

  test("threads that became active at the same moment keep one order, over pages of any size", async () => {
    const { prefix, ...store } = await database.newStore();
    await expectOneOrder(store, async (activity) => {
      const connection = await database.connect();
      await connection.query(`UPDATE ${prefix}threads SET activity = ${activity}`);
    });
  });

  // The optimizer's knowledge of the tables must not matter.
  test.for(["nothing", "short threads alone", "everything"])(
    "no call reads more of a long thread or of many threads than it needs, when %s was analyzed",
    { timeout: 120_000 },
    async (analyzed) => {
      const { prefix } = await database.newStore();
      const many = 20_000;
      const connection = await database.connect();
      const analyze = () => connection.query(`ANALYZE TABLE ${prefix}threads, ${prefix}messages`);
      const numbers = `JSON_TABLE(CONCAT('[', REPEAT('0,', ${many - 1}), '0]'), '$[*]' COLUMNS (n FOR ORDINALITY)) AS numbers`;
      const insertMessages = (which: string, last: number) =>
        connection.query(`INSERT INTO ${prefix}messages (thread, seq, id_hash, prompt_hash, complete, body)
          SELECT \`key\`, n, UNHEX(SHA2(n, 256)), UNHEX(SHA2(n DIV 2 * 2, 256)), 1, CONCAT('{"text":"', REPEAT('x', 200), '"}') FROM ${prefix}threads, ${numbers}
          WHERE n BETWEEN 2 AND ${last} AND ${which}`);
      await connection.query(`INSERT INTO ${prefix}threads (owner_hash, thread_hash, owner, thread_id, title, created_at, updated_at, activity)
        SELECT ${hash("many")}, UNHEX(SHA2(n, 256)), 'many', n, '', 1, 1, n FROM ${numbers}`);
      await insertMessages("thread_id <> '1'", 3);
      if (analyzed === "short threads alone") await analyze();
      await insertMessages("thread_id = '1'", many);
      await connection.query(`UPDATE ${prefix}threads SET last_seq = ${many} WHERE thread_id = '1'`);
      if (analyzed === "everything") await analyze();

      const store = createMySqlStore(connection, { prefix });
      const thread = { owner: "many", threadId: "1" };
      async function rowsRead(call: () => Promise<unknown>): Promise<number> {
        await call();
        await connection.query("FLUSH STATUS");
        await call();
        const [counts] = await connection.query("SHOW SESSION STATUS LIKE 'Handler_read%'");
        return (counts as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0);
      }
      const broken = [answer("a", String(many), "failed"), answer("b", String(many), "failed")];
      const costs = {
        "the last 50": await rowsRead(() => store.listMessages(thread, { last: 50 })),
        "the last 50 within their size": await rowsRead(() => store.listMessages(thread, { last: 50, maxCharacters: 1_000_000 })),
        "the last 50 within 1,000 bytes": await rowsRead(() => store.listMessages(thread, { last: 50, maxCharacters: 1_000 })),
        "a page of 50": await rowsRead(() => store.listThreads("many", { limit: 50, cursor: `${many}-${"0".repeat(64)}` })),
        "an append": await rowsRead(() => store.appendMessages(thread, prompts("new"))),
        "an answer": await rowsRead(() => store.appendMessages(thread, broken, { replacesAnswerTo: String(many) })),
        "an update": await rowsRead(() => store.updateMessage(thread, "new", { createdAt: 2 })),
        "a deletion": await rowsRead(() => store.deleteMessages(thread, ["a", "2"])),
        "a rename": await rowsRead(() => store.renameThread(thread, "New")),
      };
      // A cut is found in a window over the 50 sizes, whose temporary rows count, too: about ten for each message.
      const bounds: Record<string, number> = { "the last 50 within 1,000 bytes": 600 };
      expect(Object.entries(costs).filter(([name, rows]) => rows > (bounds[name] ?? 200))).toEqual([]);
    },
  );
});
