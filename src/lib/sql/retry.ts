/** Retries what a database rejected only because another call was in the way. */

const longestPause = 32;

/**
 * Runs the attempt until it succeeds, fails with an error that is not transient, or so many milliseconds have passed. The pauses grow
 * and are random, so that two calls that met do not meet again. They block nothing.
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
