/** How much text of ended answers the clients of one owner may leave unread. */

/** A client that has not read all of an ended answer. */
export interface UnreadAnswer {
  readonly owner: string;
  /** Characters that are kept for it. */
  readonly unread: number;
  /** Drops the text. The client's stream breaks. */
  drop(): void;
}

/** The clients of a handler that read ended answers. */
export interface UnreadAnswers {
  /** Adds a client, or notes that it reads on. Drops the answers of clients of the same owner that have not read for longest, if all are too much. */
  keep(answer: UnreadAnswer): void;
  /** Removes a client. */
  remove(answer: UnreadAnswer): void;
}

interface OwnerAnswers {
  characters: number;
  /** With the characters that were counted, the longest unread first. */
  counted: Map<UnreadAnswer, number>;
}

/** Creates a bound of `max` characters for each owner. The newest answer is kept, however long. */
export function createUnreadAnswers(max: number): UnreadAnswers {
  const owners = new Map<string, OwnerAnswers>();

  function remove(answer: UnreadAnswer): void {
    const own = owners.get(answer.owner);
    const characters = own?.counted.get(answer);
    if (!own || characters === undefined) return;
    own.characters -= characters;
    own.counted.delete(answer);
    if (own.counted.size === 0) owners.delete(answer.owner);
  }

  return {
    remove,
    keep(answer) {
      remove(answer);
      const own = owners.get(answer.owner) ?? { characters: 0, counted: new Map<UnreadAnswer, number>() };
      owners.set(answer.owner, own);
      own.counted.set(answer, answer.unread);
      own.characters += answer.unread;
      for (const oldest of own.counted.keys()) {
        if (own.characters <= max || oldest === answer) return;
        remove(oldest);
        oldest.drop();
      }
    },
  };
}
