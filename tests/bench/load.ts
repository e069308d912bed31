/** How many streams are open at once, and when their tokens arrive. */
export interface Load {
  streams: number;
  /** Tokens of each stream. */
  tokens: number;
  /** Milliseconds between two tokens of a burst. */
  interval: number;
  /** Tokens in a burst. */
  burst: number;
  /** Milliseconds without tokens between two bursts, in addition to the interval. */
  pause: number;
  /** Milliseconds over which the streams start. */
  spread: number;
}
