/** The parts that the calls of the coordinator are made of, as functions in the database. */
import type { CoordinatorNames } from "./names.ts";

/** An expression: the digest of a text. */
export const digest = (text: string): string => `sha256(convert_to(${text}, 'UTF8'))`;

/**
 * An expression: milliseconds as an interval. Times are parameters, because each instance has its own settings.
 */
export const milliseconds = (count: string): string => `${count} * interval '1 millisecond'`;

/**
 * The ending of every function that is called from outside. A plan is kept for the life of a connection, and one that was made while the
 * tables were nearly empty would read them whole.
 */
export const byIndex = "LANGUAGE plpgsql SET enable_seqscan TO off";

/** A ticket is `[thread, response id, attempt, prompt, place]`, an array of JSON texts. */
export function ticketFunctions(names: CoordinatorNames): string {
  return [lockThread(names), findTicket(names), ticketState(names), ticketStatus(names), follow(names), sweep(names)].join("\n");
}

/**
 * Locks a thread for the rest of the statement, and returns its epoch. Then it closes the tickets that are lost: expired, with a live one
 * behind. That happens on the row of the lost ticket, so an instance that renews at the same moment either comes first, or finds it lost.
 *
 * It updates the slot and does not only lock it: under REPEATABLE READ, a call that waited then fails with a serialization error and is
 * retried.
 */
function lockThread({ lockThread, slots, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${lockThread}(p_thread bytea) RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
  v_slot integer := get_byte(p_thread, 0) * 16 + get_byte(p_thread, 1) / 16;
  v_epoch bigint;
  v_now timestamptz;
BEGIN
  LOOP
    UPDATE ${slots} AS s SET epoch = s.epoch WHERE slot = v_slot RETURNING s.epoch INTO v_epoch;
    EXIT WHEN FOUND;
    INSERT INTO ${slots} VALUES (v_slot, extract(epoch FROM clock_timestamp()) * 1000000) ON CONFLICT DO NOTHING;
  END LOOP;
  v_now := clock_timestamp();
  UPDATE ${tickets} SET is_open = false, left_at = v_now
  WHERE thread = p_thread AND is_open AND expires_at <= v_now
    AND place < (SELECT max(place) FROM ${tickets} WHERE thread = p_thread AND is_open AND expires_at > v_now);
  RETURN v_epoch;
END
$function$;`;
}

/**
 * Returns the row of a ticket. If there is none, the place says why: with the slot's epoch, the ticket has left and was swept, and the
 * result is NULL. With another one, the database has forgotten it, and it is accepted again.
 */
function findTicket({ findTicket, lockThread, tickets, stops }: CoordinatorNames): string {
  return `CREATE FUNCTION ${findTicket}(p_ticket json, p_lease bigint, p_retention bigint) RETURNS ${tickets} LANGUAGE plpgsql AS $function$
DECLARE
  v_thread bytea;
  v_turn bytea := ${digest("(p_ticket->>0) || (p_ticket->>1)")};
  v_ticket ${tickets};
  v_expires timestamptz;
  v_is_stopped boolean;
BEGIN
  SELECT * INTO v_ticket FROM ${tickets} WHERE turn = v_turn AND attempt = p_ticket->>2;
  IF FOUND THEN RETURN v_ticket; END IF;

  v_thread := ${digest("p_ticket->>0")};
  IF ${lockThread}(v_thread) = split_part(p_ticket->>4, '.', 1)::bigint THEN RETURN NULL; END IF;
  SELECT * INTO v_ticket FROM ${tickets} WHERE turn = v_turn AND attempt = p_ticket->>2;
  IF FOUND THEN RETURN v_ticket; END IF;
  DELETE FROM ${stops} WHERE turn = v_turn AND expires_at > clock_timestamp();
  v_is_stopped := FOUND;
  v_expires := clock_timestamp() + ${milliseconds("p_lease")};
  INSERT INTO ${tickets} (place, retention, expires_at, sweep_at, is_stopped, thread, turn, prompt, response, attempt)
  VALUES (split_part(p_ticket->>4, '.', 2)::bigint, p_retention, v_expires, v_expires + ${milliseconds("p_retention")}, v_is_stopped,
    v_thread, v_turn, ${digest("p_ticket->>3")}, p_ticket->>1, p_ticket->>2)
  RETURNING * INTO v_ticket;
  RETURN v_ticket;
END
$function$;`;
}

/**
 * Returns whether a ticket is waiting, granted or lost. It writes only if a ticket of the thread is lost and its row does not say so yet:
 * nobody is granted while a ticket ahead could still be renewed.
 */
function ticketState({ ticketState, lockThread, tickets }: CoordinatorNames): string {
  return `CREATE FUNCTION ${ticketState}(p_ticket ${tickets}) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
  v_ticket ${tickets} := p_ticket;
  v_now timestamptz;
  v_ahead boolean;
  v_live_ahead boolean;
  v_is_unsettled boolean;
BEGIN
  LOOP
    IF v_ticket.is_open IS NOT TRUE THEN RETURN 'lost'; END IF;
    v_now := clock_timestamp();
    SELECT count(*) > 0, coalesce(bool_or(expires_at > v_now), false) INTO v_ahead, v_live_ahead
    FROM ${tickets} WHERE thread = v_ticket.thread AND is_open AND place < v_ticket.place;
    v_is_unsettled := v_ahead AND NOT v_live_ahead;
    IF v_ticket.expires_at <= v_now THEN
      PERFORM FROM ${tickets} WHERE thread = v_ticket.thread AND is_open AND place > v_ticket.place AND expires_at > v_now;
      v_is_unsettled := FOUND;
    END IF;
    IF NOT v_is_unsettled THEN RETURN CASE WHEN v_ahead THEN 'waiting' ELSE 'granted' END; END IF;
    PERFORM ${lockThread}(v_ticket.thread);
    SELECT * INTO v_ticket FROM ${tickets} WHERE id = v_ticket.id;
  END LOOP;
END
$function$;`;
}

/** Returns a ticket's status as JSON: `[state, stop requested, followed, predecessor started, log length]`. */
function ticketStatus({ ticketStatus, tickets, followers }: CoordinatorNames): string {
  return `CREATE FUNCTION ${ticketStatus}(p_ticket ${tickets}, p_state text) RETURNS json LANGUAGE plpgsql AS $function$
BEGIN
  IF p_state = 'lost' THEN RETURN '["lost", false, false, false, 0]'::json; END IF;
  RETURN json_build_array(p_state, p_ticket.is_stopped,
    EXISTS (SELECT FROM ${followers} WHERE ticket = p_ticket.id AND expires_at > clock_timestamp()),
    p_ticket.has_predecessor_started, p_ticket.log_length);
END
$function$;`;
}

/** Counts a follower. Its row is written only once in a while: it counts for up to a fifth longer than it has to. */
function follow({ follow, followers }: CoordinatorNames): string {
  return `CREATE FUNCTION ${follow}(p_ticket bigint, p_follower text, p_follow bigint) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_follower bytea := ${digest("p_follower")};
BEGIN
  PERFORM FROM ${followers} WHERE ticket = p_ticket AND follower = v_follower AND expires_at >= v_now + ${milliseconds("p_follow")};
  IF FOUND THEN RETURN; END IF;
  INSERT INTO ${followers} VALUES (p_ticket, v_follower, v_now + ${milliseconds("p_follow * 1.2")})
  ON CONFLICT (ticket, follower) DO UPDATE SET expires_at = excluded.expires_at;
END
$function$;`;
}

/**
 * Deletes what is no longer kept, a bounded part of it. A ticket is looked at `sweep_at`, which is in an index and therefore not moved at
 * each renewal, but here, if the ticket is to be kept longer. Returns how many tickets and stops it looked at: 0 if nothing is left to delete.
 */
function sweep({ sweep, tickets, followers, stops, log }: CoordinatorNames): string {
  return `CREATE FUNCTION ${sweep}() RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
  v_ticket ${tickets};
  v_now timestamptz := clock_timestamp();
  v_until timestamptz;
  v_pieces bigint := 5000;
  v_count bigint;
  v_swept bigint := 0;
BEGIN
  FOR v_ticket IN SELECT * FROM ${tickets} WHERE sweep_at <= v_now ORDER BY sweep_at LIMIT 8 FOR UPDATE SKIP LOCKED LOOP
    v_swept := v_swept + 1;
    v_until := coalesce(v_ticket.left_at, v_ticket.expires_at) + ${milliseconds("v_ticket.retention")};
    IF v_until > v_now THEN
      UPDATE ${tickets} SET sweep_at = v_until WHERE id = v_ticket.id;
      CONTINUE;
    END IF;
    DELETE FROM ${log} WHERE ticket = v_ticket.id
      AND starts_at IN (SELECT starts_at FROM ${log} WHERE ticket = v_ticket.id ORDER BY starts_at LIMIT v_pieces);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_pieces := v_pieces - v_count;
    EXIT WHEN v_pieces <= 0;
    DELETE FROM ${followers} WHERE ticket = v_ticket.id;
    DELETE FROM ${tickets} WHERE id = v_ticket.id;
  END LOOP;
  DELETE FROM ${stops} WHERE turn IN (SELECT turn FROM ${stops} WHERE expires_at <= v_now ORDER BY expires_at LIMIT 8 FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_swept + v_count;
END
$function$;`;
}
