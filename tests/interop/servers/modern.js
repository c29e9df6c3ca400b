// A server written with the official SDK v2: revision 2026-07-28, no sessions. Alone it refuses
// everything earlier; with `legacy: 'stateless'` it also serves 2025 clients, one request at a time.
import {
  acceptedContent,
  createMcpHandler,
  fromJsonSchema,
  InMemoryServerEventBus,
  inputRequired,
  inputResponse,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { Seen } from '../support/waiting.js';
import { listen } from './http.js';

const words = (text) => ({ content: [{ type: 'text', text }] });

const regional = {
  type: 'object',
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    shard: { type: 'integer', 'x-mcp-header': 'Shard' },
    dryRun: { type: 'boolean', 'x-mcp-header': 'Dry-Run' },
    tenant: { type: 'object', properties: { name: { type: 'string', 'x-mcp-header': 'Tenant' } } },
  },
  required: ['region'],
};

// Not a token: a tool that no client may use over HTTP.
const misdeclared = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'not a token' } } };

// Of which the SDK warns at every list, on both sides.
const warn = console.warn;
console.warn = (...words) => String(words[0]).includes("'misdeclared'") || warn(...words);

export async function startModern({ legacy = 'reject' } = {}) {
  const requests = new Seen();
  const happened = new Seen();
  let meeting = { here: 0 };
  let grown = false;

  function build() {
    const server = new McpServer(
      { name: 'modern', version: '2.0.0' },
      {
        instructions: 'Modern only.',
        capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, prompts: {} },
      },
    );

    server.registerTool('echo', { inputSchema: z.object({ text: z.string() }) }, ({ text }) => words(text));

    server.registerTool('query', { inputSchema: fromJsonSchema(regional) }, (args, { http }) => {
      const mirrored = [...http.req.headers].filter(([name]) => name.startsWith('mcp-param-'));
      return { ...words(JSON.stringify(args)), structuredContent: Object.fromEntries(mirrored) };
    });

    server.registerTool('misdeclared', { inputSchema: fromJsonSchema(misdeclared) }, () => words('never'));

    server.registerTool('count', { inputSchema: z.object({ to: z.number() }) }, async ({ to }, { mcpReq }) => {
      const { progressToken } = mcpReq._meta;
      for (let progress = 1; progress <= to; progress++) {
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: to, message: `step ${progress}` },
        });
      }
      return words(`counted to ${to}`);
    });

    // Ends only when it is cancelled.
    server.registerTool('wait', {}, ({ mcpReq }) => {
      happened.push('a call waits');
      return new Promise((resolve) => {
        mcpReq.signal.addEventListener('abort', () => {
          happened.push('the call was aborted');
          resolve(words('too late'));
        });
      });
    });

    // Nobody leaves before `size` calls are inside at once.
    server.registerTool('meet', { inputSchema: z.object({ size: z.number(), name: z.string() }) }, async ({ size, name }) => {
      meeting.opened ??= new Promise((open) => (meeting.open = open));
      const { opened, open } = meeting;
      if (++meeting.here === size) {
        meeting = { here: 0 };
        open();
      }
      await opened;
      return words(name);
    });

    // Two rounds: first a form, then a model and the roots, with state that goes there and back.
    server.registerTool('deploy', {}, (ctx) => {
      const { inputResponses, requestState } = ctx.mcpReq;
      const state = requestState();
      if (state === undefined) {
        return inputRequired({
          requestState: 'round 1: ünchanged "state"',
          inputRequests: {
            target: inputRequired.elicit({ message: 'Where to?', requestedSchema: z.object({ place: z.string() }) }),
          },
        });
      }
      if (state === 'round 1: ünchanged "state"') {
        const { place } = acceptedContent(inputResponses, 'target');
        return inputRequired({
          requestState: `round 2: ${place}`,
          inputRequests: {
            note: inputRequired.createMessage({
              messages: [{ role: 'user', content: { type: 'text', text: `Announce ${place}` } }],
              maxTokens: 10,
            }),
            roots: inputRequired.listRoots(),
          },
        });
      }
      const { result } = inputResponse(inputResponses, 'note');
      const { roots } = inputResponse(inputResponses, 'roots');
      return words(`${state}; ${result.content.text}; ${roots.map(({ uri }) => uri)}`);
    });

    if (grown) server.registerTool('grown', {}, () => words('new here'));

    server.registerResource('note', new ResourceTemplate('note://{name}', { list: undefined }), {}, (uri, { name }) => ({
      contents: [{ uri: uri.href, text: `the note ${decodeURIComponent(name)}` }],
    }));

    // A name that is no HTTP header value as it stands.
    server.registerPrompt('grüße 👋', {}, () => ({
      messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
    }));

    return server;
  }

  const bus = new InMemoryServerEventBus();
  const subscribe = bus.subscribe.bind(bus);
  bus.subscribe = (listener) => {
    const leave = subscribe(listener);
    return () => {
      leave();
      happened.push('a subscription was closed');
    };
  };
  const handler = createMcpHandler(build, { legacy, bus, keepAliveMs: 0 });
  const answer = toNodeHandler(handler);
  const server = await listen(async (request, response) => {
    requests.push({ method: request.method, mcpMethod: request.headers['mcp-method'] });
    await answer(request, response);
  });

  return {
    ...server,
    requests,
    happened,
    /** Every open subscription hears of it. */
    toolsChange() {
      grown = true;
      handler.notify.toolsChanged();
    },
    resourceChanges: (uri) => handler.notify.resourceUpdated(uri),
    openSubscriptions: () => bus.listenerCount,
    async stop() {
      await handler.close();
      await server.stop();
    },
  };
}
