/** Runs the kit inside workerd. Each request runs one case of the kit on an empty D1 table. */
import { messageStoreCases } from "chat-handler/testkit";
import { createD1Store, type Database } from "../../examples/stores/cloudflare-d1/store.ts";

interface Bindings {
  DB: Database;
  SCHEMA: string;
}

export default {
  /** `/` returns the names of all cases and the reasons of skipped ones. `/<number>` returns the failure of this case, or nothing. */
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
