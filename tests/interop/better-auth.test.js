// keyferry and Better Auth: its `mcp` plugin (1.6) in front of SDK v1 with sessions, and
// `@better-auth/mcp` (1.7) in front of SDK v2, which speaks revision 2026-07-28 only.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { person as signsIn, startBetterAuth } from './servers/better-auth.js';
import { bridgeOnly } from './support/bridge.js';
import { Window } from './support/browser.js';
import { call, person } from './support/people.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const modern = { versionNegotiation: { mode: 'auto' } };

const VERSIONS = [
  { version: '1.6', sdk: 'v1', options: {}, issuer: '', scopes: 'email offline_access openid profile' },
  { version: '1.7', sdk: 'v2', options: modern, issuer: '/api/auth', scopes: 'mcp:read offline_access' },
];

for (const { version, sdk, options, issuer, scopes } of VERSIONS) {
  describe(`Better Auth ${version}`, bridgeOnly, () => {
    let server;
    before(async () => (server = await startBetterAuth(version, ['alice', 'bob'])));
    after(() => server?.stop());

    const of = (path, { requests } = server) => requests.items.filter((request) => request.path.endsWith(path));

    test('a person signs in, agrees, is known to the server, and is asked nothing at the next start', limit, async (t) => {
      const pages = [];
      const alice = await person(t, signsIn('alice', (title) => pages.push(title)));
      const first = await alice.connect(sdk, server.url, { options });
      assert.equal(await call(first, 'whoami'), 'alice@example.test');
      assert.equal(await call(first, 'scopes'), scopes);
      assert.deepEqual(pages, ['Sign in', 'Allow access?']);
      assert.deepEqual(of('/register').map(({ status }) => status >= 200 && status < 300), [true]);
      const link = new URL(alice.links.items[0]);
      assert.equal(link.searchParams.get('code_challenge_method'), 'S256');
      assert.equal(link.searchParams.get('resource'), server.url);
      const [shown] = alice.visits.items;
      assert.equal(shown.status, 200, shown.text);
      assert.equal(shown.url.pathname, '/oauth/callback');
      await first.close();

      const second = await alice.connect(sdk, server.url, { options });
      assert.equal(await call(second, 'whoami'), 'alice@example.test');
      assert.equal(alice.links.items.length, 1);
      assert.equal(of('/register').length, 1);
      const issuers = of('/token').map(({ path }) => path);
      assert.ok(issuers.every((path) => path.startsWith(issuer)), String(issuers));
    });

    test('two accounts at one server are two people', limit, async (t) => {
      const alice = await person(t, signsIn('alice'));
      assert.equal(await call(await alice.connect(sdk, server.url, { options }), 'whoami'), 'alice@example.test');
      alice.window = new Window(); // one that does not know alice
      alice.act = signsIn('bob');
      const work = await alice.connect(sdk, server.url, { options, args: ['--account', 'work'] });
      assert.equal(await call(work, 'whoami'), 'bob@example.test');
      assert.equal(await call(await alice.connect(sdk, server.url, { options }), 'whoami'), 'alice@example.test');
    });

    test('short-lived tokens are renewed without the person, and no call is lost', limit, async (t) => {
      const hasty = await startBetterAuth(version, ['carol'], { tokenSeconds: 5 });
      t.after(() => hasty.stop());
      const carol = await person(t, signsIn('carol'));
      const bridge = await carol.connect(sdk, hasty.url, { options });
      const refreshes = () => of('/token', hasty).filter(({ grant }) => grant === 'refresh_token');
      const renewedTwice = (async () => {
        while (refreshes().length < 2) {
          assert.equal(await call(bridge, 'whoami'), 'carol@example.test');
          await pause(50); // not to load the machine
        }
      })();
      await within(DEADLINE_MS, 'the token is renewed twice', renewedTwice);
      assert.equal(await call(bridge, 'whoami'), 'carol@example.test');
      assert.deepEqual(refreshes().map(({ status }) => status), [200, 200]);
      assert.equal(carol.links.items.length, 1);
    });
  });
}
