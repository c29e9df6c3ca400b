// keyferry as a client of its own (client_credentials) at oidc-provider, by secret and by private_key_jwt.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { exportJWK } from 'jose';
import { startOidc } from './servers/oidc-provider.js';
import { bridgeOnly, home } from './support/bridge.js';
import { keyLines, privateKey } from './support/certificates.js';
import { isNotTaught, isRefused, knows, knowsAndLogs, listed, teach } from './support/kinds.js';
import { call } from './support/people.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const SECRET = 'secret-of-billing-with-:-and-%-49c2';
const BILLING = { client_id: 'billing', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' };
const WRONG = 'not-the-secret-of-billing-8a';
const KINDS = { ES256: 'ec', RS256: 'rsa', PS256: 'rsa', EdDSA: 'ed25519' };
const keys = {}; // by algorithm
const machines = [BILLING];

if (!bridgeOnly.skip) {
  const where = home();
  for (const [algorithm, kind] of Object.entries(KINDS)) {
    const key = privateKey(join(where, `${algorithm}.pem`), { kind });
    keys[algorithm] = key;
    const jwk = { ...(await exportJWK(key.publicKey)), kid: algorithm, use: 'sig' };
    machines.push({ client_id: `reports-${algorithm}`, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } });
  }
}

async function start(t, options) {
  const oidc = await startOidc({ registration: false, machines, ...options });
  t.after(() => oidc.stop());
  return { oidc, secrets: () => [SECRET, WRONG, ...oidc.tokens()] };
}

const basic = (...more) => ['--with', 'client-credentials', '--client-id', 'billing', ...more];
const READ = ['--scope', 'mcp:read'];
const granted = (oidc) => oidc.grants.items.length;

test('by secret: taught once, every process shares the token', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  const where = home();
  await teach(where, oidc.url, basic(...READ), { stdin: `${SECRET}\n`, secrets });
  await (await knows(t, oidc.url, 'billing', { where, secrets })).close();
  const before = granted(oidc);
  await knowsAndLogs(t, oidc.url, 'billing', { where, secrets });
  await Promise.all([1, 2, 3].map(() => knows(t, oidc.url, 'billing', { where, secrets })));
  assert.equal(granted(oidc), before);
  assert.deepEqual(oidc.failures.items, []);
  const { json } = await listed(where, secrets);
  for (const shown of ['billing', 'client-credentials', 'client_secret', 'mcp:read']) assert.ok(json.includes(`"${shown}"`), json);
});

for (const algorithm of Object.keys(KINDS)) {
  test(`by private_key_jwt with ${algorithm}: no secret is shared with anyone`, limit, async (t) => {
    const { oidc, secrets: tokens } = await start(t, { format: algorithm === 'ES256' ? 'opaque' : 'jwt' });
    const { path, pem } = keys[algorithm];
    const secrets = () => [...tokens(), ...keyLines(pem)];
    const id = `reports-${algorithm}`;
    const flags = ['--with', 'client-credentials', '--client-id', id, '--private-key', path, '--alg', algorithm, '--key-id', algorithm, ...READ];
    const where = home();
    await teach(where, oidc.url, flags, { secrets });
    await (await knows(t, oidc.url, id, { where, secrets })).close();
    const before = granted(oidc);
    await knowsAndLogs(t, oidc.url, id, { where, secrets });
    assert.equal(granted(oidc), before);
    // with everything in the client's configuration, and nothing taught
    await knows(t, oidc.url, id, { where: home(), args: flags, secrets });
    assert.deepEqual(oidc.failures.items, []);
    assert.ok((await listed(where, secrets)).json.includes('"private_key_jwt"'));
  });
}

describe('tokens that end', { concurrency: true }, () => {
  for (const format of ['opaque', 'jwt']) {
    test(`tokens of six seconds (${format}) are renewed ahead of their end, with no person`, limit, async (t) => {
      const { oidc, secrets } = await start(t, { tokenSeconds: 6, format });
      const where = home();
      await teach(where, oidc.url, basic(...READ), { stdin: SECRET, secrets });
      const bridge = await knows(t, oidc.url, 'billing', { where, secrets });
      const before = granted(oidc);
      const renewed = async () => {
        while (granted(oidc) < before + 3) {
          assert.equal(await call(bridge, 'whoami'), 'billing');
          await pause(50); // not to load the machine
        }
      };
      await within(DEADLINE_MS + 10_000, 'three tokens more', renewed());
      assert.deepEqual(oidc.calls.items.filter(({ status, token }) => status !== 200 && token), []);
      await pause(6_100); // until the last token is past its end
      assert.equal(await call(bridge, 'whoami'), 'billing');
      assert.equal(await call(await knows(t, oidc.url, 'billing', { where, secrets }), 'whoami'), 'billing');
    });
  }
});

test('a token that is refused before its time is replaced, once for three bridges', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  const where = home();
  await teach(where, oidc.url, basic(...READ), { stdin: SECRET, secrets });
  const bridges = await Promise.all([1, 2, 3].map(() => knows(t, oidc.url, 'billing', { where, secrets })));
  const before = granted(oidc);
  await oidc.forget(oidc.tokens().at(-1));
  assert.deepEqual(await Promise.all(bridges.map((bridge) => call(bridge, 'whoami'))), ['billing', 'billing', 'billing']);
  assert.equal(granted(oidc), before + 1);
});

test('with flags alone, and the scopes that they ask for', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  const args = basic('--secret-env', 'BILLINGS', '--scope', 'mcp:read mcp:write');
  const bridge = await knows(t, oidc.url, 'billing', { where: home(), args, env: { BILLINGS: SECRET }, secrets });
  assert.equal(await call(bridge, 'scopes'), 'mcp:read mcp:write');
  assert.equal(await call(bridge, 'write'), 'written by billing');
});

test('without --scope: what the server says that there is, and more where it wants more', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  const where = home();
  await teach(where, oidc.url, basic(), { stdin: SECRET, secrets });
  const bridge = await knows(t, oidc.url, 'billing', { where, secrets });
  assert.equal(await call(bridge, 'write'), 'written by billing');
});

test('scopes that were given and are not enough: the error names those that are wanted', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  const args = basic(...READ, '--secret-env', 'BILLINGS');
  const bridge = await knows(t, oidc.url, 'billing', { where: home(), args, env: { BILLINGS: SECRET }, secrets });
  await assert.rejects(call(bridge, 'write'), ({ message, data }) => {
    assert.match(`${message} ${data?.hint}`, /mcp:write/);
    return true;
  });
  assert.equal(await call(bridge, 'whoami'), 'billing');
});

test('a server without metadata: issuer, scope and resource by hand, a bare 403 renews', limit, async (t) => {
  const { oidc, secrets } = await start(t, { bare: true });
  const where = home();
  const flags = basic('--issuer', oidc.issuer, '--scope', 'mcp:read', '--resource', oidc.url);
  await teach(where, oidc.url, flags, { stdin: SECRET, secrets });
  const bridge = await knows(t, oidc.url, 'billing', { where, secrets });
  const before = granted(oidc);
  await oidc.forget(oidc.tokens().at(-1));
  assert.equal(await call(bridge, 'whoami'), 'billing');
  assert.equal(granted(oidc), before + 1);
  // the token endpoint alone is enough
  const endpoint = basic('--token-endpoint', `${oidc.issuer}/token`, '--scope', 'mcp:read', '--resource', oidc.url, '--secret-env', 'BILLINGS');
  await knows(t, oidc.url, 'billing', { where: home(), args: endpoint, env: { BILLINGS: SECRET }, secrets });
});

test('a wrong secret, a wrong key: the client is told the cause and the remote, and login fails', limit, async (t) => {
  const { oidc, secrets } = await start(t);
  await isNotTaught(home(), oidc.url, basic(), { stdin: WRONG, secrets }, /invalid_client/);
  const where = home();
  await teach(where, oidc.url, basic('--no-verify'), { stdin: WRONG, secrets });
  await isRefused(t, oidc.url, { where, secrets }, /invalid_client/, /keyferry login/);
  const key = ['--private-key', keys.ES256.path, '--alg', 'ES256'];
  const args = ['--with', 'client-credentials', '--client-id', 'reports-RS256', ...key];
  await isRefused(t, oidc.url, { where: home(), args, secrets }, /invalid_client/, /keyferry login/);
});
