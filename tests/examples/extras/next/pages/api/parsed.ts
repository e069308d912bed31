import { toNodeHandler } from "chat-handler/node";
import { chat } from "../../chat";

export default toNodeHandler(chat);
