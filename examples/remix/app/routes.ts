import { index, route, type RouteConfig } from "@react-router/dev/routes";

export default [
  index("routes/home.tsx"),
  route("api/chat", "routes/api.chat.ts"),
  route("api/chat/stop", "routes/api.chat.stop.ts"),
] satisfies RouteConfig;
