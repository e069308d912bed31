/** A model without a key or a network, for examples and for tests. */
export { createDemoModel } from "./lib/demo-model/create-demo-model.ts";
export type { DemoModelOptions } from "./lib/demo-model/create-demo-model.ts";
