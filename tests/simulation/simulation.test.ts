import { createMemoryStore } from "../../src/index.ts";
import { simulate } from "./simulate.ts";

simulate("memory", { create: () => createMemoryStore() }, 3000);
