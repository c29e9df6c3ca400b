// keyferry and a Cloudflare Worker in workerd, written with Hono: API keys in KV.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startWorker } from './servers/worker/start.js';
import { bridgeOnly, home, keyferry } from './support/bridge.js';
import { connect, connectDirectly, textOf } from './support/clients.js';
import { call } from './support/people.js';
import { connectLogged, refused } from './support/refusals.js';

const limit = { timeout: 60_000 };
const ALICE = 'kv-key-of-alice-6f1c';
const BOB = 'kv-key-of-bob-90ab';
const FORMER = 'kv-key-that-was-carols';
const NOBODY = 'kv-key-of-nobody-77d0';
const modern = { versionNegotiation: { mode: 'auto' } };

const digest = (key) => createHash('sha256').update(key).digest('hex');
const kv = {
  [digest(ALICE)]: { identity: 'alice' },
  [digest(BOB)]: { identity: 'bob' },
  [digest(FORMER)]: { identity: 'carol', expires: Date.now() - 1 },
};

let worker;
before(async () => (worker = await startWorker('keys.js', { kv })));
after(() => worker?.stop());

/** A home in which `keyferry login` was told the key. */
async function taught(key, ...flags) {
  const where = home();
  const login = await keyferry(where, ['login', worker.url, '--with', 'api-key', ...flags], { stdin: `${key}\n` });
  assert.equal(login.code, 0, login.stderr);
  assert.ok(!(login.stdout + login.stderr).includes(key));
  return where;
}

for (const [sdk, options] of [['v1', {}], ['v2', modern]]) {
  test(`a key that was taught once opens the worker to a client of SDK ${sdk}, now and at the next start`, { ...limit, ...bridgeOnly }, async (t) => {
    const where = await taught(ALICE);
    for (let start = 0; start < 2; start++) {
      const bridge = await connectLogged(t, sdk, worker.url, { where, options });
      const { tools } = await bridge.client.listTools();
      assert.deepEqual(tools.map(({ name }) => name), ['whoami', 'runtime']);
      assert.equal(await call(bridge, 'whoami'), 'alice');
      assert.equal(await call(bridge, 'runtime'), 'Cloudflare-Workers');
      await bridge.close();
      assert.ok(!bridge.log().includes(ALICE));
    }
  });
}

test('the key may go in a header of its own, and another account is another caller', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(BOB, '--key-header', 'X-API-Key');
  const login = await keyferry(where, ['login', worker.url, '--with', 'api-key', '--account', 'work'], { stdin: ALICE });
  assert.equal(login.code, 0, login.stderr);
  assert.equal(await call(await connect(t, 'v1', worker.url, { where }), 'whoami'), 'bob');
  assert.equal(await call(await connect(t, 'v1', worker.url, { where, args: ['--account', 'work'] }), 'whoami'), 'alice');
});

test('the client sees through the bridge what it sees itself', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(ALICE);
  const { client } = await connect(t, 'v1', worker.url, { where });
  const { client: direct } = await connectDirectly(t, 'v1', worker.url, { key: ALICE });
  assert.deepEqual(await client.listTools(), await direct.listTools());
  assert.deepEqual(client.getServerVersion(), direct.getServerVersion());
  assert.equal(textOf(await direct.callTool({ name: 'whoami' })), 'alice');
});

for (const [what, key, status, cause] of [
  ['no key', undefined, 401, 'API key missing'],
  ['a wrong key', NOBODY, 403, 'API key unknown'],
  ['a key whose time is over', FORMER, 403, 'API key expired'],
]) {
  test(`with ${what}, the client is told so, where, and what to do`, { ...limit, ...bridgeOnly }, async (t) => {
    const where = home();
    if (key) await keyferry(where, ['login', worker.url, '--with', 'api-key', '--no-verify'], { stdin: key });
    const parts = [String(status), cause, 'keyferry login'];
    await refused(connect(t, 'v1', worker.url, { where }), worker.url, parts, key ? [key] : []);
  });
}

test('logging in with a wrong key fails at once and says why', { ...limit, ...bridgeOnly }, async () => {
  const login = await keyferry(home(), ['login', worker.url, '--with', 'api-key'], { stdin: NOBODY });
  assert.notEqual(login.code, 0);
  assert.match(login.stderr, /403/);
  assert.match(login.stderr, /API key unknown/);
  assert.ok(login.stderr.includes(new URL(worker.url).host));
  assert.ok(!(login.stdout + login.stderr).includes(NOBODY));
});

test('who has a key never looks for metadata', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(ALICE);
  const { length } = await worker.requests(); // who had none went looking
  const bridge = await connect(t, 'v1', worker.url, { where });
  assert.equal(await call(bridge, 'whoami'), 'alice');
  await bridge.close();
  const seen = (await worker.requests()).slice(length);
  assert.ok(seen.length >= 3);
  assert.deepEqual(seen.filter(({ path }) => path !== '/mcp'), []);
});
