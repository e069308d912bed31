/** What the kit proves: each invariant of the coordinator contract as one sentence. A failing case names the one that is broken. */
export const coordinatorInvariants = {
  members: "A coordinator has its settings and every method, and says whether it has `subscribe`.",
  instances: "Every instance sees what a call did as soon as the call resolves.",
  atomic: "Calls may meet, within a process and between processes. Each is atomic, and none fails only because it met another.",
  databaseClock: "Only the database's clock counts, for every instance.",
  repeated: "A call that fails may have taken effect: calling it again with the same arguments is safe.",
  keys: "Keys are compared exactly. Two different keys are kept apart, or refused with an error where the database cannot hold them.",

  order: "Of two turns of one thread that enter at the same time, one is ahead of the other.",
  join: "A turn joins if an attempt with its response id waits or runs, has not been closed, and answers the same prompt id and digest; with another prompt id or digest it is a conflict. Whoever joins is a follower at once.",
  busy: 'With `"reject"`, it is busy while any turn of the thread waits or runs that has not been closed. Otherwise it is busy when more than `maxQueued` live turns are ahead.',
  interrupt: 'With `"interrupt"`, every turn ahead is asked to stop in the same step.',
  samePlace: "Entering again with the same attempt returns the place that it has.",

  oneGranted:
    "At most one ticket of a thread is granted at a time, the first that is live. Tickets are granted in the order in which they entered. An expired ticket never delays the next.",
  renewed: "A renewal extends the lease of a ticket by `leaseMs` from now; looking at it extends nothing.",
  overtaken:
    "An expired ticket lives on only if no other turn has entered its thread since, or was granted, and it has not left. Otherwise it is lost for ever.",
  forgotten: "A database that has forgotten everything accepts a ticket again, at its old place. No method reports it as lost.",
  predecessor: "A ticket records whether a turn that was ahead started, for the first time, after it entered.",

  log: "A log only grows, and never after its end. An append at a position that the log has passed adds only what is missing; one that would leave a gap is rejected with an error, and so is such an end.",
  fenced: "Nothing is accepted from an attempt that lost its ticket.",
  read: "A read returns what follows a position of one attempt's log exactly, at most `maxSliceLength` characters, and how the attempt stands; of what is unknown it returns `undefined`.",
  end: "An end is final. The next turn is granted at once.",
  retention: "An ended log stays readable for `retentionMs`, and no longer.",

  close: "A closed attempt is not joined any more. Its response id can enter again, behind it.",
  closeRace:
    "Of an `enter` that joins and a `close` with `unlessFollowed` at the same time, one wins: a turn that was joined is not closed.",
  followers:
    "A follower that joins or reads counts for that attempt for `followMs` after each of its calls, or until it ends the reading. Nobody else counts.",
  stop: "A stop persists until its turn has ended, and is gone then: the next attempt at the turn runs. If the stopped attempt dies, the next one enters with the stop. An attempt that enters behind a stopped and closed one runs.",
  find: "The turn of a thread that is found is the one that runs, closed or not; the first that waits if none runs.",
  hints: "A hint comes no sooner than its change can be read, and reaches the listeners of that thread and type alone, until they end.",
} as const;

/** Short name of an invariant of coordinators. */
export type CoordinatorInvariantName = keyof typeof coordinatorInvariants;
