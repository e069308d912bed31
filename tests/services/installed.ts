/** The default export of a module of `npm install --prefix tests/services`, if it is installed. */
export async function installed<Module>(path: string): Promise<Module | undefined> {
  const module: { default: Module } | undefined = await import(path).catch(() => undefined);
  return module?.default;
}
