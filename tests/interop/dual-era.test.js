// Clients and servers that know both eras.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { startEverything } from './servers/everything.js';
import { startKeyed } from './servers/keyed.js';
import { startModern } from './servers/modern.js';
import { bridgeOnly, direct, home, keyferry } from './support/bridge.js';
import { connect, progressOf, textOf } from './support/clients.js';

const limit = { timeout: 60_000 };
const auto = { versionNegotiation: { mode: 'auto' } };
const KEY = 'key-of-carol-77aa';

let everything, keyed, both;
before(async () => {
  [everything, keyed, both] = await Promise.all([
    startEverything(),
    startKeyed({ [KEY]: 'carol' }),
    startModern({ legacy: 'stateless' }),
  ]);
});
after(() => Promise.all([everything, keyed, both].map((server) => server?.stop())));

/** Behind keyferry every server is one of the client's newest era. */
const newest = direct ? 'legacy' : 'modern';

test('a v2 client that knows both eras loses nothing with a legacy server', limit, async (t) => {
  const { client, received, close } = await connect(t, 'v2', everything.url, {
    options: { ...auto, capabilities: { sampling: {} } },
    prepare: (client) =>
      client.setRequestHandler('sampling/createMessage', () => ({
        role: 'assistant',
        model: 'a model',
        content: { type: 'text', text: 'sampled by v2' },
      })),
  });
  assert.equal(client.getProtocolEra(), newest);
  assert.equal(client.getServerVersion().name, 'mcp-servers/everything');
  assert.match(textOf(await client.callTool({ name: 'get-sum', arguments: { a: 1, b: 2 } })), /\b3\b/);
  assert.match(textOf(await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'say it' } })), /sampled by v2/);

  received.items.length = 0;
  await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } }, { onprogress() {} });
  assert.deepEqual(progressOf(received), ['1/3', '2/3', '3/3', 'answer']);

  await close();
  await everything.noSessionLeft();
});

test('a v2 client that knows both eras loses nothing behind an API key', limit, async (t) => {
  const where = home();
  if (!direct) {
    const login = await keyferry(where, ['login', keyed.url, '--with', 'api-key'], { stdin: KEY });
    assert.equal(login.code, 0, login.stderr);
  }
  const { client, close } = await connect(t, 'v2', keyed.url, { where, key: KEY, options: auto });
  assert.equal(client.getProtocolEra(), newest);
  assert.equal(textOf(await client.callTool({ name: 'whoami' })), 'carol');
  await close();
  await keyed.noSessionLeft();
});

test('a v2 client without a key is told the cause in whichever era it asks', { ...limit, ...bridgeOnly }, async (t) => {
  await assert.rejects(connect(t, 'v2', keyed.url, { options: auto }), (error) => {
    assert.equal(error.code, -31001);
    assert.match(error.data.hint, /keyferry login/);
    return true;
  });
});

test('a v2 client that knows only legacy speaks it with a server that knows both', limit, async (t) => {
  const { client } = await connect(t, 'v2', both.url);
  assert.equal(client.getProtocolEra(), 'legacy');
  assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'old words' } })), 'old words');
});

test('a v1 client is served by a server that keeps no session', limit, async (t) => {
  const { client, received, close } = await connect(t, 'v1', both.url, {
    options: { capabilities: { sampling: {} } },
    prepare: (client) => client.setRequestHandler(CreateMessageRequestSchema, () => assert.fail('nobody asks')),
  });
  assert.equal(client.getServerVersion().name, 'modern');
  assert.ok((await client.listTools()).tools.some(({ name }) => name === 'echo'));
  assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'no session' } })), 'no session');
  received.items.length = 0;
  await client.callTool({ name: 'count', arguments: { to: 3 } }, undefined, { onprogress() {} });
  assert.deepEqual(progressOf(received), ['1/3', '2/3', '3/3', 'answer']);
  await close();
});

test('a v2 client that knows both eras is modern with a server that knows both', limit, async (t) => {
  const { client } = await connect(t, 'v2', both.url, { options: auto });
  assert.equal(client.getProtocolEra(), 'modern');
  assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'new words' } })), 'new words');
});
