import { chat } from "../chat.server";
import type { Route } from "./+types/api.chat.stop";

export function action({ request }: Route.ActionArgs): Promise<Response> {
  return chat.stop(request);
}
