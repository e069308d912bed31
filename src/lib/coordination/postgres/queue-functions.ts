/** The calls of the coordinator that concern a thread's queue, as functions in the database. */
import type { CoordinatorNames } from "./names.ts";
import { byIndex, digest, milliseconds } from "./ticket-functions.ts";

export function queueFunctions(names: CoordinatorNames): string {
  return [enter(names), renew(names), start(names), close(names), stop(names)].join("\n");
}

/**
 * Returns `["joined", attempt]`, `["conflict"]`, `["busy"]`, or `["entered", place, ahead, status]` as JSON. The lock on the thread makes
 * it one step.
 *
 * A new attempt takes over the stop of the latest one, if that one died within its retention: its turn has not ended.
 */
function enter({ enter, lockThread, ticketState, ticketStatus, follow, tickets, stops }: CoordinatorNames): string {
  return `CREATE FUNCTION ${enter}(p_ticket text, p_concurrency text, p_max_queued bigint, p_follower text, p_lease bigint, p_follow bigint,
  p_retention bigint)
RETURNS text ${byIndex} AS $function$
DECLARE
  v_request json := p_ticket::json;
  v_thread bytea := ${digest("v_request->>0")};
  v_turn bytea := ${digest("(v_request->>0) || (v_request->>1)")};
  v_prompt bytea := ${digest("v_request->>3")};
  v_epoch bigint := ${lockThread}(v_thread);
  v_now timestamptz := clock_timestamp();
  v_ticket ${tickets};
  v_ahead bigint;
  v_joinable bigint;
  v_place bigint;
  v_is_stopped boolean;
BEGIN
  SELECT * INTO v_ticket FROM ${tickets} WHERE turn = v_turn AND attempt = v_request->>2;
  IF NOT FOUND THEN
    SELECT * INTO v_ticket FROM ${tickets}
    WHERE thread = v_thread AND is_open AND turn = v_turn AND NOT is_closed AND expires_at > v_now;
    IF FOUND THEN
      IF v_ticket.prompt <> v_prompt THEN RETURN '["conflict"]'; END IF;
      PERFORM ${follow}(v_ticket.id, p_follower, p_follow);
      RETURN json_build_array('joined', v_ticket.attempt);
    END IF;

    SELECT count(*), count(*) FILTER (WHERE NOT is_closed) INTO v_ahead, v_joinable
    FROM ${tickets} WHERE thread = v_thread AND is_open AND expires_at > v_now;
    IF v_ahead > p_max_queued OR p_concurrency = 'reject' AND v_joinable > 0 THEN RETURN '["busy"]'; END IF;

    UPDATE ${tickets} SET is_open = false, left_at = v_now WHERE thread = v_thread AND is_open AND expires_at <= v_now;
    IF p_concurrency = 'interrupt' THEN
      UPDATE ${tickets} SET is_stopped = true WHERE thread = v_thread AND is_open AND NOT is_stopped;
    END IF;
    SELECT max(place) INTO v_place FROM ${tickets} WHERE thread = v_thread AND is_open;
    SELECT is_stopped AND NOT is_open AND NOT is_ended AND expires_at + ${milliseconds("retention")} > v_now INTO v_is_stopped
    FROM ${tickets} WHERE turn = v_turn ORDER BY id + 0 DESC LIMIT 1;
    DELETE FROM ${stops} WHERE turn = v_turn AND expires_at > v_now;
    v_is_stopped := FOUND OR coalesce(v_is_stopped, false);
    INSERT INTO ${tickets} (place, retention, expires_at, sweep_at, is_stopped, thread, turn, prompt, response, attempt)
    VALUES (greatest(v_place + 1, extract(epoch FROM v_now) * 1000000), p_retention, v_now + ${milliseconds("p_lease")},
      v_now + ${milliseconds("(p_lease + p_retention)")}, v_is_stopped, v_thread, v_turn, v_prompt, v_request->>1, v_request->>2)
    RETURNING * INTO v_ticket;
  END IF;

  SELECT count(*) INTO v_ahead FROM ${tickets}
  WHERE thread = v_thread AND is_open AND place < v_ticket.place AND expires_at > v_now;
  RETURN json_build_array('entered', v_epoch || '.' || v_ticket.place, v_ahead, ${ticketStatus}(v_ticket, ${ticketState}(v_ticket)));
END
$function$;`;
}

/** Extends the lease. A ticket that was not granted before may be so now, because those that expired ahead of it are lost. */
function renew({ renew, findTicket, ticketState, ticketStatus, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${renew}(p_ticket text, p_lease bigint, p_retention bigint) RETURNS text ${byIndex} AS $function$
DECLARE
  v_ticket ${tickets} := ${findTicket}(p_ticket::json, p_lease, p_retention);
  v_state text := ${ticketState}(v_ticket);
BEGIN
  IF v_state <> 'lost' THEN
    UPDATE ${tickets} SET expires_at = clock_timestamp() + ${milliseconds("p_lease")} WHERE id = v_ticket.id AND is_open RETURNING * INTO v_ticket;
    IF NOT FOUND THEN
      v_state := 'lost';
    ELSIF v_state = 'waiting' THEN
      v_state := ${ticketState}(v_ticket);
    END IF;
  END IF;
  RETURN ${ticketStatus}(v_ticket, v_state);
END
$function$;`;
}

/** Marks the tickets behind, the first time. Returns the ticket's status. */
function start({ start, findTicket, ticketState, ticketStatus, lockThread, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${start}(p_ticket json, p_lease bigint, p_retention bigint) RETURNS text ${byIndex} AS $function$
DECLARE
  v_ticket ${tickets} := ${findTicket}(p_ticket, p_lease, p_retention);
  v_state text := ${ticketState}(v_ticket);
BEGIN
  IF v_state <> 'lost' AND NOT v_ticket.is_started THEN
    PERFORM ${lockThread}(v_ticket.thread);
    UPDATE ${tickets} SET is_started = true WHERE id = v_ticket.id AND is_open AND NOT is_started;
    IF FOUND THEN
      UPDATE ${tickets} SET has_predecessor_started = true WHERE thread = v_ticket.thread AND is_open AND place > v_ticket.place;
    END IF;
    SELECT * INTO v_ticket FROM ${tickets} WHERE id = v_ticket.id;
    v_state := ${ticketState}(v_ticket);
  END IF;
  RETURN ${ticketStatus}(v_ticket, v_state);
END
$function$;`;
}

/** Closes under the lock that `enter` joins under. So a follower that joined is seen here, or does not join. */
function close({ close, findTicket, ticketState, lockThread, tickets, followers }: CoordinatorNames): string {
  return `CREATE FUNCTION ${close}(p_ticket text, p_unless_followed text, p_lease bigint, p_retention bigint) RETURNS boolean ${byIndex} AS $function$
DECLARE
  v_ticket ${tickets} := ${findTicket}(p_ticket::json, p_lease, p_retention);
BEGIN
  IF ${ticketState}(v_ticket) = 'lost' THEN RETURN false; END IF;
  PERFORM ${lockThread}(v_ticket.thread);
  IF p_unless_followed = 'unless followed' AND NOT v_ticket.is_closed THEN
    PERFORM FROM ${followers} WHERE ticket = v_ticket.id AND expires_at > clock_timestamp();
    IF FOUND THEN RETURN false; END IF;
  END IF;
  UPDATE ${tickets} SET is_closed = true WHERE id = v_ticket.id AND is_open;
  RETURN FOUND;
END
$function$;`;
}

/** Stops all attempts at a turn that can still run. If there is none and the turn has not ended, the stop waits for the turn. */
function stop({ stop, lockThread, tickets, stops }: CoordinatorNames): string {
  return `CREATE FUNCTION ${stop}(p_thread text, p_response text, p_retention bigint) RETURNS text ${byIndex} AS $function$
DECLARE
  v_turn bytea := ${digest("p_thread || p_response")};
  v_now timestamptz;
  v_ticket ${tickets};
BEGIN
  PERFORM ${lockThread}(${digest("p_thread")});
  UPDATE ${tickets} SET is_stopped = true WHERE turn = v_turn AND is_open;
  IF FOUND THEN RETURN 'requested'; END IF;
  v_now := clock_timestamp();
  SELECT * INTO v_ticket FROM ${tickets} WHERE turn = v_turn ORDER BY id + 0 DESC LIMIT 1;
  IF v_ticket.is_ended AND v_ticket.left_at + ${milliseconds("v_ticket.retention")} > v_now THEN RETURN 'ended'; END IF;
  DELETE FROM ${stops} WHERE turn IN (SELECT turn FROM ${stops} WHERE expires_at <= v_now ORDER BY expires_at LIMIT 8 FOR UPDATE SKIP LOCKED);
  INSERT INTO ${stops} VALUES (v_turn, v_now + ${milliseconds("p_retention")}) ON CONFLICT (turn) DO UPDATE SET expires_at = excluded.expires_at;
  RETURN 'recorded';
END
$function$;`;
}
