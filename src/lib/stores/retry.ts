/** Retrying what a database refused only because someone else was at it. */

const longestPause = 32;

/**
 * Runs the attempt until it succeeds, fails for good, or so many milliseconds have passed. Pauses are random and growing, so
 * that those who met do not meet again; nothing blocks meanwhile.
 */
export async function retry<T>(attempt: () => T | Promise<T>, isTransient: (error: unknown) => boolean, milliseconds: number): Promise<T> {
  const deadline = performance.now() + milliseconds;
  for (let pause = 2; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isTransient(error) || performance.now() > deadline) throw error;
    }
    const wait = pause * Math.random();
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
