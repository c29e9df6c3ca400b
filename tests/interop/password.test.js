// keyferry and a server with a login endpoint of its own, whose tokens end after seconds.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startLoginEndpoint } from './servers/login-endpoint.js';
import { bridgeOnly, home } from './support/bridge.js';
import { isNotTaught, isRefused, knows, knowsAndLogs, listed, teach } from './support/kinds.js';
import { call } from './support/people.js';
import { within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const PASSWORD = 'correct-horse-battery-5e21';
const WRONG = 'incorrect-horse-battery-77';

async function start(t, options) {
  const server = await startLoginEndpoint({ alice: PASSWORD }, options);
  t.after(() => server.stop());
  const flags = (...more) => ['--with', 'password', '--login-url', server.loginUrl, '--username', 'alice', ...more];
  return { server, flags, secrets: () => [PASSWORD, WRONG, ...server.tokens()] };
}

test('the token that was got when the kind was taught is the first one in use', limit, async (t) => {
  const { server, flags, secrets } = await start(t, { seconds: 3600 });
  const where = home();
  await teach(where, server.url, flags(), { stdin: PASSWORD, secrets });
  assert.equal(server.logins.items.length, 1);
  await knows(t, server.url, 'alice', { where, secrets });
  assert.equal(server.logins.items.length, 1);
});

test('one login serves every process on the vault', limit, async (t) => {
  const { server, flags, secrets } = await start(t, { seconds: 3600 });
  const where = home();
  await teach(where, server.url, flags(), { stdin: `${PASSWORD}\n`, secrets });
  await (await knows(t, server.url, 'alice', { where, secrets })).close();
  const before = server.logins.items.length;
  await knowsAndLogs(t, server.url, 'alice', { where, secrets });
  const bridges = await Promise.all([1, 2, 3].map(() => knows(t, server.url, 'alice', { where, secrets })));
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await Promise.all(bridges.map((bridge) => call(bridge, 'whoami'))), ['alice', 'alice', 'alice']);
  }
  assert.equal(server.logins.items.length, before);
  const { json } = await listed(where, secrets);
  for (const shown of [server.loginUrl, 'alice', 'password']) assert.ok(json.includes(`"${shown}"`), json);
});

test('a token that the server forgot is a bare 403: one login more, and the answer', limit, async (t) => {
  const { server, flags, secrets } = await start(t, { seconds: 3600 });
  const where = home();
  await teach(where, server.url, flags(), { stdin: PASSWORD, secrets });
  const bridges = await Promise.all([1, 2, 3].map(() => knows(t, server.url, 'alice', { where, secrets })));
  const before = server.logins.items.length;
  server.forget();
  assert.deepEqual(await Promise.all(bridges.map((bridge) => call(bridge, 'whoami'))), ['alice', 'alice', 'alice']);
  assert.equal(server.logins.items.length, before + 1);
});

test('with flags alone, the password from a variable: one login per process', limit, async (t) => {
  const { server, flags, secrets } = await start(t, { seconds: 3600 });
  const options = { args: flags('--secret-env', 'ALICES'), env: { ALICES: PASSWORD }, secrets };
  const where = home();
  const bridge = await knows(t, server.url, 'alice', { where, ...options });
  assert.equal(await call(bridge, 'whoami'), 'alice');
  assert.equal(server.logins.items.length, 1);
  await bridge.close();
  await knows(t, server.url, 'alice', { where, ...options });
  assert.equal(server.logins.items.length, 2);
});

describe('tokens that end', { concurrency: true }, () => {
  test('tokens of eight seconds: three bridges stay who they are through three expiries', limit, async (t) => {
    const { server, flags, secrets } = await start(t, { seconds: 8 });
    const where = home();
    await teach(where, server.url, flags(), { stdin: PASSWORD, secrets });
    const bridges = await Promise.all([1, 2, 3].map(() => knows(t, server.url, 'alice', { where, secrets })));
    const started = Date.now();
    const fourTokens = async () => {
      while (server.logins.items.length < 4) {
        assert.deepEqual(await Promise.all(bridges.map((bridge) => call(bridge, 'whoami'))), ['alice', 'alice', 'alice']);
        await pause(200); // not to load the machine
      }
    };
    await within(45_000, 'the token is renewed three times', fourTokens());
    assert.ok(Date.now() - started > 8_000, 'a token is not given up long before its end');
    assert.deepEqual(server.calls.items.filter(({ status, token }) => status !== 200 && token), [], 'renewed before it was refused');
    // nobody was at the keyboard, and nobody calls: then one call long after the end
    await server.allExpired();
    const before = server.granted();
    assert.deepEqual(await Promise.all(bridges.map((bridge) => call(bridge, 'whoami'))), ['alice', 'alice', 'alice']);
    assert.equal(server.granted(), before + 1, 'one login for all three');
  });

  for (const [form, more] of [
    ['token', []],
    ['at', ['--body', 'form']],
    ['nested', ['--token-pointer', '/data/session/key']],
    ['silent', ['--key-header', 'X-Session']],
  ]) {
    test(`an answer of another form (${form}) is understood, and its token renewed after its end`, limit, async (t) => {
      const { server, flags, secrets } = await start(t, { seconds: 3, form });
      const where = home();
      await teach(where, server.url, flags(...more), { stdin: PASSWORD, secrets });
      const bridge = await knows(t, server.url, 'alice', { where, secrets });
      for (let expiries = 0; expiries < 2; expiries++) {
        await server.allExpired();
        assert.equal(await call(bridge, 'whoami'), 'alice');
      }
      const type = form === 'at' ? 'application/x-www-form-urlencoded' : 'application/json';
      assert.ok(server.logins.items.every((login) => login.type === type && login.status === 200));
      // only who is not told the end learns it by a refusal
      if (form !== 'silent') assert.deepEqual(server.calls.items.filter(({ status }) => status === 403), []);
    });
  }
});

test('a wrong password: the client is told who refused it and why, login fails', limit, async (t) => {
  const { server, flags, secrets } = await start(t);
  await isNotTaught(home(), server.url, flags(), { stdin: WRONG, secrets }, /401/, /no such user or password/);
  const where = home();
  await teach(where, server.url, flags('--no-verify'), { stdin: WRONG, secrets });
  await isRefused(t, server.url, { where, secrets }, /401/, /no such user or password/, /keyferry login/);
  const options = { where: home(), args: flags('--secret-env', 'ALICES'), env: { ALICES: WRONG }, secrets };
  await isRefused(t, server.url, options, /401/, /keyferry login/);
});

test('a password that is changed while the bridge runs ends in that error, not in a loop of logins', limit, async (t) => {
  const passwords = { alice: PASSWORD };
  const server = await startLoginEndpoint(passwords, { seconds: 3600 });
  t.after(() => server.stop());
  const where = home();
  const secrets = () => [PASSWORD, ...server.tokens()];
  await teach(where, server.url, ['--with', 'password', '--login-url', server.loginUrl, '--username', 'alice'], { stdin: PASSWORD, secrets });
  const bridge = await knows(t, server.url, 'alice', { where, secrets });
  passwords.alice = 'another';
  server.forget();
  for (let calls = 0; calls < 5; calls++) await assert.rejects(call(bridge, 'whoami'), /no such user or password/);
  assert.ok(server.logins.items.length <= 3, JSON.stringify(server.logins.items));
  passwords.alice = PASSWORD;
  const answered = async () => {
    while ((await call(bridge, 'whoami').catch(() => {})) !== 'alice') await pause(100); // the failure is shared for a moment
  };
  await within(5_000, 'the login is tried again', answered());
});

test('a login endpoint that is not there, or gives no token, is named', limit, async (t) => {
  const { server, flags, secrets } = await start(t);
  const elsewhere = (url, ...more) => ['--with', 'password', '--login-url', url, '--username', 'alice', '--secret-env', 'ALICES', ...more];
  const options = (args) => ({ where: home(), args, env: { ALICES: PASSWORD }, secrets });
  await isRefused(t, server.url, options(elsewhere(`${server.origin}/auth/nothing`)), /\/auth\/nothing|404/);
  const gone = await startLoginEndpoint({});
  await gone.stop();
  await isRefused(t, server.url, options(elsewhere(gone.loginUrl)), new RegExp(new URL(gone.loginUrl).host));
  await isRefused(t, server.url, options(flags('--secret-env', 'ALICES', '--token-pointer', '/nowhere')), /\/nowhere/);
});
