export { BODY_BYTES_MAX, errorBody, parseJson, startHttpServer, type HttpServer, type HttpServerOptions } from "./server.ts";
