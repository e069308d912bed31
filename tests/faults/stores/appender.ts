/** A process that appends until it is killed, and prints each confirmed batch: `node appender.ts <kind> <file or url> <name>`. */
import { writeSync } from "node:fs";
import { startLoad } from "./load.ts";
import { openers, type Kind } from "./open.ts";

const [kind, target, name] = process.argv.slice(2);
const { store } = await openers[kind as Kind](target!);
startLoad(store, name!, 16, (batch) => writeSync(1, `${batch}\n`));
