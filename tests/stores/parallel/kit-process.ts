/** A process that runs the kit once it is told to, and tells how it went: `kit-process.ts <client> <place> <name>`, with an IPC channel. */
import { once } from "node:events";
import { runKit } from "./kit-run.ts";
import { open, type Client } from "./open.ts";

const [client, place = "", name = ""] = process.argv.slice(2);
process.send!("ready");
await once(process, "message");
const run = await runKit(name, () => open(client as Client, place), true);
process.send!(run, () => process.disconnect());
