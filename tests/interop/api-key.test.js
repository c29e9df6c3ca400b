// The SDK v1 client, keyferry with a key from its vault, and a server that wants one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startKeyed } from './servers/keyed.js';
import { bridgeOnly, direct, home, keyferry } from './support/bridge.js';
import { connect, connectDirectly, textOf } from './support/clients.js';

const limit = { timeout: 60_000 };
const ALICE = 'key-of-alice-6f1c';
const BOB = 'key-of-bob-90ab';

let keyed;
before(async () => (keyed = await startKeyed({ [ALICE]: 'alice', [BOB]: 'bob' })));
after(() => keyed?.stop());

/** A home in which `keyferry login` was told the key. */
async function taught(key, ...flags) {
  const where = home();
  if (!direct) {
    const login = await keyferry(where, ['login', keyed.url, '--with', 'api-key', ...flags], { stdin: `${key}\n` });
    assert.equal(login.code, 0, login.stderr);
  }
  return where;
}

const whoami = async ({ client }) => textOf(await client.callTool({ name: 'whoami' }));

test('a key that was taught once opens the server, and the client holds none', limit, async (t) => {
  const where = await taught(ALICE);
  assert.equal(await whoami(await connect(t, 'v1', keyed.url, { where, key: ALICE })), 'alice');
  // and again, in another process
  assert.equal(await whoami(await connect(t, 'v1', keyed.url, { where, key: ALICE })), 'alice');
});

test('the key may go in a header of its own', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(BOB, '--key-header', 'X-API-Key');
  assert.equal(await whoami(await connect(t, 'v1', keyed.url, { where })), 'bob');
});

test('two accounts are two identities at one server', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(ALICE);
  const login = await keyferry(where, ['login', keyed.url, '--with', 'api-key', '--account', 'work'], { stdin: BOB });
  assert.equal(login.code, 0, login.stderr);
  assert.equal(await whoami(await connect(t, 'v1', keyed.url, { where })), 'alice');
  assert.equal(await whoami(await connect(t, 'v1', keyed.url, { where, args: ['--account', 'work'] })), 'bob');
});

test('logging in with a wrong key fails and says why', { ...limit, ...bridgeOnly }, async () => {
  const where = home();
  const login = await keyferry(where, ['login', keyed.url, '--with', 'api-key'], { stdin: 'key-of-nobody' });
  assert.notEqual(login.code, 0);
  assert.match(login.stderr, /403/);
  assert.match(login.stderr, new RegExp(new URL(keyed.url).host));
  assert.doesNotMatch(login.stdout + login.stderr, /key-of-nobody/);
});

for (const [what, teach, status] of [
  ['a wrong key', (where) => keyferry(where, ['login', keyed.url, '--with', 'api-key', '--no-verify'], { stdin: 'key-of-nobody' }), 403],
  ['no key', () => undefined, 401],
]) {
  test(`with ${what}, the client is told the cause, the remote and what to do`, { ...limit, ...bridgeOnly }, async (t) => {
    const where = home();
    await teach(where);
    await assert.rejects(connect(t, 'v1', keyed.url, { where }), (error) => {
      assert.ok(error.code <= -31001 && error.code >= -31008, `a code of keyferry's own: ${error.code}`);
      assert.equal(error.data?.origin, 'keyferry');
      const told = `${error.message} ${error.data.hint}`;
      assert.match(told, new RegExp(new URL(keyed.url).host));
      assert.match(told, new RegExp(String(status)));
      assert.match(told, /keyferry login/);
      assert.doesNotMatch(JSON.stringify(error), /key-of-nobody/);
      return true;
    });
  });
}

test('a key never starts a search for metadata', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(ALICE);
  const before = keyed.requests.items.length; // who had none went looking
  const { close } = await connect(t, 'v1', keyed.url, { where });
  await close();
  const elsewhere = keyed.requests.items.slice(before).filter(({ path }) => path !== '/mcp');
  assert.deepEqual(elsewhere, []);
});

test('sixteen calls are inside the server at once', limit, async (t) => {
  const where = await taught(ALICE);
  const { client } = await connect(t, 'v1', keyed.url, { where, key: ALICE });
  const names = [...Array(16).keys()].map((n) => `guest ${n}`);
  const answers = await Promise.all(
    names.map(async (name) => textOf(await client.callTool({ name: 'meet', arguments: { size: 16, name } }))),
  );
  assert.deepEqual(answers, names);
});

test('cancelling a call aborts the tool on the server', limit, async (t) => {
  const where = await taught(ALICE);
  const { client } = await connect(t, 'v1', keyed.url, { where, key: ALICE });
  const cancel = new AbortController();
  const call = client.callTool({ name: 'wait' }, undefined, { signal: cancel.signal });
  await keyed.happened.first('the tool runs', (what) => what === 'a call waits');
  cancel.abort('changed my mind');
  await assert.rejects(call, /changed my mind/);
  await keyed.happened.first('the tool is aborted', (what) => what === 'the call was aborted');
  assert.equal(await whoami({ client }), 'alice');
});

test('a tool that a call adds is announced and can be called', limit, async (t) => {
  const where = await taught(ALICE);
  const streams = (items) => items.filter(({ method }) => method === 'GET').length;
  const before = streams(keyed.requests.items);
  const { client, notifications } = await connect(t, 'v1', keyed.url, { where, key: ALICE });
  await keyed.requests.until('the GET stream is open', (items) => streams(items) > before);
  await client.callTool({ name: 'grow' });
  await notifications.first('tools/list_changed', ({ method }) => method === 'notifications/tools/list_changed');
  assert.ok((await client.listTools()).tools.some(({ name }) => name === 'grown'));
  assert.equal(textOf(await client.callTool({ name: 'grown' })), 'new here');
});

test('a session that the server forgot is opened anew under the client', { ...limit, ...bridgeOnly }, async (t) => {
  const where = await taught(ALICE);
  const { client } = await connect(t, 'v1', keyed.url, { where });
  assert.equal(await whoami({ client }), 'alice');
  await keyed.forgetSessions();
  assert.equal(await whoami({ client }), 'alice');
});

test('the bridge shows the tools that a client with the key sees itself', limit, async (t) => {
  const where = await taught(ALICE);
  const { client } = await connect(t, 'v1', keyed.url, { where, key: ALICE });
  const { client: direct } = await connectDirectly(t, 'v1', keyed.url, { key: ALICE });
  assert.deepEqual(await client.listTools(), await direct.listTools());
});

test('after all this the server has no session left', limit, () => keyed.noSessionLeft());
