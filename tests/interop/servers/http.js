import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Readable } from 'node:stream';

/** An HTTP server on a free port of 127.0.0.1; HTTPS with `tls`, the options of node:tls. */
export async function listen(handler, tls) {
  const answer = (request, response) => {
    handler(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http${tls ? 's' : ''}://127.0.0.1:${server.address().port}`;
  return {
    origin,
    url: `${origin}/mcp`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The same for a handler that takes a Request (and the socket it came by) and gives a Response. */
export const listenFetch = (handler, tls) =>
  listen(async (request, response) => {
    const body = ['GET', 'HEAD'].includes(request.method) ? {} : { body: Readable.toWeb(request), duplex: 'half' };
    const aborted = new AbortController();
    response.on('close', () => aborted.abort());
    const answer = await handler(
      new Request(new URL(request.url, `http://${request.headers.host}`), {
        method: request.method,
        headers: request.headers,
        signal: aborted.signal,
        ...body,
      }),
      request.socket,
    );
    const headers = Object.fromEntries(answer.headers);
    const cookies = answer.headers.getSetCookie();
    response.writeHead(answer.status, cookies.length ? { ...headers, 'set-cookie': cookies } : headers);
    response.flushHeaders();
    if (!answer.body) return void response.end();
    const stream = Readable.fromWeb(answer.body);
    stream.on('error', () => response.destroy()); // the client has gone
    stream.pipe(response);
  }, tls);

export const json = (value, status = 200, headers = {}) => Response.json(value, { status, headers });

export const page = (title, body, status = 200) =>
  new Response(`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`, {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8' },
  });
