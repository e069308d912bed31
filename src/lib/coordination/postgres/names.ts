/** The names of the coordinator's objects in PostgreSQL. */
import { qualifyNames, type PostgresSchemaOptions } from "../../sql/postgres.ts";

/** The quoted names of the tables and functions. Other tables than the store's, so both can share a schema and a prefix. */
export interface CoordinatorNames {
  versions: string;
  slots: string;
  tickets: string;
  followers: string;
  stops: string;
  log: string;
  lockThread: string;
  findTicket: string;
  ticketState: string;
  ticketStatus: string;
  follow: string;
  addText: string;
  sweep: string;
  enter: string;
  renew: string;
  start: string;
  append: string;
  close: string;
  end: string;
  stop: string;
  readLog: string;
  poll: string;
}

/** Returns the names under a schema and a prefix. */
export function coordinatorNames(options: PostgresSchemaOptions): CoordinatorNames {
  const name = qualifyNames(options);
  return {
    versions: name("coordinator_versions"), // a row for each version of the schema that was applied
    slots: name("slots"),
    tickets: name("tickets"),
    followers: name("followers"),
    stops: name("stops"),
    log: name("turn_log"),
    lockThread: name("lock_thread"),
    findTicket: name("find_ticket"),
    ticketState: name("ticket_state"),
    ticketStatus: name("ticket_status"),
    follow: name("follow_ticket"),
    addText: name("add_text"),
    sweep: name("sweep_tickets"),
    enter: name("enter_turn"),
    renew: name("renew_ticket"),
    start: name("start_turn"),
    append: name("append_text"),
    close: name("close_turn"),
    end: name("end_turn"),
    stop: name("stop_turn"),
    readLog: name("read_log"),
    poll: name("poll_turns"),
  };
}
