// keyferry as a service that mints its own JWTs, and servers that check them with jsonwebtoken and jose.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AUDIENCE, byPublished, byShared, startJwks, startJwt } from './servers/jwt.js';
import { bridgeOnly, home } from './support/bridge.js';
import { keyLines, privateKey } from './support/certificates.js';
import { isNotTaught, isRefused, knows, knowsAndLogs, listed, teach } from './support/kinds.js';
import { call } from './support/people.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const SECRET = 'shared-by-payroll-and-the-server-5b1e0c7a94d2-and-sixty-four-bytes-long';
const CLAIMS = ['--claim', 'iss=payroll', '--claim', 'sub=alice', '--claim', `aud=${AUDIENCE}`];
const shared = (algorithm, ...more) => ['--with', 'jwt', '--alg', algorithm, ...CLAIMS, ...more];
const secretsOf = (server, ...more) => () => [SECRET, ...server.tokens(), ...more];

const KINDS = { RS256: 'rsa', PS256: 'rsa', ES256: 'ec', EdDSA: 'ed25519' };
const keys = {}; // by kind of key
let jwks;
before(async () => {
  if (bridgeOnly.skip) return;
  const where = home();
  for (const kind of ['rsa', 'ec', 'ed25519']) keys[kind] = privateKey(join(where, `${kind}.pem`), { kind });
  jwks = await startJwks(Object.fromEntries(Object.entries(keys).map(([kind, { publicKey }]) => [`key-${kind}`, publicKey])));
});
after(() => jwks?.stop());

async function start(t, ...args) {
  const server = await startJwt(...args);
  t.after(() => server.stop());
  return server;
}

/** Calls until the server has accepted `count` different tokens; each call is answered as it should be. */
const untilTokens = (bridge, server, count) =>
  within(
    DEADLINE_MS,
    `${count} tokens are used`,
    (async () => {
      while (server.tokens().length < count) {
        assert.equal(await call(bridge, 'whoami'), 'alice');
        await pause(50); // not to load the machine
      }
    })(),
  );

for (const algorithm of ['HS256', 'HS384', 'HS512']) {
  test(`${algorithm}: a shared secret that was taught once opens the server, also in a new process`, limit, async (t) => {
    const server = await start(t, byShared(SECRET, { algorithm }));
    const where = home();
    const secrets = secretsOf(server);
    await teach(where, server.url, shared(algorithm), { stdin: `${SECRET}\n`, secrets });
    await (await knows(t, server.url, 'alice', { where, secrets })).close();
    await knowsAndLogs(t, server.url, 'alice', { where, secrets });

    const { claims } = server.calls.items.findLast(({ status }) => status === 200);
    assert.equal(claims.exp - claims.iat, 60);
    assert.equal(claims.iss, 'payroll');
    const { json } = await listed(where, secrets);
    for (const shown of [algorithm, 'payroll', 'alice', AUDIENCE]) assert.ok(json.includes(`"${shown}"`), json);
  });
}

for (const [algorithm, kind] of Object.entries(KINDS)) {
  test(`${algorithm}: a private key whose public half is in a JWKS`, limit, async (t) => {
    const server = await start(t, byPublished(jwks.origin, algorithm));
    const where = home();
    const secrets = secretsOf(server, ...keyLines(keys[kind].pem));
    const flags = shared(algorithm, '--private-key', keys[kind].path, '--key-id', `key-${kind}`);
    await teach(where, server.url, flags, { secrets });
    await (await knows(t, server.url, 'alice', { where, secrets })).close();
    await knowsAndLogs(t, server.url, 'alice', { where, secrets });
    assert.ok((await listed(where, secrets)).json.includes(`"key-${kind}"`));
    // with everything in the client's configuration, and nothing taught
    await knows(t, server.url, 'alice', { where: home(), args: flags, secrets });
  });
}

test('an encrypted private key: its passphrase is asked for once', limit, async (t) => {
  const where = home();
  const passphrase = 'open sesame of payroll';
  const { path, pem, publicKey } = privateKey(join(where, 'key.pem'), { passphrase });
  const own = await startJwks({ own: publicKey });
  t.after(() => own.stop());
  const server = await start(t, byPublished(own.origin, 'ES256'));
  const secrets = secretsOf(server, passphrase, ...keyLines(pem));
  const flags = shared('ES256', '--private-key', path, '--key-id', 'own');
  await teach(where, server.url, flags, { stdin: `${passphrase}\n`, secrets });
  await knows(t, server.url, 'alice', { where, secrets });
});

test('with flags alone, the secret from a variable, nothing is taught', limit, async (t) => {
  const server = await start(t, byShared(SECRET));
  const args = shared('HS256', '--secret-env', 'PAYROLL_SECRET');
  await knows(t, server.url, 'alice', { where: home(), args, env: { PAYROLL_SECRET: SECRET }, secrets: secretsOf(server) });
});

describe('tokens that end', { concurrency: true }, () => {
  test('tokens of three seconds are made anew ahead of their end: no call is refused', limit, async (t) => {
    const server = await start(t, byShared(SECRET));
    const where = home();
    const secrets = secretsOf(server);
    await teach(where, server.url, shared('HS256', '--ttl', '3'), { stdin: SECRET, secrets });
    const bridge = await knows(t, server.url, 'alice', { where, secrets });
    await untilTokens(bridge, server, server.tokens().length + 4);
    const shown = server.calls.items.filter(({ token }) => token); // login may look first whether anyone gets in
    assert.deepEqual(shown.filter(({ status }) => status !== 200), []);
    const accepted = shown.map(({ claims }) => claims);
    assert.ok(accepted.every(({ iat, exp }) => exp - iat === 3));
    assert.equal(new Set(accepted.map(({ jti }) => jti)).size, server.tokens().length, 'each has its own jti');
  });

  test('a server that finds tokens too old before their end gets a new one, and the client its answer', limit, async (t) => {
    const server = await start(t, byShared(SECRET, { maxAge: '2s' }));
    const where = home();
    const secrets = secretsOf(server);
    await teach(where, server.url, shared('HS256'), { stdin: SECRET, secrets });
    const bridge = await knows(t, server.url, 'alice', { where, secrets });
    await untilTokens(bridge, server, server.tokens().length + 3);
  });
});

for (const [direction, fast, verify] of [
  ['fast', 300, () => byShared(SECRET)],
  ['slow', -300, () => byPublished(jwks.origin, 'ES256')],
]) {
  test(`a server whose clock is five minutes ${direction} is served by its own time`, limit, async (t) => {
    const server = await start(t, verify(), { fast });
    const where = home();
    const secrets = secretsOf(server);
    const flags = fast > 0 ? shared('HS256') : shared('ES256', '--private-key', keys.ec.path, '--key-id', 'key-ec');
    await teach(where, server.url, flags, { stdin: SECRET, secrets });
    const bridge = await knows(t, server.url, 'alice', { where, secrets });
    const refused = () => server.calls.items.filter(({ status, token }) => status !== 200 && token).length;
    const before = refused();
    await untilTokens(bridge, server, 1);
    assert.equal(await call(bridge, 'whoami'), 'alice');
    assert.equal(refused(), before, 'the difference is learned once');
    assert.ok(before <= 2, `by login and by run: ${before}`);
  });
}

test('the token may go in a header of its own, with claims that are JSON', limit, async (t) => {
  const server = await start(t, byShared(SECRET), { header: 'x-service-token' });
  const where = home();
  const secrets = secretsOf(server);
  const flags = shared('HS256', '--key-header', 'X-Service-Token', '--claim', 'roles=["admin","viewer"]', '--claim', 'year=2026');
  await teach(where, server.url, flags, { stdin: SECRET, secrets });
  const bridge = await knows(t, server.url, 'alice', { where, secrets });
  assert.equal(await call(bridge, 'scopes'), 'admin viewer');
  assert.equal(server.calls.items.at(-1).claims.year, 2026);
});

test('a wrong secret, a wrong audience: the client is told the cause and the remote, and login fails', limit, async (t) => {
  const server = await start(t, byShared(SECRET));
  const wrong = 'not-the-secret-of-payroll-3d7f6b';
  const where = home();
  const secrets = () => [wrong, ...server.calls.items.map(({ token }) => token).filter(Boolean)];
  await isNotTaught(home(), server.url, shared('HS256'), { stdin: wrong, secrets }, /401/, new RegExp(new URL(server.url).host));
  await teach(where, server.url, shared('HS256', '--no-verify'), { stdin: wrong, secrets });
  const { data } = await isRefused(t, server.url, { where, secrets }, /401/, /invalid signature/, /keyferry login/);
  // what it advises can be run as it stands
  const [, , ...advised] = data.hint.split(' ');
  await teach(home(), server.url, advised.slice(1), { stdin: SECRET, secrets: secretsOf(server) });

  const args = ['--with', 'jwt', '--alg', 'HS256', '--claim', 'sub=alice', '--claim', 'aud=another', '--secret-env', 'PAYROLL_SECRET'];
  await isRefused(t, server.url, { where: home(), args, env: { PAYROLL_SECRET: SECRET }, secrets: secretsOf(server) }, /401/, /keyferry login/);
});

test('what a run lacks to mint is an error that names the login, at once', limit, async (t) => {
  const server = await start(t, byShared(SECRET));
  await isRefused(t, server.url, { where: home(), args: shared('HS256') }, /jwt/, /keyferry login/);
  const args = shared('ES256', '--private-key', join(home(), 'not-here.pem'));
  await isRefused(t, server.url, { where: home(), args }, /not-here\.pem/, /keyferry login/);
});
