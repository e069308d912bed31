import { chat } from "../../../chat";

export const runtime = "edge";
export const POST = chat;
