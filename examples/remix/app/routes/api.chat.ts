import { chat } from "../chat.server";
import type { Route } from "./+types/api.chat";

/** A resource route: a module without a component. Its action is called for POST. */
export function action({ request }: Route.ActionArgs): Promise<Response> {
  return chat(request);
}

/** Its loader is called for GET. */
export function loader({ request }: Route.LoaderArgs): Promise<Response> {
  return chat.resume(request);
}
