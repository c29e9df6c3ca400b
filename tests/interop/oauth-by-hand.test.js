// An MCP server that publishes nothing and explains nothing, whose tokens come from oidc-provider: a bare
// 401 without a token, a bare 403 with a wrong or an expired one. Issuer, client, scope and resource are
// given by the person.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { KNOWN, person as signsIn, PUBLIC, startOidc } from './servers/oidc-provider.js';
import { bridgeOnly } from './support/bridge.js';
import { holdsNone, isRefused, knows, knowsAndLogs } from './support/kinds.js';
import { call, person } from './support/people.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };

let bare;
before(async () => (bare = await startOidc({ registration: false, bare: true })));
after(() => bare?.stop());

const byHand = (server, client = PUBLIC) =>
  ['--issuer', server.issuer, '--client-id', client.client_id, '--scope', 'mcp:read', '--resource', server.url];
const count = (seen, item) => seen.items.filter((each) => each === item).length;

test('taught once, then the address alone is enough, and a bare 403 renews without the person', limit, async (t) => {
  const alice = await person(t, signsIn('alice'));
  const secrets = () => bare.tokens();
  const login = await alice.keyferry(['login', bare.url, ...byHand(bare)], { env: { KEYFERRY_LOG: 'debug' } });
  assert.equal(login.code, 0, login.stderr);
  const link = new URL(alice.links.items[0]);
  assert.equal(link.searchParams.get('client_id'), PUBLIC.client_id);
  assert.equal(link.searchParams.get('resource'), bare.url);
  assert.ok(link.searchParams.get('scope').split(' ').includes('mcp:read'));

  const bridge = await knows(t, bare.url, 'alice', { where: alice.where, secrets });
  const refreshed = count(bare.grants, 'refresh_token');
  await bare.forget(bare.tokens().at(-1));
  assert.equal(await call(bridge, 'whoami'), 'alice');
  assert.equal(count(bare.grants, 'refresh_token'), refreshed + 1);
  await bridge.close();
  await knowsAndLogs(t, bare.url, 'alice', { where: alice.where, secrets });
  assert.equal(alice.links.items.length, 1);
  holdsNone(secrets(), login.stdout + login.stderr, 'what login says');
});

test('with flags alone: the browser at the first start, nobody at the next', limit, async (t) => {
  const bob = await person(t, signsIn('bob'));
  const secrets = () => [...bare.tokens(), KNOWN.client_secret];
  const args = [...byHand(bare, KNOWN), '--secret-env', 'OIDC_SECRET'];
  const env = { OIDC_SECRET: KNOWN.client_secret };
  const first = await bob.connect('v1', bare.url, { args, env, secrets });
  assert.equal(await call(first, 'whoami'), 'bob');
  await first.close();
  const second = await bob.connect('v1', bare.url, { args, env, secrets });
  assert.equal(await call(second, 'whoami'), 'bob');
  assert.equal(bob.links.items.length, 1);
});

test('tokens of five seconds are renewed ahead of their end, and after a pause beyond it', limit, async (t) => {
  const hasty = await startOidc({ registration: false, bare: true, tokenSeconds: 5 });
  t.after(() => hasty.stop());
  const carol = await person(t, signsIn('carol'));
  const bridge = await carol.connect('v1', hasty.url, { args: byHand(hasty), secrets: () => hasty.tokens() });
  assert.equal(await call(bridge, 'whoami'), 'carol');
  const renewedTwice = async () => {
    while (count(hasty.grants, 'refresh_token') < 2) {
      assert.equal(await call(bridge, 'whoami'), 'carol');
      await pause(50); // not to load the machine
    }
  };
  await within(DEADLINE_MS, 'the token is renewed twice', renewedTwice());
  assert.deepEqual(hasty.calls.items.filter(({ status, token }) => status !== 200 && token), []);
  await pause(5_100); // until the last token is past its end
  assert.equal(await call(bridge, 'whoami'), 'carol');
  assert.equal(carol.links.items.length, 1);
});

test('nothing taught, or a wrong client secret: the client is told the cause and the remote', limit, async (t) => {
  const dan = await person(t, signsIn('dan'));
  await isRefused(t, bare.url, { where: dan.where }, /401/, /keyferry login/);
  const args = [...byHand(bare, KNOWN), '--secret-env', 'OIDC_SECRET'];
  const env = { OIDC_SECRET: 'not-the-secret-9e1b', BROWSER: dan.browser };
  await isRefused(t, bare.url, { where: dan.where, args, env, secrets: () => ['not-the-secret-9e1b'] }, /invalid_client/);
});
