// keyferry and servers with their own idea of who is calling: an API key or a JWT, whichever comes;
// nobody at all; roles that allow more or less.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startRoles } from './servers/roles.js';
import { bridgeOnly, home, keyferry } from './support/bridge.js';
import { connect } from './support/clients.js';
import { call } from './support/people.js';
import { connectLogged, refused } from './support/refusals.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const ALICE = 'role-key-of-alice-6f1c';
const VERA = 'role-key-of-vera-90ab';
const NOBODY = 'role-key-of-nobody-77d0';
const SECRET = 'shared-secret-of-the-service-53c1';
const WRONG = 'shared-secret-that-is-wrong-8e21';
const SECRETS = [ALICE, VERA, NOBODY, SECRET, WRONG];
const keys = { [ALICE]: { identity: 'alice', role: 'admin' }, [VERA]: { identity: 'vera', role: 'viewer' } };

const servers = [];
after(() => Promise.all(servers.map((server) => server.stop())));
async function start(options) {
  const server = await startRoles({ keys, ...options });
  servers.push(server);
  return server;
}

async function teach(where, url, secret, ...flags) {
  const login = await keyferry(where, ['login', url, ...flags], { stdin: `${secret}\n` });
  assert.equal(login.code, 0, login.stderr);
  assert.ok(!(login.stdout + login.stderr).includes(secret));
}

const key = ['--with', 'api-key'];
const jwt = (url, sub, ...flags) => ['--with', 'jwt', '--alg', 'HS256', '--claim', `sub=${sub}`, '--claim', `aud=${url}`, ...flags];

const tools = ({ client }) => client.listTools().then((list) => list.tools.map(({ name }) => name));

describe('a server that takes an API key or a JWT', bridgeOnly, () => {
  let server;
  before(async () => (server = await start({ secret: SECRET })));

  for (const [what, secret, flags, identity] of [
    ['a key as bearer', ALICE, () => key, 'alice'],
    ['a key in a header of its own', VERA, () => [...key, '--key-header', 'X-API-Key'], 'vera'],
    ['a JWT', SECRET, () => jwt(server.url, 'robot'), 'robot'],
  ]) {
    test(`${what}, taught once: known by name, now and at the next start`, limit, async (t) => {
      const where = home();
      await teach(where, server.url, secret, ...flags());
      const { length } = server.requests.items;
      for (let start = 0; start < 2; start++) {
        const bridge = await connectLogged(t, 'v1', server.url, { where });
        assert.deepEqual(await tools(bridge), ['whoami', 'scopes', 'write']);
        assert.equal(await call(bridge, 'whoami'), identity);
        await bridge.close();
        assert.ok(!bridge.log().includes(secret));
      }
      const seen = server.requests.items.slice(length);
      assert.deepEqual(seen.filter(({ path, status }) => path !== '/mcp' || status >= 400), []);
    });
  }

  test('one vault has both, each for an account', limit, async (t) => {
    const where = home();
    await teach(where, server.url, ALICE, ...key);
    await teach(where, server.url, SECRET, ...jwt(server.url, 'robot'), '--account', 'service');
    assert.equal(await call(await connect(t, 'v1', server.url, { where }), 'whoami'), 'alice');
    assert.equal(await call(await connect(t, 'v1', server.url, { where, args: ['--account', 'service'] }), 'whoami'), 'robot');
    const { code, stdout, stderr } = await keyferry(where, ['list', '--json']);
    assert.equal(code, 0, stderr);
    assert.ok(SECRETS.every((secret) => !stdout.includes(secret)));
    assert.match(stdout, /HS256/);
  });

  test('JWTs of five seconds are signed anew before they end: no call is refused', limit, async (t) => {
    const where = home();
    await teach(where, server.url, SECRET, ...jwt(server.url, 'hasty', '--ttl', '5'));
    const bridge = await connect(t, 'v1', server.url, { where });
    const { length } = server.requests.items;
    const signedTwice = (async () => {
      const seen = () => server.requests.items.slice(length);
      while (new Set(seen().map(({ authorization }) => authorization)).size < 3) {
        assert.equal(await call(bridge, 'whoami'), 'hasty');
        await pause(50); // not to load the machine
      }
    })();
    await within(DEADLINE_MS, 'a token is signed anew twice', signedTwice);
    assert.deepEqual(server.requests.items.slice(length).filter(({ status }) => status >= 400), []);
  });

  for (const [what, secret, flags, parts] of [
    ['a wrong key', NOBODY, () => key, ['403', 'API key unknown', 'keyferry login', 'api-key']],
    ['a JWT that is signed with another secret', WRONG, () => jwt(server.url, 'robot'), ['403', 'JWT refused: signature', 'keyferry login', '--with jwt']],
    ['a JWT for somewhere else', SECRET, () => jwt('https://elsewhere.example', 'robot'), ['403', '"aud" claim', 'keyferry login', '--with jwt']],
  ]) {
    test(`with ${what}, login fails and the client is told why, where and what to do`, limit, async (t) => {
      const where = home();
      const login = await keyferry(where, ['login', server.url, ...flags()], { stdin: secret });
      assert.notEqual(login.code, 0);
      for (const part of [new URL(server.url).host, ...parts.slice(0, 2)]) assert.ok(login.stderr.includes(part), login.stderr);
      assert.ok(!(login.stdout + login.stderr).includes(secret));

      await teach(where, server.url, secret, ...flags(), '--no-verify');
      const { length } = server.requests.items;
      await refused(connect(t, 'v1', server.url, { where }), server.url, parts, SECRETS);
      const sent = server.requests.items.slice(length).filter(({ method, path }) => method === 'POST' && path === '/mcp');
      assert.ok(sent.length <= 3, `not again and again: ${sent.length}`);
    });
  }

  test('a key that was replaced: the call is refused, and after a login the same client goes on', limit, async (t) => {
    const [before, after] = ['role-key-before-1d77', 'role-key-after-92e0'];
    const own = { [before]: { identity: 'dora', role: 'admin' } };
    const replacing = await start({ keys: own });
    const where = home();
    await teach(where, replacing.url, before, ...key);
    const bridge = await connect(t, 'v1', replacing.url, { where });
    assert.equal(await call(bridge, 'whoami'), 'dora');
    own[after] = own[before];
    delete own[before];
    await refused(call(bridge, 'whoami'), replacing.url, ['403', 'API key unknown', 'keyferry login'], [before]);
    await teach(where, replacing.url, after, ...key);
    assert.equal(await call(bridge, 'whoami'), 'dora');
  });

  test('with nothing, the client is told so', limit, async (t) => {
    await refused(connect(t, 'v1', server.url, { where: home() }), server.url, ['401', 'an API key or a JWT is needed', 'keyferry login']);
  });
});

describe('a server where authentication is optional', bridgeOnly, () => {
  let server;
  before(async () => (server = await start({ optional: true })));

  for (const [what, flags] of [['nothing was ever taught', undefined], ['it was taught that nothing is needed', ['--with', 'none']]]) {
    test(`where ${what}, the caller is nobody, and nothing else is asked of the server`, limit, async (t) => {
      const where = home();
      if (flags) await teach(where, server.url, 'not a secret', ...flags);
      const { length } = server.requests.items;
      const bridge = await connect(t, 'v1', server.url, { where });
      assert.deepEqual(await tools(bridge), ['whoami', 'scopes', 'write']);
      assert.equal(await call(bridge, 'whoami'), 'nobody');
      await bridge.close();
      assert.deepEqual(server.requests.items.slice(length).filter(({ path, status }) => path !== '/mcp' || status >= 400), []);
    });
  }

  test('who has taught a key is known, now and at the next start', limit, async (t) => {
    const where = home();
    await teach(where, server.url, ALICE, ...key);
    for (let start = 0; start < 2; start++) {
      const bridge = await connect(t, 'v1', server.url, { where });
      assert.equal(await call(bridge, 'whoami'), 'alice');
      assert.equal(await call(bridge, 'write'), 'written by alice');
      await bridge.close();
    }
  });

  test('a wrong key is not nobody: the client is told', limit, async (t) => {
    const where = home();
    await teach(where, server.url, NOBODY, ...key, '--no-verify');
    await refused(connect(t, 'v1', server.url, { where }), server.url, ['403', 'API key unknown', 'keyferry login'], SECRETS);
  });

  test('nobody is told what a tool that wants more needs, loses that call, and goes on', limit, async (t) => {
    const bridge = await connect(t, 'v1', server.url, { where: home() });
    assert.equal(await call(bridge, 'whoami'), 'nobody');
    await refused(call(bridge, 'write'), server.url, ['401', 'writing needs an API key', 'keyferry login']);
    assert.equal(await call(bridge, 'whoami'), 'nobody');
  });
});

describe('a server with roles', bridgeOnly, () => {
  let server;
  before(async () => (server = await start({ secret: SECRET })));

  const ROLES = [
    ['a key', (role) => ({ secret: role === 'admin' ? ALICE : VERA, flags: key })],
    ['a JWT', (role) => ({ secret: SECRET, flags: jwt(server.url, role === 'admin' ? 'alice' : 'vera', '--claim', `role=${role}`) })],
  ];
  for (const [what, credential] of ROLES) {
    test(`an admin with ${what} is not refused`, limit, async (t) => {
      const where = home();
      const { secret, flags } = credential('admin');
      await teach(where, server.url, secret, ...flags);
      const bridge = await connect(t, 'v1', server.url, { where });
      assert.equal(await call(bridge, 'scopes'), 'admin');
      assert.equal(await call(bridge, 'write'), 'written by alice');
    });

    test(`a viewer with ${what} is refused one tool, in the server's words, and keeps the others`, limit, async (t) => {
      const where = home();
      const { secret, flags } = credential('viewer');
      await teach(where, server.url, secret, ...flags);
      const bridge = await connectLogged(t, 'v1', server.url, { where });
      assert.equal(await call(bridge, 'scopes'), 'viewer');
      const before = server.calls('write').length;
      await refused(call(bridge, 'write'), server.url, ['403', 'role viewer may not write'], SECRETS);
      const first = server.calls('write').length - before;
      assert.ok(first <= 2, `a new token is tried once at most: ${first}`);
      assert.equal(await call(bridge, 'whoami'), 'vera');
      await refused(call(bridge, 'write'), server.url, ['403', 'role viewer may not write'], SECRETS);
      assert.equal(server.calls('write').length - before - first, 1, 'a new token did not help the first time');
      assert.equal(await call(bridge, 'whoami'), 'vera');
      await bridge.close();
      assert.ok(!bridge.log().includes(secret));
    });
  }

  test('a refusal that is a JSON-RPC error reaches the client as it is', limit, async (t) => {
    const polite = await start({ refusal: 'rpc' });
    const where = home();
    await teach(where, polite.url, VERA, ...key);
    const bridge = await connect(t, 'v1', polite.url, { where });
    await assert.rejects(call(bridge, 'write'), ({ code, message }) => {
      assert.match(message, /role viewer may not write/);
      return code === -32003;
    });
    assert.equal(await call(bridge, 'whoami'), 'vera');
  });
});
