// The orchestra with the official SDK v2: revision 2026-07-28, or the handshake's revisions with
// sessions, or both, as the SDK's documentation of `isLegacyRequest` has it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import {
  completable,
  createMcpHandler,
  InMemoryServerEventBus,
  inputRequired,
  isLegacyRequest,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server';
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { listen } from '../http.js';
import { answered, ASKS, bodyOf, completions, CONSENT, greeting, note, PICTURE, points, SHAPES, sharedTools, words } from './score.js';

const CLIENT = 'io.modelcontextprotocol/clientInfo';

function begin(plays, shared, grown = []) {
  const server = new McpServer(
    { name: 'orchestra', version: '2.0.0' },
    {
      instructions: 'Played by SDK v2.',
      capabilities: { logging: {}, completions: {}, tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } },
    },
  );
  for (const [name, shape] of Object.entries(SHAPES)) {
    server.registerTool(name, { inputSchema: z.object(shape) }, (args, ctx) => {
      const { _meta, signal, notify } = ctx.mcpReq;
      const progress = (params) =>
        notify({ method: 'notifications/progress', params: { progressToken: _meta?.progressToken, ...params } });
      return shared[name] ? shared[name](args, { signal, progress }) : plays[name](args, ctx, server);
    });
  }
  for (const name of grown) server.registerTool(name, {}, () => words('new here'));

  server.registerResource('picture', PICTURE.uri, { mimeType: PICTURE.mimeType }, () => ({ contents: [PICTURE] }));
  server.registerResource('note', new ResourceTemplate('note://{name}', { list: undefined }), {}, note);
  server.registerResource('lost', new ResourceTemplate('lost://{name}', { list: undefined }), {}, (uri) => {
    throw new ResourceNotFoundError(uri.href);
  });
  server.registerPrompt('greet', { argsSchema: z.object({ name: completable(z.string(), completions) }) }, ({ name }) => greeting(name));
  return server;
}

/** Input is wanted by a result, and the call comes again. */
function modernPlays({ listening, grown, notify }) {
  const wants = (name, ctx, state, then) => {
    const { method, params, tell } = ASKS[name];
    const { inputResponses } = ctx.mcpReq;
    if (!inputResponses) return inputRequired({ requestState: state, inputRequests: { it: { method, ...(params && { params }) } } });
    return then(tell(inputResponses.it));
  };
  const plays = {
    async log(_, ctx) {
      for (const level of ['debug', 'error']) await ctx.mcpReq.log(level, `${level} by call`, 'orchestra');
      return words('logged');
    },
    rounds(_, ctx) {
      const { inputResponses } = ctx.mcpReq;
      const state = ctx.mcpReq.requestState();
      const request = (name) => ({ method: ASKS[name].method, ...(ASKS[name].params && { params: ASKS[name].params }) });
      if (state === undefined) return inputRequired({ requestState: 'round 1 "ünchanged"', inputRequests: { place: request('ask') } });
      if (state === 'round 1 "ünchanged"') {
        const requestState = `round 2: ${ASKS.ask.tell(inputResponses.place)}`;
        return inputRequired({ requestState, inputRequests: { words: request('sample'), roots: request('roots') } });
      }
      const said = [ASKS.sample.tell(inputResponses.words), ASKS.roots.tell(inputResponses.roots)];
      return words([state.replace('round 2: ', ''), ...said].join('; '));
    },
    async grow({ name }, ctx) {
      await listening(ctx);
      grown.add(name);
      notify().toolsChanged();
      return words('one more');
    },
    async touch({ uri }, ctx) {
      await listening(ctx);
      notify().resourceUpdated(uri);
      return words('touched');
    },
    consent: () => words('that is of 2025-11-25'),
  };
  for (const name of Object.keys(ASKS)) plays[name] = (_, ctx) => wants(name, ctx, `state of ${name}`, words);
  return plays;
}

/** Input is asked for by requests, of this call or of the session. */
function legacyPlays(listening) {
  const agreed = new Set();
  const asked = async (name, via, ctx, server) => {
    const { method, params, tell } = ASKS[name];
    const withId = params?.mode === 'url' ? { ...params, elicitationId: 'consent' } : params;
    const request = { method, ...(params && { params: withId }) };
    if (via === 'call') return tell(await ctx.mcpReq.send(request));
    await listening;
    return tell(await server.server.request(request));
  };
  const plays = {
    subscribed: new Set(),
    async log({ via }, ctx, server) {
      if (via === 'session') await listening;
      for (const level of ['debug', 'error']) {
        const data = `${level} by ${via}`;
        if (via === 'call') await ctx.mcpReq.log(level, data, 'orchestra');
        else await server.server.sendLoggingMessage({ level, logger: 'orchestra', data }, ctx.sessionId);
      }
      return words('logged');
    },
    async rounds(_, ctx) {
      const place = await asked('ask', 'call', ctx);
      return words([place, ...(await Promise.all(['sample', 'roots'].map((name) => asked(name, 'call', ctx))))].join('; '));
    },
    async grow({ name }, _, server) {
      await listening;
      server.registerTool(name, {}, () => words('new here'));
      return words('one more');
    },
    async touch({ uri }, _, server) {
      await listening;
      if (plays.subscribed.has(uri)) await server.server.sendResourceUpdated({ uri });
      return words('touched');
    },
    consent({ name }) {
      if (agreed.has(name)) return words(`agreed: ${name}`);
      agreed.add(name);
      throw new UrlElicitationRequiredError([CONSENT], 'first agree');
    },
  };
  for (const name of Object.keys(ASKS)) plays[name] = async ({ via }, ctx, server) => words(await asked(name, via, ctx, server));
  return plays;
}

export async function startV2({ modern = true, legacy = false } = {}) {
  const stops = points();
  const shared = sharedTools(stops);
  const grown = new Set();

  // Whose listen stream it is says the client's name, which each client here has for itself.
  const asking = new AsyncLocalStorage();
  const bus = new InMemoryServerEventBus();
  const subscribe = bus.subscribe.bind(bus);
  bus.subscribe = (listener) => {
    stops.reach(`${asking.getStore()} listens`);
    return subscribe(listener);
  };
  const listening = ({ mcpReq }) => stops.reached(`${mcpReq.envelope[CLIENT].name} listens`);
  const plays = modernPlays({ listening, grown, notify: () => handler.notify });
  const handler = createMcpHandler(() => begin(plays, shared, grown), { legacy: 'reject', bus, keepAliveMs: 0 });
  const serveModern = toNodeHandler(handler);

  const sessions = new Map();
  async function open() {
    const session = {};
    const streaming = new Promise((resolve) => (session.heard = resolve));
    const legacies = legacyPlays(streaming);
    const server = begin(legacies, sharedTools(points()));
    server.server.setRequestHandler('resources/subscribe', ({ params }) => (legacies.subscribed.add(params.uri), {}));
    server.server.setRequestHandler('resources/unsubscribe', ({ params }) => (legacies.subscribed.delete(params.uri), {}));
    session.transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, session),
    });
    session.transport.onclose = () => sessions.delete(session.transport.sessionId);
    await server.connect(session.transport);
    return session;
  }

  const server = await listen(async (request, response) => {
    const body = await bodyOf(request);
    if (!modern || (legacy && (await isLegacyRequest(await toWebRequest(request, body))))) {
      const id = request.headers['mcp-session-id'];
      if (id && !sessions.has(id)) return void response.writeHead(404).end();
      const session = sessions.get(id) ?? (await open());
      if (request.method === 'GET') answered(response).then(session.heard);
      return session.transport.handleRequest(request, response, body);
    }
    await asking.run(body?.params?._meta?.[CLIENT]?.name, () => serveModern(request, response, body));
  });
  return {
    ...server,
    async stop() {
      await handler.close();
      await server.stop();
    },
  };
}
