/** The headers of an answer to C1Chat. */
export const headers: Readonly<Record<string, string>> = {
  // The content type of C1's guide. The body is plain text anyway, and C1Chat reads it as text.
  "Content-Type": "text/event-stream; charset=utf-8",
  // A resume is a GET: without `no-store`, browsers and shared caches could keep the answer on their disks.
  // `no-transform` keeps compressing proxies from buffering the stream, and `X-Accel-Buffering` keeps nginx from it.
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
  "X-Content-Type-Options": "nosniff",
};
