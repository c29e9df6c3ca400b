// keyferry and a Nuxt application with its MCP toolkit and better-auth's API keys, which is "soft":
// who shows no key or a wrong one gets 200 and is told by the tools.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startNuxt } from './servers/nuxt/start.js';
import { bridgeOnly, home, keyferry } from './support/bridge.js';
import { connect, connectDirectly } from './support/clients.js';
import { call } from './support/people.js';
import { connectLogged } from './support/refusals.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const NOBODY = 'an-api-key-that-nobody-has';
const REQUIRED = 'Authentication required';

let nuxt;
before(async () => (nuxt = await startNuxt()), { timeout: 240_000 });
after(() => nuxt?.stop());

async function teach(where, key, ...flags) {
  const login = await keyferry(where, ['login', nuxt.url, '--with', 'api-key', ...flags], { stdin: `${key}\n` });
  assert.equal(login.code, 0, login.stderr);
  assert.ok(!(login.stdout + login.stderr).includes(key));
}

test('a key that was taught once makes a member of whoever calls, now and at the next start', limit, async (t) => {
  const where = home();
  const { key } = await nuxt.member('alice');
  await teach(where, key);
  const { length } = await nuxt.requests();
  for (let start = 0; start < 2; start++) {
    const bridge = await connectLogged(t, 'v1', nuxt.url, { where });
    assert.deepEqual((await bridge.client.listTools()).tools.map(({ name }) => name).sort(), ['secrets', 'whoami']);
    assert.equal(await call(bridge, 'whoami'), 'alice@example.test');
    assert.equal(await call(bridge, 'secrets'), 'for alice@example.test only');
    await bridge.close();
    assert.ok(!bridge.log().includes(key));
  }
  const elsewhere = (await nuxt.requests()).slice(length).filter(({ path }) => path !== '/mcp');
  assert.deepEqual(elsewhere, [], 'who has a key never looks for metadata');
});

test('two accounts are two members', limit, async (t) => {
  const where = home();
  await teach(where, (await nuxt.member('bob')).key);
  await teach(where, (await nuxt.member('carol')).key, '--account', 'work');
  assert.equal(await call(await connect(t, 'v1', nuxt.url, { where }), 'whoami'), 'bob@example.test');
  assert.equal(await call(await connect(t, 'v1', nuxt.url, { where, args: ['--account', 'work'] }), 'whoami'), 'carol@example.test');
});

for (const [what, key] of [['no key', undefined], ['a wrong key', NOBODY]]) {
  test(`with ${what}, what the tools say of it reaches the client as it is`, limit, async (t) => {
    const where = home();
    if (key) await teach(where, key, '--no-verify');
    const bridge = await connectLogged(t, 'v1', nuxt.url, { where });
    assert.equal(await call(bridge, 'whoami'), REQUIRED);
    const { client } = await connectDirectly(t, 'v1', nuxt.url, { key });
    const said = await bridge.client.callTool({ name: 'secrets' });
    assert.deepEqual(said, await client.callTool({ name: 'secrets' }));
    assert.equal(said.isError, true);
    assert.match(JSON.stringify(said.content), new RegExp(REQUIRED));
    await bridge.close();
    assert.ok(!bridge.log().includes(NOBODY));
  });
}

test('a key that is taken back is told by the tools, and the key after it works', limit, async (t) => {
  const where = home();
  const former = await nuxt.member('dan');
  await teach(where, former.key);
  const bridge = await connect(t, 'v1', nuxt.url, { where });
  assert.equal(await call(bridge, 'whoami'), 'dan@example.test');
  await former.revoke();
  assert.equal(await call(bridge, 'whoami'), REQUIRED);
  await teach(where, (await nuxt.member('erin')).key, '--force');
  assert.equal(await call(await connect(t, 'v1', nuxt.url, { where }), 'whoami'), 'erin@example.test');
});
