/** The handler mounted in each framework that passes Node's `(req, res)`, with and without what usually stands in front of it. */
import "reflect-metadata";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyParser } from "@koa/bodyparser";
import { getRequestListener } from "@hono/node-server";
import { type ArgumentsHost, Catch, Controller, Module, Post, Req, Res } from "@nestjs/common";
import { BaseExceptionFilter, NestFactory } from "@nestjs/core";
import { type NestExpressApplication } from "@nestjs/platform-express";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import compression from "compression";
import express, { type ErrorRequestHandler } from "express";
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from "fastify";
import { createApp, createRouter, fromNodeMiddleware, toNodeListener } from "h3";
import Koa from "koa";
import compress from "koa-compress";
import type { ChatHandler } from "../../src/index.ts";
import { type NodeRequest, type NodeResponse, toNodeHandler } from "../../src/node.ts";

/** A server with the handler at `/api/chat` and, where the app compresses, a long text at `/long`. */
export interface App {
  origin: string;
  close(): Promise<unknown>;
}

const long = "compress me ".repeat(1000);

async function serve(server: Server): Promise<App> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.closeAllConnections();
    server.close();
  };
  return { origin: originOf(server.address()), close };
}

const originOf = (address: AddressInfo | string | null) => `http://127.0.0.1:${(address as AddressInfo).port}`;

/** Nest's decorators are called as functions: the tests are compiled without them. */
function nestModule(onFastify: boolean, chat: ChatHandler): new () => object {
  const handle = toNodeHandler(chat);
  class ChatController {
    chat(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      if (!onFastify) return handle(request as never, reply as never);
      reply.hijack();
      return handle(request.raw, reply.raw, request.body);
    }
  }
  Controller("api")(ChatController);
  Post("chat")(ChatController.prototype, "chat", Object.getOwnPropertyDescriptor(ChatController.prototype, "chat")!);
  Req()(ChatController.prototype, "chat", 0);
  Res()(ChatController.prototype, "chat", 1);
  class AppModule {}
  Module({ controllers: [ChatController] })(AppModule);
  return AppModule;
}

async function nestOnExpress(chat: ChatHandler, options: object): Promise<App> {
  const app = await NestFactory.create<NestExpressApplication>(nestModule(false, chat), { logger: false, ...options });
  app.use(compression());
  app.use("/long", (_req: unknown, res: { type(name: string): void; send(text: string): void }) => {
    res.type("text/plain");
    res.send(long);
  });
  const handle = toNodeHandler(chat);
  class BodyTooLarge extends BaseExceptionFilter {
    override catch(error: unknown, host: ArgumentsHost): unknown {
      const [req, res]: [NodeRequest, NodeResponse] = host.getArgs();
      const isTooLarge = error instanceof Error && "status" in error && error.status === 413;
      return isTooLarge && req.originalUrl === "/api/chat" ? handle(req, res, error) : super.catch(error, host);
    }
  }
  Catch()(BodyTooLarge);
  app.useGlobalFilters(new BodyTooLarge(app.getHttpAdapter()));
  await app.listen(0, "127.0.0.1");
  return { origin: originOf(app.getHttpServer().address() as AddressInfo), close: () => app.close() };
}

/** What everybody did before there was `toNodeHandler`. Fails every request. */
export const misMounted = (chat: ChatHandler): Promise<App> => {
  const app = express();
  app.use(express.json());
  app.post(
    "/api/chat",
    getRequestListener((request) => chat(request), { overrideGlobalObjects: false }),
  );
  return serve(createServer(app));
};

/** The apps by what they are. */
export const apps: Record<string, (chat: ChatHandler) => Promise<App>> = {
  "node:http": (chat) => {
    const handle = toNodeHandler(chat);
    return serve(createServer((req, res) => void handle(req, res)));
  },

  Express: (chat) => {
    const app = express();
    app.post("/api/chat", toNodeHandler(chat));
    app.use(express.json());
    return serve(createServer(app));
  },

  "Express behind express.json() and compression(), in a router": (chat) => {
    const handle = toNodeHandler(chat);
    const app = express();
    app.use(compression());
    app.use(express.json({ limit: "10kb" }));
    const api = express.Router();
    api.post("/chat", handle);
    app.use("/api", api);
    const onError: ErrorRequestHandler = (error, req, res, next) => {
      if (String(error.type).startsWith("entity.")) return handle(req, res, error);
      return next(error);
    };
    app.use("/api/chat", onError);
    app.get("/long", (_req, res) => void res.type("text/plain").send(long));
    return serve(createServer(app));
  },

  "Nest on Express": (chat) => nestOnExpress(chat, {}),
  "Nest on Express, rawBody: true": (chat) => nestOnExpress(chat, { rawBody: true }),
  "Nest on Express, bodyParser: false": (chat) => nestOnExpress(chat, { bodyParser: false }),

  async "Nest on Fastify"(chat) {
    const app = await NestFactory.create<NestFastifyApplication>(nestModule(true, chat), new FastifyAdapter(), { logger: false });
    await app.listen(0, "127.0.0.1");
    return { origin: originOf(app.getHttpServer().address() as AddressInfo), close: () => app.close() };
  },

  async Fastify(chat) {
    const handle = toNodeHandler(chat);
    const app = fastify();
    const errorHandler = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): unknown => {
      if (!error.code.startsWith("FST_ERR_CTP_")) return reply.send(error);
      reply.hijack();
      reply.raw.setHeader("Connection", "close"); // the rest of the body was not read
      return handle(request.raw, reply.raw, error);
    };
    app.post("/api/chat", { errorHandler }, (request, reply) => {
      reply.hijack();
      return handle(request.raw, reply.raw, request.body);
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    return { origin: originOf(app.server.address()), close: () => app.close() };
  },

  async "Fastify without body parsers"(chat) {
    const handle = toNodeHandler(chat);
    const app = fastify();
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _payload, done) => done(null));
    app.post("/api/chat", (request, reply) => {
      reply.hijack();
      return handle(request.raw, reply.raw);
    });
    await app.listen({ port: 0, host: "127.0.0.1" });
    return { origin: originOf(app.server.address()), close: () => app.close() };
  },

  "h3 1, as in Nuxt 4": (chat) => {
    const app = createApp();
    app.use(createRouter().post("/api/chat", fromNodeMiddleware(toNodeHandler(chat))));
    return serve(createServer(toNodeListener(app)));
  },

  Koa: (chat) => {
    const handle = toNodeHandler(chat);
    const app = new Koa();
    app.use((ctx) => {
      ctx.respond = false;
      return handle(ctx.req, ctx.res);
    });
    return serve(createServer(app.callback()));
  },

  "Koa behind bodyParser() and compress()": (chat) => {
    const handle = toNodeHandler(chat);
    const app = new Koa();
    app.use(compress());
    app.use(bodyParser());
    app.use((ctx) => {
      if (ctx.path === "/long") {
        ctx.body = long;
        return undefined;
      }
      ctx.respond = false;
      return handle(ctx.req, ctx.res, ctx.request.body);
    });
    return serve(createServer(app.callback()));
  },
};
