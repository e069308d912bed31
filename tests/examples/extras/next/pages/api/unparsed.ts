import { toNodeHandler } from "chat-handler/node";
import { chat } from "../../chat";

export const config = { api: { bodyParser: false } };

export default toNodeHandler(chat);
