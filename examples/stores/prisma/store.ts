/** Threads in PostgreSQL through Prisma: a store as an app would write it for a database of its own. */
import type { MessageStore, StoredMessage, ThreadKey } from "chat-handler";
import type { Prisma, PrismaClient } from "./generated/client.ts";

/** Calls that meet in one thread wait for each other, so a transaction may take longer than Prisma allows by default. */
const patience = { maxWait: 30_000, timeout: 30_000 };

/** Makes the store, at PostgreSQL's default isolation level. The tables of schema.prisma must be there. */
export function createPrismaStore(prisma: PrismaClient): MessageStore {
  return {
    async listMessages(key, { last } = {}) {
      // May ignore `maxCharacters`. It saves memory in threads with large messages.
      const where = checked(key);
      const rows = await prisma.chatMessage.findMany({
        where,
        orderBy: { seq: "desc" },
        select: { body: true },
        ...(last !== undefined && { take: last }),
      });
      return rows.reverse().map(({ body }) => JSON.parse(body));
    },

    async appendMessages(key, batch, { replacesAnswerTo } = {}) {
      const thread = checked(key);
      if (replacesAnswerTo !== undefined) checkText("answered prompt id", replacesAnswerTo);
      // All that can fail here fails before anything is stored.
      const rows = batch.map((message) => ({ ...thread, ...asRow(message) }));
      if (rows.length === 0) return [];

      return prisma.$transaction(async (transaction) => {
        // The thread's row is written first, so it is locked until the end. Another append to this thread waits here, and then
        // uses higher numbers. The numbers of the whole batch are reserved, so the batch stays contiguous.
        const count = BigInt(rows.length);
        const lastSeq =
          replacesAnswerTo === undefined
            ? (
                await transaction.chatThread.upsert({
                  where: { owner_threadId: thread },
                  create: { ...thread, lastSeq: count },
                  update: { lastSeq: { increment: count } },
                })
              ).lastSeq
            : await lock(transaction, thread, count); // never brings a thread back
        if (lastSeq === undefined) return [];

        // Asked under the lock: what another does to this answer is either done by now, or waits.
        if (replacesAnswerTo !== undefined) {
          const ofAnswer = { ...thread, promptId: replacesAnswerTo, id: { not: replacesAnswerTo } };
          const prompt = await transaction.chatMessage.count({ where: { ...thread, id: replacesAnswerTo } });
          const found = await transaction.chatMessage.findMany({ where: { ...thread, id: { in: rows.map(({ id }) => id) } } });
          const attempt = await transaction.chatMessage.findMany({ where: ofAnswer });
          const isTaken = found.some(({ id, promptId }) => id === replacesAnswerTo || promptId !== replacesAnswerTo);
          const isAnswered = attempt.some(({ body }) => JSON.parse(body).status === "complete");
          if (prompt === 0 || isTaken || isAnswered) return [];
          await transaction.chatMessage.deleteMany({ where: ofAnswer });
        }

        // An id that is there already stays as it is, and its number unused: numbers only have to grow.
        const before = lastSeq - count;
        const stored = await transaction.chatMessage.createManyAndReturn({
          data: rows.map((row, place) => ({ ...row, seq: before + BigInt(place + 1) })),
          skipDuplicates: true,
          select: { seq: true },
        });
        const places = stored.map(({ seq }) => Number(seq - before)).sort((a, b) => a - b);
        return places.map((place) => rows[place - 1]!.id);
      }, patience);
    },

    async updateMessage(key, id, change) {
      const thread = checked(key);
      checkText("message id", id);
      return prisma.$transaction(async (transaction) => {
        // Under the same lock, so that two changes at once are both made, and one meets an answer before or after it is replaced.
        await lock(transaction, thread);
        const row = await transaction.chatMessage.findFirst({ where: { ...thread, id } });
        if (!row) return false;
        const old: StoredMessage = JSON.parse(row.body);
        const named: object = JSON.parse(JSON.stringify(change)); // without the fields that are undefined
        const body = JSON.stringify({ ...old, ...named, id: old.id, promptId: old.promptId });
        await transaction.chatMessage.updateMany({ where: { ...thread, id }, data: { body } });
        return true;
      }, patience);
    },

    async deleteMessages(key, ids) {
      const thread = checked(key);
      for (const id of ids) checkText("message id", id);
      if (ids.length === 0) return;
      await prisma.$transaction(async (transaction) => {
        await lock(transaction, thread);
        await transaction.chatMessage.deleteMany({ where: { ...thread, id: { in: [...ids] } } });
      }, patience);
    },
  };
}

/** Takes the lock that appends take, and reserves numbers. Resolves to the last number, or to nothing where the thread is not there. */
async function lock(transaction: Prisma.TransactionClient, thread: ThreadKey, count = 0n): Promise<bigint | undefined> {
  const [row] = await transaction.chatThread.updateManyAndReturn({ where: thread, data: { lastSeq: { increment: count } } });
  return row?.lastSeq;
}

/** The message as it is kept. JSON writes NUL and half surrogate pairs as escapes, so any text survives; the ids are columns. */
function asRow(message: StoredMessage) {
  const { id, promptId } = message;
  checkText("message id", id);
  checkText("prompt id", promptId);
  return { id, promptId, body: JSON.stringify(message) };
}

/** The key, and nothing else that the caller's object may have: Prisma would take it for a condition. */
function checked({ owner, threadId }: ThreadKey): ThreadKey {
  checkText("owner", owner);
  checkText("thread id", threadId);
  return { owner, threadId };
}

/** PostgreSQL cannot hold NUL, and half a surrogate pair would be stored as U+FFFD. A filter that is undefined would match everything. */
function checkText(what: string, text: string): void {
  if (typeof text !== "string" || /\0|\p{Surrogate}/u.test(text)) throw new TypeError(`The ${what} is no text that PostgreSQL can hold`);
}
