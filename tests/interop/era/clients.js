// The TypeScript clients of the matrix. What an SDK and an era call differently has one name here.
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { connect, textOf } from '../support/clients.js';

const LOG_LEVEL = 'io.modelcontextprotocol/logLevel';
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };
const modernCapabilities = { ...capabilities, roots: {} }; // there it has no changes

/** What the person, the model and the machine at the client say. `asked` hears every question. */
const ANSWERS = {
  'elicitation/create': ({ mode }) => (mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { place: 'Zürich' } }),
  'sampling/createMessage': () => ({ role: 'assistant', model: 'a model', content: { type: 'text', text: 'sampled: schön' } }),
  'roots/list': () => ({ roots: [{ uri: 'file:///first', name: 'first' }] }),
};
const SCHEMAS = {
  'elicitation/create': ElicitRequestSchema,
  'sampling/createMessage': CreateMessageRequestSchema,
  'roots/list': ListRootsRequestSchema,
};

export async function player(t, { sdk, mode }, { url, ...how }, name) {
  const asked = [];
  const prepare = (client) => {
    for (const [method, answer] of Object.entries(ANSWERS)) {
      client.setRequestHandler(sdk === 'v1' ? SCHEMAS[method] : method, ({ params }) => {
        asked.push({ method, params });
        return answer(params);
      });
    }
  };
  const options = { capabilities: mode?.pin ? modernCapabilities : capabilities, ...(mode && { versionNegotiation: { mode } }) };
  const { client, notifications, received, close } = await connect(t, sdk, url, { name, options, prepare, ...how });

  const modern = sdk === 'v2' && client.getProtocolEra() === 'modern';
  const refresh = sdk === 'v2' ? { cacheMode: 'refresh' } : undefined;
  let level; // of the log, which a modern client says with each request
  const call = async (tool, args = {}, options) => {
    const params = { name: tool, arguments: args, ...(modern && level && { _meta: { [LOG_LEVEL]: level } }) };
    return sdk === 'v1' ? client.callTool(params, undefined, options) : client.callTool(params, options);
  };
  return {
    client,
    modern,
    asked,
    notifications,
    received,
    close,
    call,
    say: async (tool, args, options) => textOf(await call(tool, args, options)),
    tools: async () => (await client.listTools({}, refresh)).tools.map(({ name }) => name),

    /** Hears of changes of these resources; returns how to hear of others instead. */
    async follow(uris) {
      if (modern) {
        let open = await client.listen({ resourceSubscriptions: uris });
        return async (others) => {
          await open.close();
          open = others.length ? await client.listen({ resourceSubscriptions: others }) : { close() {} };
        };
      }
      let now = uris;
      for (const uri of uris) await client.subscribeResource({ uri });
      return async (others) => {
        for (const uri of now.filter((uri) => !others.includes(uri))) await client.unsubscribeResource({ uri });
        now = others;
      };
    },

    /** Hears when the list of tools has changed. */
    async watchTools() {
      if (!modern) return async () => {};
      const open = await client.listen({ toolsListChanged: true });
      return () => open.close();
    },

    async logFrom(wanted) {
      level = wanted;
      if (!modern) await client.setLoggingLevel(wanted);
    },
  };
}

/** Notifications of one method so far, what `of` makes of each; waits until there are `count`. */
export async function heard({ notifications }, method, count, of) {
  const so = (items) => items.filter((item) => item.method === method);
  if (count) await notifications.until(`${count} x ${method}`, (items) => so(items).length >= count);
  return so(notifications.items).map(({ params }) => of(params));
}

