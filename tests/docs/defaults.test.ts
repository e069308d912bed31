/** The numbers of the README are those of the code. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { defaults } from "../../src/lib/chat/options.ts";

it("the README's table has every default, and no other", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("## Limits and timeouts"), readme.indexOf("## Cost and size"));
  const rows = [...table.matchAll(/^\| `([\w.]+)`[^|]*\| ([\d,]+)/gm)].map(([, name, value]) => [name, Number(value?.replaceAll(",", ""))]);
  const { limits, timeouts, history, flushInterval } = defaults;
  const all = Object.entries({ limits, timeouts, history }).flatMap(([group, values]) =>
    Object.entries(values).map(([name, value]) => [`${group}.${name}`, value]),
  );
  expect(Object.fromEntries(rows)).toEqual({ ...Object.fromEntries(all), flushInterval });
});
