/** The calls of the coordinator that concern a turn's log, as functions in the database. */
import { maxSliceLength } from "../../core/coordinator.ts";
import type { CoordinatorNames } from "./names.ts";
import { byIndex, digest, milliseconds } from "./ticket-functions.ts";

export function logFunctions(names: CoordinatorNames): string {
  return [addText(names), append(names), end(names), readLog(names), poll(names)].join("\n");
}

/** Characters in a row of the log. */
const maxPieceLength = 32 * 1024;

/**
 * Adds what the log does not have yet, and with `p_is_end` ends it. Returns the ticket afterwards; NULL if it is lost; unchanged if there
 * would be a gap. The update only succeeds if the log still has the length that the ticket says, so of two calls that meet, the second
 * reads the row again.
 *
 * The text is ASCII and cut as bytes: for each piece of a text, PostgreSQL would count the characters before it.
 */
function addText({ addText, tickets, log }: CoordinatorNames): string {
  return `CREATE FUNCTION ${addText}(p_ticket ${tickets}, p_position bigint, p_data text, p_is_end boolean) RETURNS ${tickets} LANGUAGE plpgsql AS $function$
DECLARE
  v_before ${tickets} := p_ticket;
  v_after ${tickets};
  v_added text;
  v_bytes bytea;
BEGIN
  LOOP
    IF v_before.is_open IS NOT TRUE THEN RETURN NULL; END IF;
    IF v_before.log_length < p_position THEN RETURN v_before; END IF;
    v_added := substr(p_data, (v_before.log_length - p_position + 1)::integer);
    IF v_added = '' AND NOT p_is_end THEN RETURN v_before; END IF;
    UPDATE ${tickets} SET log_length = log_length + length(v_added), is_open = NOT p_is_end, is_ended = p_is_end,
      left_at = CASE WHEN p_is_end THEN clock_timestamp() END
    WHERE id = v_before.id AND is_open AND log_length = v_before.log_length
    RETURNING * INTO v_after;
    EXIT WHEN FOUND;
    SELECT * INTO v_before FROM ${tickets} WHERE id = v_before.id;
  END LOOP;
  v_bytes := convert_to(v_added, 'UTF8');
  INSERT INTO ${log} SELECT v_before.id, v_before.log_length + piece, convert_from(substr(v_bytes, piece + 1, ${maxPieceLength}), 'UTF8')
  FROM generate_series(0, length(v_bytes) - 1, ${maxPieceLength}) AS piece;
  RETURN v_after;
END
$function$;`;
}

/** Returns the ticket's status as JSON, or the length of the log if there would be a gap. */
function append({ append, findTicket, ticketState, ticketStatus, addText, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${append}(p_ticket text, p_position bigint, p_data text, p_lease bigint, p_retention bigint) RETURNS text ${byIndex} AS $function$
DECLARE
  v_ticket ${tickets} := ${findTicket}(p_ticket::json, p_lease, p_retention);
  v_state text := ${ticketState}(v_ticket);
BEGIN
  IF v_state = 'granted' THEN
    v_ticket := ${addText}(v_ticket, p_position, p_data, false);
    IF v_ticket.log_length < p_position THEN RETURN v_ticket.log_length; END IF;
    IF v_ticket.id IS NULL THEN v_state := 'lost'; END IF;
  END IF;
  RETURN ${ticketStatus}(v_ticket, v_state);
END
$function$;`;
}

/**
 * Returns `true`, `false`, or the length of the log if there would be a gap, as JSON. The same end returns `true` again, because it may
 * have been repeated after a failure. Sweeping is done here, where nobody waits any more: the answer is stored.
 */
function end({ end, start, findTicket, ticketState, addText, sweep, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${end}(p_ticket text, p_position bigint, p_data text, p_started text, p_lease bigint, p_retention bigint) RETURNS text ${byIndex} AS $function$
DECLARE
  v_ticket ${tickets} := ${findTicket}(p_ticket::json, p_lease, p_retention);
  v_after ${tickets};
BEGIN
  IF ${ticketState}(v_ticket) <> 'lost' THEN
    IF p_started = 'started' AND NOT v_ticket.is_started THEN PERFORM ${start}(p_ticket::json, p_lease, p_retention); END IF;
    v_after := ${addText}(v_ticket, p_position, p_data, true);
    IF v_after.is_open THEN RETURN v_after.log_length; END IF;
    IF v_after.is_ended THEN
      PERFORM ${sweep}();
      RETURN 'true';
    END IF;
  END IF;
  SELECT * INTO v_ticket FROM ${tickets} WHERE id = v_ticket.id;
  RETURN CASE WHEN v_ticket.is_ended AND v_ticket.log_length = p_position + length(p_data) THEN 'true' ELSE 'false' END;
END
$function$;`;
}

/**
 * Reads: `[thread, response id, attempt or null, position, follower or null]`. `outcome` is `[attempt, length, state]` or NULL,
 * `slice` the text.
 *
 * The latest attempt is ordered by `id + 0`, so that the planner cannot search the primary key from its end.
 */
function readLog({ readLog, follow, tickets, log }: CoordinatorNames): string {
  return `CREATE FUNCTION ${readLog}(p_read json, p_follow bigint, OUT outcome text, OUT slice text) LANGUAGE plpgsql AS $function$
DECLARE
  v_turn bytea := ${digest("(p_read->>0) || (p_read->>1)")};
  v_position bigint := p_read->>3;
  v_first bigint;
  v_now timestamptz;
  v_state text;
  v_ticket ${tickets};
BEGIN
  SELECT * INTO v_ticket FROM ${tickets} WHERE turn = v_turn AND (p_read->>2 IS NULL OR attempt = p_read->>2) ORDER BY id + 0 DESC LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  v_now := clock_timestamp();
  IF v_ticket.is_open AND v_ticket.expires_at > v_now THEN
    PERFORM FROM ${tickets} WHERE thread = v_ticket.thread AND is_open AND place < v_ticket.place AND expires_at > v_now;
    v_state := CASE WHEN v_ticket.is_closed THEN 'closed' WHEN FOUND THEN 'waiting' ELSE 'running' END;
    IF p_read->>4 IS NOT NULL THEN PERFORM ${follow}(v_ticket.id, p_read->>4, p_follow); END IF;
  ELSIF coalesce(v_ticket.left_at, v_ticket.expires_at) + ${milliseconds("v_ticket.retention")} > v_now THEN
    v_state := CASE WHEN v_ticket.is_ended THEN 'ended' ELSE 'lost' END;
  ELSE
    RETURN;
  END IF;
  outcome := json_build_array(v_ticket.attempt, v_ticket.log_length, v_state);
  IF v_position >= v_ticket.log_length THEN RETURN; END IF;
  SELECT max(starts_at) INTO v_first FROM ${log} WHERE ticket = v_ticket.id AND starts_at <= v_position;
  SELECT substr(string_agg(data, '' ORDER BY starts_at), (v_position - v_first + 1)::integer, ${maxSliceLength}) INTO slice
  FROM ${log} WHERE ticket = v_ticket.id AND starts_at >= v_first AND starts_at < least(v_position + ${maxSliceLength}, v_ticket.log_length);
END
$function$;`;
}

/**
 * Checks tickets and reads logs: what an instance polls, all at once. A ticket with a sixth text, "started", has started; otherwise it is
 * read-only while nothing changes. A ticket whose status is `p_omitted` has no row. Tickets come in the order of their threads' digests, hence of
 * their slots: two polls never lock each other out.
 */
function poll({ poll, start, findTicket, ticketState, ticketStatus, readLog, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${poll}(p_tickets text, p_reads text, p_omitted text, p_lease bigint, p_follow bigint, p_retention bigint)
RETURNS TABLE (kind text, number integer, outcome text, slice text) ${byIndex} AS $function$
DECLARE
  v_call json;
  v_ticket ${tickets};
BEGIN
  kind := 'ticket';
  FOR v_call, number IN SELECT call, place - 1 FROM json_array_elements(p_tickets::json) WITH ORDINALITY AS calls (call, place)
    ORDER BY ${digest("call->>0")}
  LOOP
    IF v_call->>5 = 'started' THEN
      outcome := ${start}(v_call, p_lease, p_retention);
    ELSE
      v_ticket := ${findTicket}(v_call, p_lease, p_retention);
      outcome := ${ticketStatus}(v_ticket, ${ticketState}(v_ticket));
    END IF;
    CONTINUE WHEN outcome = p_omitted;
    RETURN NEXT;
  END LOOP;
  kind := 'read';
  FOR v_call, number IN SELECT call, place - 1 FROM json_array_elements(p_reads::json) WITH ORDINALITY AS calls (call, place) LOOP
    SELECT * INTO outcome, slice FROM ${readLog}(v_call, p_follow);
    RETURN NEXT;
  END LOOP;
END
$function$;`;
}
