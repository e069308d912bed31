/** The kit inside workerd, beside the database: a request runs one case on the D1 store, on an empty table. */
import { messageStoreCases } from "chat-handler/testkit";
import { createD1Store, type Database } from "../../examples/stores/cloudflare-d1/store.ts";

interface Bindings {
  DB: Database;
  SCHEMA: string;
}

export default {
  /** `/`: the names of all cases, and why one is skipped. `/<number>`: what that case finds broken, or nothing. */
  async fetch(request: Request, { DB, SCHEMA }: Bindings): Promise<Response> {
    const cases = messageStoreCases({
      threads: false,
      async create() {
        for (const sql of ["DROP TABLE IF EXISTS chat_messages", ...SCHEMA.trim().split(/;\n?/).slice(0, -1)])
          await DB.prepare(sql).bind().run();
        return createD1Store(DB);
      },
      peer: () => createD1Store(DB),
    });
    const number = new URL(request.url).pathname.slice(1);
    if (number === "") return Response.json(cases.map(({ name, skip }) => ({ name, skip })));
    return new Response(await cases[Number(number)]?.run().then(() => "", String));
  },
};
