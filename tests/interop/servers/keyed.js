// A server written with the official SDK v1: revision 2025-11-25, with sessions, behind API keys.
// No key is a bare 401, a wrong one a bare 403: neither WWW-Authenticate nor any .well-known.
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';
import { Seen } from '../support/waiting.js';
import { listen } from './http.js';

const words = (text) => ({ content: [{ type: 'text', text }] });

/** `keys` maps each API key to the identity it stands for. */
export async function startKeyed(keys) {
  const sessions = new Map();
  const requests = new Seen();
  const happened = new Seen();
  let meeting = { here: 0 };

  function build() {
    const server = new McpServer({ name: 'keyed', version: '1.0.0' }, { capabilities: { logging: {} } });

    server.registerTool('whoami', { description: 'The identity of the caller' }, ({ authInfo }) => words(authInfo.clientId));

    server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => words(text));

    // Ends only when it is cancelled.
    server.registerTool('wait', {}, ({ signal }) => {
      happened.push('a call waits');
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          happened.push('the call was aborted');
          resolve(words('too late'));
        });
      });
    });

    // Nobody leaves before `size` calls are inside at once.
    server.registerTool('meet', { inputSchema: { size: z.number(), name: z.string() } }, async ({ size, name }) => {
      meeting.opened ??= new Promise((open) => (meeting.open = open));
      const { opened, open } = meeting;
      if (++meeting.here === size) {
        meeting = { here: 0 };
        open();
      }
      await opened;
      return words(name);
    });

    server.registerTool('grow', {}, () => {
      server.registerTool('grown', {}, () => words('new here'));
      return words('one tool more');
    });

    return server;
  }

  async function session(request, response) {
    const id = request.headers['mcp-session-id'];
    if (sessions.has(id)) return sessions.get(id);
    if (id) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
      return undefined;
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        sessions.set(id, transport);
        happened.push(`session ${sessions.size} opened`);
      },
    });
    transport.onclose = () => {
      if (sessions.delete(transport.sessionId)) happened.push(`${sessions.size} sessions left`);
    };
    await build().connect(transport);
    return transport;
  }

  const server = await listen(async (request, response) => {
    const { authorization, 'x-api-key': header } = request.headers;
    const key = header ?? /^Bearer (.*)$/.exec(authorization ?? '')?.[1];
    const identity = keys[key];
    const status = key === undefined ? 401 : identity === undefined ? 403 : 200;
    requests.push({ method: request.method, path: request.url, status });
    if (status !== 200) {
      response.writeHead(status, { 'content-type': 'text/plain' }).end(status === 401 ? 'no API key' : 'unknown API key');
      return;
    }
    if (request.url !== '/mcp') {
      response.writeHead(404).end();
      return;
    }
    request.auth = { token: key, clientId: identity, scopes: [] };
    const transport = await session(request, response);
    await transport?.handleRequest(request, response);
  });

  return {
    ...server,
    requests,
    happened,
    noSessionLeft: () => happened.until('the server has no session left', () => sessions.size === 0),
    /** As after a restart: every session id so far is unknown now. */
    async forgetSessions() {
      await Promise.all([...sessions.values()].map((transport) => transport.close()));
    },
  };
}
