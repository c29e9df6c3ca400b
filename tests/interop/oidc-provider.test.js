// keyferry and oidc-provider: opaque tokens that the MCP server introspects, resource indicators,
// rotating refresh tokens, device grant, clients registered on the spot or beforehand.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { KNOWN, person as signsIn, startOidc } from './servers/oidc-provider.js';
import { bridgeOnly } from './support/bridge.js';
import { call, person } from './support/people.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const SIGN_IN_NEEDED = -31001;

let open; // anyone may register
let closed; // nobody may
before(async () => ([open, closed] = await Promise.all([startOidc(), startOidc({ registration: false })])));
after(() => Promise.all([open?.stop(), closed?.stop()]));

const cancels = async (window, page) => window.open(/href="([^"]+)">\[ Cancel \]/.exec(page.text)[1]);
const count = (seen, item) => seen.items.filter((each) => each === item).length;

test('a person signs in once: registered on the spot, known to the server, asked nothing at the next start', limit, async (t) => {
  const alice = await person(t, signsIn('alice'));
  const registered = open.registrations.items.length;
  const first = await alice.connect('v1', open.url);
  assert.equal(await call(first, 'whoami'), 'alice');
  assert.equal(await call(first, 'scopes'), 'mcp:read');
  assert.equal((await first.client.listTools()).tools.length, 3);
  assert.equal(alice.links.items.length, 1);
  const [shown] = alice.visits.items;
  assert.equal(shown.status, 200, shown.text);
  assert.equal(shown.url.pathname, '/oauth/callback');

  const link = new URL(alice.links.items[0]);
  assert.equal(link.searchParams.get('resource'), open.url);
  assert.equal(link.searchParams.get('code_challenge_method'), 'S256');
  const [client, ...others] = open.registrations.items.slice(registered);
  assert.deepEqual(others, []);
  assert.equal(client.application_type, 'native');
  assert.equal(client.scope, undefined, 'the registration leaves room for a step-up');
  assert.ok(client.grant_types.includes('refresh_token'));
  await first.close();

  const second = await alice.connect('v1', open.url);
  assert.equal(await call(second, 'whoami'), 'alice');
  assert.equal(alice.links.items.length, 1);
  assert.equal(open.registrations.items.length, registered + 1);
  assert.deepEqual(open.failures.items, []);
});

test('a call that needs more is answered after one more visit, with what was granted before', limit, async (t) => {
  const bob = await person(t, signsIn('bob'));
  const bridge = await bob.connect('v1', open.url);
  assert.equal(await call(bridge, 'scopes'), 'mcp:read');
  assert.equal(await call(bridge, 'write'), 'written by bob');
  assert.equal(await call(bridge, 'scopes'), 'mcp:read mcp:write');
  assert.equal(bob.links.items.length, 2);
});

test('who declines the step-up loses that call and nothing else', limit, async (t) => {
  const carol = await person(t, signsIn('carol'));
  const bridge = await carol.connect('v1', open.url);
  assert.equal(await call(bridge, 'whoami'), 'carol');
  carol.act = cancels;
  await assert.rejects(call(bridge, 'write'), /access_denied/);
  assert.equal(await call(bridge, 'whoami'), 'carol');
  assert.equal(await call(bridge, 'scopes'), 'mcp:read');
});

test('who cancels the sign-in is told so, and can sign in after all', limit, async (t) => {
  const dan = await person(t, cancels);
  const bridge = await dan.connect('v1', open.url);
  await assert.rejects(call(bridge, 'whoami'), ({ code, message }) => {
    assert.match(message, /access_denied/);
    return code === SIGN_IN_NEEDED;
  });
  dan.act = signsIn('dan');
  assert.equal(await call(bridge, 'whoami'), 'dan');
});

test('a token that is refused before its time is renewed without the person', limit, async (t) => {
  const erin = await person(t, signsIn('erin'));
  const bridge = await erin.connect('v1', open.url);
  assert.equal(await call(bridge, 'whoami'), 'erin');
  const refreshed = count(open.grants, 'refresh_token');
  await open.forget(open.tokens().at(-1));
  assert.equal(await call(bridge, 'whoami'), 'erin');
  assert.equal(count(open.grants, 'refresh_token'), refreshed + 1);
  assert.equal(erin.links.items.length, 1);
});

test('bridges that share a sign-in refresh once, however many of them find the token refused', limit, async (t) => {
  const frank = await person(t, signsIn('frank'));
  const bridges = [await frank.connect('v1', open.url)];
  assert.equal(await call(bridges[0], 'whoami'), 'frank');
  bridges.push(...(await Promise.all([frank.connect('v1', open.url), frank.connect('v1', open.url)])));
  const revoked = count(open.revocations, 'grant');
  for (let round = 0; round < 3; round++) {
    const refreshed = count(open.grants, 'refresh_token');
    await open.forget(open.tokens().at(-1));
    const answers = await Promise.all(bridges.map((bridge) => call(bridge, 'whoami')));
    assert.deepEqual(answers, ['frank', 'frank', 'frank']);
    assert.equal(count(open.grants, 'refresh_token'), refreshed + 1, `round ${round}`);
  }
  assert.equal(count(open.revocations, 'grant'), revoked, 'no refresh token was shown twice');
  assert.equal(frank.links.items.length, 1);
});

test('short-lived tokens are renewed ahead of their end: no call is refused, nobody is asked', limit, async (t) => {
  const hasty = await startOidc({ tokenSeconds: 5 });
  t.after(() => hasty.stop());
  const grace = await person(t, signsIn('grace'));
  const bridge = await grace.connect('v1', hasty.url);
  assert.equal(await call(bridge, 'whoami'), 'grace');
  const seen = hasty.calls.items.length;
  const renewedTwice = (async () => {
    while (count(hasty.grants, 'refresh_token') < 2) {
      assert.equal(await call(bridge, 'whoami'), 'grace');
      await pause(50); // not to load the machine
    }
  })();
  await within(DEADLINE_MS, 'the token is renewed twice', renewedTwice);
  const refused = hasty.calls.items.slice(seen).filter(({ status }) => status !== 200);
  assert.deepEqual(refused, []);
  assert.equal(hasty.tokens().length, 3, 'one refresh per token');
  assert.equal(grace.links.items.length, 1);
});

test('a client that was registered beforehand signs in where nobody can register', limit, async (t) => {
  const heidi = await person(t, signsIn('heidi'));
  const bridge = await heidi.connect('v1', closed.url, {
    args: ['--client-id', KNOWN.client_id, '--secret-env', 'OIDC_SECRET'],
    env: { OIDC_SECRET: KNOWN.client_secret },
  });
  assert.equal(await call(bridge, 'whoami'), 'heidi');
  await closed.forget(closed.tokens().at(-1));
  assert.equal(await call(bridge, 'whoami'), 'heidi');
  assert.equal(heidi.links.items.length, 1);
});

test('where nobody can register, the error names the flag for a client id, and no page is opened', limit, async (t) => {
  const ivan = await person(t, signsIn('ivan'));
  const bridge = await ivan.connect('v1', closed.url);
  await assert.rejects(call(bridge, 'whoami'), ({ code, message, data }) => {
    assert.match(`${message} ${data?.hint}`, /--client-id/);
    return code === SIGN_IN_NEEDED;
  });
  assert.deepEqual(ivan.links.items, []);
});

test('an unknown client id ends on a page of the provider: the call ends too, with the link', limit, async (t) => {
  const judy = await person(t, signsIn('judy'));
  const bridge = await judy.connect('v1', closed.url, { args: ['--client-id', 'nobody-knows-it', '--auth-timeout', '2'] });
  await assert.rejects(call(bridge, 'whoami'), ({ code, data }) => {
    assert.equal(data.url, judy.links.items[0]);
    return code === SIGN_IN_NEEDED;
  });
  await judy.visits.until('the page of the provider', ({ length }) => length > 0); // on a slow machine after the call
  const [shown] = judy.visits.items;
  assert.equal(shown.status, 400);
  assert.equal(shown.url.origin, closed.issuer);
  assert.match(shown.text, /client is invalid|invalid_client/);
});

test('without a browser: the code is typed in elsewhere, and the login ends', limit, async (t) => {
  const kim = await person(t, signsIn('kim'));
  let approved;
  const login = await kim.keyferry(
    ['login', closed.url, '--with', 'device', '--client-id', KNOWN.client_id, '--secret-env', 'OIDC_SECRET'],
    {
      env: { OIDC_SECRET: KNOWN.client_secret },
      watch(said) {
        const link = /^\s*(http:\S+\/device\S*)\s*$/m.exec(said)?.[1];
        const code = /^\s*((?:[B-Z] ?){4}- ?(?:[B-Z] ?){4})\s*$/m.exec(said)?.[1].replaceAll(' ', ''); // it is shown large
        if (!link || !code || approved) return;
        approved = kim.window
          .open(link)
          .then((page) => (/op\.deviceInputForm/.test(page.text) ? kim.window.submit(page, { user_code: code }) : page))
          .then((page) => kim.act(kim.window, page));
      },
    },
  );
  assert.equal(login.code, 0, login.stderr);
  assert.match((await approved).text, /Sign-in Success/);
  assert.deepEqual(kim.links.items, [], 'no page was opened here');

  const bridge = await kim.connect('v1', closed.url);
  assert.equal(await call(bridge, 'whoami'), 'kim');
  await closed.forget(closed.tokens().at(-1));
  assert.equal(await call(bridge, 'whoami'), 'kim');
});

test('login at a terminal, a token for scripts, and logout that the server hears of', limit, async (t) => {
  const leo = await person(t, signsIn('leo'));
  const login = await leo.keyferry(['login', open.url, '--scope', 'openid mcp:read']);
  assert.equal(login.code, 0, login.stderr);

  const listed = await leo.keyferry(['list', '--json']);
  assert.equal(listed.code, 0, listed.stderr);
  assert.match(listed.stdout, /"leo"/);
  assert.match(listed.stdout, /mcp:read/);

  const printed = await leo.keyferry(['token', open.url]);
  assert.equal(printed.code, 0, printed.stderr);
  const knock = (token) => fetch(open.url, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  const token = printed.stdout.trim();
  assert.ok(!listed.stdout.includes(token));
  assert.notEqual((await knock(token)).status, 401);

  const logout = await leo.keyferry(['logout', open.url]);
  assert.equal(logout.code, 0, logout.stderr);
  assert.equal((await knock(token)).status, 401);
  assert.ok(count(open.revocations, 'refresh_token') + count(open.revocations, 'grant') > 0);
  const unregistered = open.requests.items.filter(({ method, path }) => method === 'DELETE' && path.startsWith('/reg/'));
  assert.deepEqual(unregistered.map(({ status }) => status), [204]);
});
