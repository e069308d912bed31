/** What the kit proves: each invariant of the store contract as one sentence. A failing case names the one that is broken. */
export const storeInvariants = {
  tiers: "A store says which tiers it implements, and has every method of them.",

  unknownThread: "An unknown thread gives an empty array, never an error.",
  order: "The order of messages is that of appending, by the store's own sequence and never by a clock.",
  last: "`last: n` gives the newest n messages, still oldest first.",
  maxCharacters:
    "`maxCharacters: n` gives whole messages, the newest, oldest first: at least those that it takes until their JSON together has n characters, and at most `last`. A store may ignore it.",
  copiesOut: "Returned values share nothing with the store: changing them changes nothing stored.",

  appended: "An append adds its messages at the end of the thread and resolves to the ids it stored.",
  allOrNothing: "When an append rejects, no message of its batch is stored, and none is removed.",
  contiguous: "A batch stays contiguous and in order, and none is lost, even if other processes append at that moment.",
  idOnce: "An id already in the thread, or repeated in the batch, is left as it is and not among the returned ids.",
  readers:
    "A reader sees a batch, a deletion or an update whole or not at all, and never the moment between a removal and what takes its place.",
  replacesAnswerTo:
    "With `replacesAnswerTo`, the whole batch replaces what a failed attempt left, in one atomic step. If the prompt is not there or has a complete answer, or an id of the batch is taken, nothing is removed or stored, and `[]` is returned.",
  durable: "Once a call resolves, every instance sees what it did, and so does a store opened later.",
  copiesIn: "Arguments are neither kept nor changed: changing them later changes nothing stored.",
  emptyBatch: "An empty batch stores, removes and creates nothing.",

  whole: "A message is kept whole and exact, with fields and kinds the store does not know and in their order, or refused with an error.",
  titles: "A title is kept exactly, or refused with an error where the database cannot hold its characters.",
  keys: "Two different keys are kept apart, or refused with an error where the database cannot hold them; they are never folded together.",
  messageIds: "Message ids are compared exactly: any two different strings are two messages, or refused with an error.",
  isolation: "What is done to one thread or owner neither touches nor shows any other.",

  updateInPlace: "An update replaces the fields it names and resolves to `true`; position, ids and the other fields stay as they were.",
  updateUnknown: "Updating an unknown thread or id gives `false` and creates nothing.",
  deleteMessages: "Deleting messages removes those ids, whole batches at once, and nothing else.",

  threadOfMessages: "A thread comes into being with its first message, and stays until it is deleted.",
  title: "An append gives the thread its title only if it creates the thread.",
  threadTimes: "A thread says when it was made and when a message was last appended, in epoch milliseconds.",
  activity:
    "Threads are listed by latest activity: an append or a creation, ordered by the store's own sequence; renaming is none, nor is an append that stores nothing.",
  pages: "Walking the pages, at any instance, meets every thread that stays untouched meanwhile exactly once.",
  lastPage: "The last page has no `nextCursor`.",
  cursor: "A cursor holds only `A-Z a-z 0-9 - _`, at most 512 of them.",
  ownCursor: "A cursor is the same whatever other owners do, so it tells nothing of them.",
  foreignCursor: "A cursor that the store did not make rejects, or gives a page of this owner's threads; never another's.",
  getThread: "One thread is given as it is listed, or `undefined` where this owner has none of that id.",
  createOnce: "Creating a thread that is already there leaves it as it is and returns it.",
  rename: "Renaming changes the title alone; an unknown thread gives `false` and is not created.",
  deleteThread: "Deleting a thread leaves nothing of it and touches no other; it resolves to whether the thread was there.",
  deleteOwner: "Deleting an owner leaves nothing of the owner and touches no other.",
} as const;

/** Short name of an invariant. */
export type InvariantName = keyof typeof storeInvariants;
