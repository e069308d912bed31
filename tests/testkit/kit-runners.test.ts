/** The kit under test runners. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { createMemoryStore } from "../../src/index.ts";
import { messageStoreCases, testMessageStore, type TestFunction } from "../../src/testkit.ts";

const cases = messageStoreCases({ threads: true, create: () => createMemoryStore() });

describe("runners", () => {
  const subject = { threads: true as const, create: () => createMemoryStore() };
  const mockRunner = () => Object.assign(vi.fn<TestFunction>(), { skip: vi.fn<TestFunction["skip"]>() });
  afterEach(() => vi.unstubAllGlobals());

  test("are given each case, or each skipped case, with a time limit above that of the case", () => {
    const runner = mockRunner();
    testMessageStore("memory", subject, { test: runner, timeout: 1_000 });
    expect(runner.mock.calls.length + runner.skip.mock.calls.length).toBe(cases.length);
    expect(runner).toHaveBeenCalledWith("memory: an unknown thread is empty", expect.any(Function), 11_000);
    const skipped = "memory: what was stored is there after reopening (skipped: `reopen` is not given)";
    expect(runner.skip).toHaveBeenCalledWith(skipped, expect.any(Function));
  });

  test("may be vitest or node:test, as far as types go", () => {
    expectTypeOf<typeof test>().toExtend<TestFunction>();
    expectTypeOf<typeof import("node:test").test>().toExtend<TestFunction>();
  });

  test("may be global", () => {
    expect(() => testMessageStore("memory", subject)).toThrow("pass your runner's");
    const it = mockRunner();
    vi.stubGlobal("it", it);
    testMessageStore("memory", subject);
    expect(it).toHaveBeenCalled();
    const preferred = mockRunner();
    vi.stubGlobal("test", preferred);
    testMessageStore("memory", subject);
    expect(preferred.mock.calls).toHaveLength(it.mock.calls.length);
  });

  /** Runs a test file of these lines under `node --test`. */
  function runNode(lines: string): { status: number | null; output: string } {
    const folder = mkdtempSync(join(tmpdir(), "kit-"));
    try {
      const file = join(folder, "store.test.ts");
      const from = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
      writeFileSync(
        file,
        `import { test } from "node:test";
        import { createMemoryStore } from ${from("index.ts")};
        import { testMessageStore } from ${from("testkit.ts")};
        ${lines}`,
      );
      const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", file], {
        encoding: "utf8",
        env: { PATH: "" },
      });
      return { status, output: stdout + stderr };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("under node:test a right store passes, and what was skipped is reported as skipped", () => {
    const { status, output } = runNode(`testMessageStore("memory", { threads: true, create: () => createMemoryStore() }, { test });`);
    const skipped = cases.filter(({ skip }) => skip).length;
    expect(output).toContain(`\n# pass ${cases.length - skipped}\n# fail 0\n# cancelled 0\n# skipped ${skipped}\n`);
    expect(output).toMatch(/ok \d+ - memory: what was stored is there after reopening \(skipped: .+\) # SKIP/);
    expect(status).toBe(0);
  });

  test("under node:test a wrong store fails with the invariant and the calls", () => {
    const { status, output } = runNode(
      `testMessageStore("wrong", { threads: true, create: () => ({ ...createMemoryStore(), deleteMessages: async () => {} }) }, { test });`,
    );
    expect(output).toMatch(/not ok \d+ - wrong: deleting messages removes those and no others/);
    expect(output).toContain("INVARIANT: Deleting messages removes those ids, whole batches at once, and nothing else.");
    expect(output).toContain("store.deleteMessages(");
    expect(status).toBe(1);
  });
});
