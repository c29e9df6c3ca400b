// The orchestra with the official SDK v1: one of the handshake's revisions, with sessions, over
// Streamable HTTP or, `sse`, over HTTP+SSE.
import { randomUUID } from 'node:crypto';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  CreateMessageResultSchema,
  ElicitResultSchema,
  InitializeRequestSchema,
  ListRootsResultSchema,
  McpError,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { listen } from '../http.js';
import { answered, ASKS, bodyOf, completions, CONSENT, greeting, note, PICTURE, points, SHAPES, sharedTools, words } from './score.js';

const RESULTS = {
  'elicitation/create': ElicitResultSchema,
  'sampling/createMessage': CreateMessageResultSchema,
  'roots/list': ListRootsResultSchema,
};

/** One session's server; `listening` resolves when the client has a stream for what comes unasked. */
function build(version, listening) {
  const server = new McpServer(
    { name: 'orchestra', version: '1.0.0' },
    {
      instructions: 'Played by SDK v1.',
      capabilities: { logging: {}, completions: {}, tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } },
    },
  );
  const low = server.server;
  // The SDK takes whatever revision the client asks for.
  low.setRequestHandler(InitializeRequestSchema, async (request) => ({
    ...(await low._oninitialize(request)),
    protocolVersion: request.params.protocolVersion < version ? request.params.protocolVersion : version,
  }));

  const stops = points();
  const agreed = new Set();
  const subscribed = new Set();
  const shared = sharedTools(stops);
  const plays = {
    consent({ name }) {
      if (agreed.has(name)) return words(`agreed: ${name}`);
      agreed.add(name);
      throw new UrlElicitationRequiredError([CONSENT], 'first agree');
    },
    async log({ via }, extra) {
      if (via === 'session') await listening;
      for (const level of ['debug', 'error']) {
        const params = { level, logger: 'orchestra', data: `${level} by ${via}` };
        if (via === 'session') await low.sendLoggingMessage(params, extra.sessionId);
        else if (!low.isMessageIgnored(level, extra.sessionId)) await extra.sendNotification({ method: 'notifications/message', params });
      }
      return words('logged');
    },
    async rounds(_, extra) {
      const asked = async (name) => {
        const { method, params, tell } = ASKS[name];
        return tell(await extra.sendRequest({ method, params }, RESULTS[method]));
      };
      const place = await asked('ask');
      return words([place, ...(await Promise.all([asked('sample'), asked('roots')]))].join('; '));
    },
    async grow({ name }) {
      await listening;
      server.registerTool(name, {}, () => words('new here'));
      return words('one more');
    },
    async touch({ uri }) {
      await listening;
      if (subscribed.has(uri)) await low.sendResourceUpdated({ uri });
      return words('touched');
    },
  };
  for (const [name, { method, params, tell }] of Object.entries(ASKS)) {
    plays[name] = async ({ via }, extra) => {
      const withId = params?.mode === 'url' ? { ...params, elicitationId: 'consent' } : params;
      const request = { method, ...(params && { params: withId }) };
      if (via === 'call') return words(tell(await extra.sendRequest(request, RESULTS[method])));
      await listening;
      return words(tell(await low.request(request, RESULTS[method])));
    };
  }
  for (const [name, inputSchema] of Object.entries(SHAPES)) {
    server.registerTool(name, { inputSchema }, (args, extra) => {
      const { progressToken } = extra._meta ?? {};
      const progress = (params) => extra.sendNotification({ method: 'notifications/progress', params: { progressToken, ...params } });
      return shared[name] ? shared[name](args, { signal: extra.signal, progress }) : plays[name](args, extra);
    });
  }

  server.registerResource('picture', PICTURE.uri, { mimeType: PICTURE.mimeType }, () => ({ contents: [PICTURE] }));
  server.registerResource('note', new ResourceTemplate('note://{name}', { list: undefined }), {}, note);
  server.registerResource('lost', new ResourceTemplate('lost://{name}', { list: undefined }), {}, (uri) => {
    throw new McpError(-32002, 'Resource not found', { uri: uri.href });
  });
  low.setRequestHandler(SubscribeRequestSchema, ({ params }) => (subscribed.add(params.uri), {}));
  low.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => (subscribed.delete(params.uri), {}));
  server.registerPrompt('greet', { argsSchema: { name: completable(z.string(), completions) } }, ({ name }) => greeting(name));
  return server;
}

export function startV1({ version, sse = false }) {
  const sessions = new Map();

  async function overSse(request, response) {
    const { searchParams } = new URL(request.url, 'http://server');
    if (request.method === 'POST') {
      const session = sessions.get(searchParams.get('sessionId'));
      if (session) return session.handlePostMessage(request, response);
    } else if (request.method === 'GET') {
      const transport = new SSEServerTransport('/messages', response);
      sessions.set(transport.sessionId, transport);
      response.on('close', () => sessions.delete(transport.sessionId));
      return build(version, Promise.resolve()).connect(transport);
    }
    response.writeHead(request.method === 'POST' && !searchParams.has('sessionId') ? 405 : 404).end();
  }

  async function overHttp(request, response) {
    const id = request.headers['mcp-session-id'];
    if (id && !sessions.has(id)) return void response.writeHead(404).end();
    const session = sessions.get(id) ?? (await open());
    if (request.method === 'GET') answered(response).then(session.heard);
    await session.transport.handleRequest(request, response, await bodyOf(request));
  }

  async function open() {
    const session = {};
    const listening = new Promise((resolve) => (session.heard = resolve));
    session.transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, session),
    });
    session.transport.onclose = () => sessions.delete(session.transport.sessionId);
    await build(version, listening).connect(session.transport);
    return session;
  }

  return listen(sse ? overSse : overHttp);
}
