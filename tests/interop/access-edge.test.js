// keyferry and Cloudflare Access: a worker in workerd that believes Access alone, and a server that
// wants OAuth as well.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { member, startAccess } from './servers/access-edge.js';
import { startOAuthBehind } from './servers/access-oauth.js';
import { person as signsIn } from './servers/oidc-provider.js';
import { startWorker } from './servers/worker/start.js';
import { bridgeOnly, home, keyferry } from './support/bridge.js';
import { connect } from './support/clients.js';
import { call, person } from './support/people.js';
import { connectLogged, refused } from './support/refusals.js';
import { DEADLINE_MS, within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const ID = '5f3ad2.access';
const SECRET = 'service-token-secret-41b7';
const WRONG = 'service-token-secret-that-is-wrong';
const AFTER = 'service-token-secret-after-it-9c02';
const modern = { versionNegotiation: { mode: 'auto' } };

async function succeeds(where, args, stdin) {
  const { code, stdout, stderr } = await keyferry(where, args, { stdin });
  assert.equal(code, 0, stderr);
  assert.ok(!(stdout + stderr).includes(stdin));
}

/** Both headers of a service token, for a remote that wants a credential of its own as well. */
const ALONG = ['--header', `CF-Access-Client-Id: ${ID}`, '--header', 'CF-Access-Client-Secret: ${vault:ACCESS}'];

describe('a worker that verifies the assertion', bridgeOnly, () => {
  const tokens = { [ID]: SECRET };
  let access;
  let worker;
  before(async () => {
    access = await startAccess(tokens, { cookieSeconds: 2 });
    worker = await startWorker('access.js', { vars: { TEAM: access.team, AUDIENCE: access.audience } });
    access.protect(() => worker.origin);
  });
  after(async () => {
    await access?.stop();
    await worker?.stop();
  });

  for (const [sdk, options] of [['v1', {}], ['v2', modern]]) {
    test(`a service token that was taught once is known by its name to a client of SDK ${sdk}, now and at the next start`, limit, async (t) => {
      const where = home();
      await succeeds(where, ['login', access.url, '--with', 'cloudflare-access', '--client-id', ID], SECRET);
      for (let start = 0; start < 2; start++) {
        const bridge = await connectLogged(t, sdk, access.url, { where, options });
        assert.deepEqual((await bridge.client.listTools()).tools.map(({ name }) => name), ['whoami', 'runtime']);
        assert.equal(await call(bridge, 'whoami'), ID);
        await bridge.close();
        assert.ok(!bridge.log().includes(SECRET));
      }
    });
  }

  test('the worker itself lets nobody by who does not come by way of Access', limit, async () => {
    const headers = { 'cf-access-client-id': ID, 'cf-access-client-secret': SECRET };
    assert.equal((await fetch(worker.url, { method: 'POST', headers })).status, 403);
    assert.equal((await fetch(worker.url, { method: 'POST', headers: { 'cf-access-jwt-assertion': 'a.b.c' } })).status, 403);
    assert.equal((await fetch(access.url, { method: 'POST', headers: { 'cf-access-jwt-assertion': 'a.b.c' }, redirect: 'manual' })).status, 302);
  });

  test('the list has the kind and the client id of the token, not its secret', limit, async () => {
    const where = home();
    await succeeds(where, ['login', access.url, '--with', 'cloudflare-access', '--client-id', ID], SECRET);
    for (const args of [['list'], ['list', '--json']]) {
      const { code, stdout, stderr } = await keyferry(where, args);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.includes('cloudflare-access') && stdout.includes(ID), stdout);
      assert.ok(!stdout.includes(SECRET));
    }
  });

  test('the cookie that comes with the first answer may end: no call is lost', limit, async (t) => {
    const where = home();
    await succeeds(where, ['login', access.url, '--with', 'cloudflare-access', '--client-id', ID], SECRET);
    const bridge = await connect(t, 'v1', access.url, { where });
    const { length } = access.requests.items;
    const ended = Date.now() + 3_000;
    do {
      assert.equal(await call(bridge, 'whoami'), ID);
      await pause(200); // not to load the machine
    } while (Date.now() < ended);
    assert.deepEqual(access.requests.items.slice(length).filter(({ status }) => status >= 300 && status !== 405), []);
  });

  test('the token may be given as two headers, the secret from the vault', limit, async (t) => {
    const where = home();
    await succeeds(where, ['secret', 'set', 'ACCESS'], SECRET);
    const bridge = await connect(t, 'v1', access.url, { where, args: ALONG });
    assert.equal(await call(bridge, 'whoami'), ID);
  });

  test('a key in a header and the token together', limit, async (t) => {
    const where = home();
    await succeeds(where, ['secret', 'set', 'ACCESS'], SECRET);
    await succeeds(where, ['login', access.url, '--with', 'api-key', ...ALONG], 'a-key-that-goes-along');
    const bridge = await connect(t, 'v1', access.url, { where });
    assert.equal(await call(bridge, 'whoami'), ID);
    const { headers } = access.requests.items.filter(({ method, status }) => method === 'POST' && status === 200).at(-1);
    assert.equal(headers.authorization, 'Bearer a-key-that-goes-along');
  });

  test('logging in with a wrong secret fails and says where it was sent', limit, async () => {
    const login = await keyferry(home(), ['login', access.url, '--with', 'cloudflare-access', '--client-id', ID], { stdin: WRONG });
    assert.notEqual(login.code, 0);
    assert.ok(login.stderr.includes(new URL(access.url).host), login.stderr);
    assert.match(login.stderr, /302|redirect/);
    assert.ok(!(login.stdout + login.stderr).includes(WRONG));
  });

  test('with a wrong secret, the client is told of the redirect to the login page', limit, async (t) => {
    const where = home();
    await succeeds(where, ['login', access.url, '--with', 'cloudflare-access', '--client-id', ID, '--no-verify'], WRONG);
    const { length } = access.requests.items;
    await refused(connect(t, 'v1', access.url, { where }), access.url, ['302', 'keyferry login', '--with cloudflare-access'], [SECRET, WRONG]);
    const sent = access.requests.items.slice(length);
    assert.ok(sent.length <= 4, `not again and again: ${sent.length}`);
  });

  test('a token that was replaced: the call is refused, and after a login the same client goes on', limit, async (t) => {
    const where = home();
    tokens.rotating = SECRET;
    const teach = (secret) => succeeds(where, ['login', access.url, '--with', 'cloudflare-access', '--client-id', 'rotating'], secret);
    await teach(SECRET);
    const bridge = await connect(t, 'v1', access.url, { where, args: ['--disable-cookies'] });
    assert.equal(await call(bridge, 'whoami'), 'rotating');
    tokens.rotating = AFTER;
    await refused(call(bridge, 'whoami'), access.url, ['302', '--with cloudflare-access'], [SECRET]);
    await teach(AFTER);
    assert.equal(await call(bridge, 'whoami'), 'rotating');
  });

  test('with no token at all, the client is told of the redirect, and no page is opened', limit, async (t) => {
    const nobody = await person(t, () => assert.fail('a page was opened'));
    await refused(nobody.connect('v1', access.url), access.url, ['302', 'keyferry login']);
    assert.deepEqual(nobody.links.items, []);
  });
});

describe('a server that wants OAuth as well', bridgeOnly, () => {
  const started = [];
  after(() => Promise.all(started.map((each) => each.stop())));

  async function start(options) {
    const access = await startAccess({ [ID]: SECRET });
    const server = await startOAuthBehind(access, options);
    started.push(access, server);
    return { access, server };
  }

  /** Someone in the team whose keyferry has the service token and whose browser has nothing yet. */
  async function colleague(t, name) {
    const someone = await person(t, member(`${name}@example.test`, signsIn(name)));
    await succeeds(someone.where, ['secret', 'set', 'ACCESS'], SECRET);
    return someone;
  }

  test('headers and sign-in go together, now and at the next start', limit, async (t) => {
    const { access, server } = await start();
    const alice = await colleague(t, 'alice');
    for (let start = 0; start < 2; start++) {
      const bridge = await alice.connect('v1', access.url, { args: ALONG });
      assert.equal(await call(bridge, 'whoami'), 'alice');
      assert.equal((await bridge.client.listTools()).tools.length, 3);
      await bridge.close();
    }
    assert.equal(alice.links.items.length, 1);
    assert.ok(!alice.links.items[0].includes(SECRET));
    assert.deepEqual(server.failures.items, []);
    const tokenRequests = access.requests.items.filter(({ path }) => path === '/token');
    assert.deepEqual(tokenRequests.map(({ status, identity }) => [status, identity]), [[200, ID]]);
  });

  test('taught by login once, a client that names the URL alone has both', limit, async (t) => {
    const { access } = await start();
    const bob = await colleague(t, 'bob');
    const login = await bob.keyferry(['login', access.url, ...ALONG]);
    assert.equal(login.code, 0, login.stderr);
    assert.ok(!(login.stdout + login.stderr).includes(SECRET));
    for (let start = 0; start < 2; start++) {
      const bridge = await bob.connect('v1', access.url);
      assert.equal(await call(bridge, 'whoami'), 'bob');
      await bridge.close();
    }
    assert.equal(bob.links.items.length, 1);
  });

  test('short-lived tokens are renewed through Access without the person', limit, async (t) => {
    const { access, server } = await start({ tokenSeconds: 5 });
    const carol = await colleague(t, 'carol');
    const bridge = await carol.connect('v1', access.url, { args: ALONG });
    const refreshes = () => server.grants.items.filter((grant) => grant === 'refresh_token').length;
    const renewedTwice = (async () => {
      while (refreshes() < 2) {
        assert.equal(await call(bridge, 'whoami'), 'carol');
        await pause(50); // not to load the machine
      }
    })();
    await within(DEADLINE_MS, 'the token is renewed twice', renewedTwice);
    assert.equal(carol.links.items.length, 1);
    assert.deepEqual(access.requests.items.filter(({ path, status }) => path === '/token' && status !== 200), []);
  });

  test('the headers go to the remote and never to an authorization server elsewhere', limit, async (t) => {
    const { access, server } = await start({ elsewhere: true });
    const dan = await colleague(t, 'dan');
    const bridge = await dan.connect('v1', access.url, { args: ALONG });
    assert.equal(await call(bridge, 'whoami'), 'dan');
    assert.ok(server.asked.items.some(({ path }) => path === '/token'));
    const leaked = server.asked.items.filter(({ headers }) => Object.keys(headers).some((name) => name.startsWith('cf-access-client')));
    assert.deepEqual(leaked, []);
  });

  test('without the headers, the client is told of the redirect', limit, async (t) => {
    const { access } = await start();
    const erin = await colleague(t, 'erin');
    await refused(erin.connect('v1', access.url), access.url, ['302', 'login page']);
    assert.deepEqual(erin.links.items, []);
  });
});
