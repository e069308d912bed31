/** Random schedules over every store. Most of them use the memory store, because it is fast. */
import { createMemoryStore } from "../../src/index.ts";
import { describeWith, remedyFor } from "../services/include.ts";
import { normalRuns } from "./check-schedules.ts";
import { simulate, simulateTwice } from "./simulate.ts";
import { databases, openPglite, openSqlite } from "./stores.ts";

const openMemory = async () => ({ store: createMemoryStore() });

simulateTwice("memory", 50, openMemory);

simulate("memory", normalRuns, openMemory);
simulate("node:sqlite", 200, openSqlite);
simulate("PGlite", 50, openPglite);

for (const [name, variable, open] of databases) {
  describeWith(
    name,
    Boolean(process.env[variable]),
    remedyFor(variable),
  )(name, () => {
    simulate(name, 200, open);
  });
}
