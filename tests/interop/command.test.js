// keyferry and a program of the person's that fetches tokens: the server's tokens end after seconds.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startLoginEndpoint } from './servers/login-endpoint.js';
import { bridgeOnly, home } from './support/bridge.js';
import { holdsNone, isNotTaught, isRefused, knows, knowsAndLogs, listed, teach } from './support/kinds.js';
import { call } from './support/people.js';
import { within } from './support/waiting.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const PASSWORD = 'held-by-another-tool-60d3';
const VAULT_PASSPHRASE = 'of-the-vault-and-nobody-else-17';

/** A program in the person's directory; `body` is JavaScript with `print`, `login()` and `process`. */
function program(where, name, loginUrl, body) {
  const path = join(where, name);
  const source = `#!${process.execPath}
const print = (value) => process.stdout.write(typeof value === 'string' ? value : JSON.stringify(value));
const login = () => fetch(${JSON.stringify(loginUrl)}, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ username: 'alice', password: ${JSON.stringify(PASSWORD)} }),
}).then((response) => response.json());
(async () => {
${body}
})();
`;
  writeFileSync(path, source);
  chmodSync(path, 0o755);
  return path;
}

async function start(t, options) {
  const server = await startLoginEndpoint({ alice: PASSWORD }, options);
  t.after(() => server.stop());
  const where = home();
  const write = (body, name = 'fetch-token') => program(where, name, server.loginUrl, body);
  return { server, where, write, secrets: () => [PASSWORD, ...server.tokens()] };
}

const by = (command, ...args) => ['--with', 'command', '--command', command, ...args.flatMap((arg) => ['--command-arg', arg])];

const AS_JSON = 'const { access_token: token, expires_in } = await login(); print({ token, expires_in });';

test('what the program printed is used until its end, by one process', limit, async (t) => {
  const { server, where, write, secrets } = await start(t, { seconds: 3600 });
  const args = by(write(AS_JSON));
  const bridge = await knows(t, server.url, 'alice', { where, args, secrets });
  for (let calls = 0; calls < 5; calls++) assert.equal(await call(bridge, 'whoami'), 'alice');
  assert.equal(server.granted(), 1);
  server.forget(); // a bare 403, long before the end
  assert.equal(await call(bridge, 'whoami'), 'alice');
  assert.equal(server.granted(), 2);
});

describe('tokens that end', { concurrency: true }, () => {
  test('a program that prints JSON is taught once, and asked again before each token ends', limit, async (t) => {
    const { server, where, write, secrets } = await start(t, { seconds: 4 });
    await teach(where, server.url, by(write(AS_JSON)), { secrets });
    const bridge = await knows(t, server.url, 'alice', { where, secrets });
    const before = server.granted();
    const renewed = async () => {
      while (server.granted() < before + 3) {
        assert.equal(await call(bridge, 'whoami'), 'alice');
        await pause(50); // not to load the machine
      }
    };
    await within(30_000, 'three tokens more', renewed());
    assert.deepEqual(server.calls.items.filter(({ status, token }) => status !== 200 && token), []);
    await server.allExpired();
    assert.equal(await call(bridge, 'whoami'), 'alice');
    await knowsAndLogs(t, server.url, 'alice', { where, secrets });
  });

  for (const [what, body, ...more] of [
    ['a bare token', 'print((await login()).access_token + "\\n");'],
    ['headers of its own', 'print({ headers: { "X-Session": (await login()).access_token }, expires_in: 60 });'],
    ['an end in seconds since 1970', 'print({ token: (await login()).access_token, expires_at: Date.now() / 1000 + 60 });'],
    ['a token for another header', 'print((await login()).access_token);', '--key-header', 'X-Session'],
  ]) {
    test(`a program that prints ${what}`, limit, async (t) => {
      const { server, where, write, secrets } = await start(t, { seconds: 3 });
      await teach(where, server.url, [...by(write(body)), ...more], { secrets });
      const bridge = await knows(t, server.url, 'alice', { where, secrets });
      await server.allExpired();
      assert.equal(await call(bridge, 'whoami'), 'alice');
    });
  }
});

test('its arguments reach it as they are, the secrets of keyferry do not', limit, async (t) => {
  const { server, where, write, secrets } = await start(t);
  const report = join(where, 'report.json');
  const tell = `require('node:fs').writeFileSync(${JSON.stringify(report)}, JSON.stringify({ args: process.argv.slice(2), env: process.env }));`;
  const awkward = ['two words', '$HOME `id`', '--', "it's"];
  const env = { KEYFERRY_PASSPHRASE: VAULT_PASSPHRASE, SOME_SECRET: PASSWORD, OF_THE_PERSON: 'kept' };
  const args = [...by(write(`${tell} ${AS_JSON}`)), ...awkward.map((arg) => `--command-arg=${arg}`)];
  await knows(t, server.url, 'alice', { where, args, env, secrets });
  const seen = JSON.parse(readFileSync(report, 'utf8'));
  assert.deepEqual(seen.args, awkward);
  assert.equal(seen.env.OF_THE_PERSON, 'kept');
  holdsNone([VAULT_PASSPHRASE], JSON.stringify(seen.env), 'what the program is given');
});

test('a program that fails: its exit code and the last line of its stderr, never its stdout', limit, async (t) => {
  const { server, where, write, secrets: known } = await start(t);
  const half = 'half-of-a-token-that-was-printed';
  const secrets = () => [...known(), half];
  const failing = write(`print(${JSON.stringify(half)}); console.error('first line'); console.error('the session has ended: run tool-login'); process.exitCode = 7;`);
  const told = [/\b7\b/, /the session has ended: run tool-login/];
  const said = await isNotTaught(home(), server.url, by(failing), { secrets }, ...told);
  assert.doesNotMatch(said, /first line/);
  await teach(where, server.url, [...by(failing), '--no-verify'], { secrets });
  const { message } = await isRefused(t, server.url, { where, secrets }, ...told);
  assert.doesNotMatch(message, /first line/);
});

test('a program that fails later: that call is told so, and the next is answered when it works again', limit, async (t) => {
  const { server, where, write, secrets } = await start(t, { seconds: 3600 });
  const broken = join(where, 'broken');
  const body = `if (require('node:fs').existsSync(${JSON.stringify(broken)})) { console.error('out of order'); process.exit(3); } ${AS_JSON}`;
  const bridge = await knows(t, server.url, 'alice', { where, args: by(write(body)), secrets });
  writeFileSync(broken, '');
  server.forget();
  await assert.rejects(call(bridge, 'whoami'), /out of order/);
  unlinkSync(broken);
  const answered = async () => {
    while ((await call(bridge, 'whoami').catch(() => {})) !== 'alice') await pause(100); // the failure is shared for a moment
  };
  await within(5_000, 'it is asked again', answered());
});

test('a program that is not there, never ends, prints nothing, or a wrong token', limit, async (t) => {
  const { server, where, write, secrets } = await start(t);
  const refused = (args, ...told) => isRefused(t, server.url, { where: home(), args, secrets }, ...told);
  await refused(by(join(where, 'nowhere')), /nowhere/);
  await refused(by(write('', 'silent')), /silent/);
  await refused(by(write('print("wrong-token")', 'mistaken')), /403/, /keyferry login/);

  const pidFile = join(where, 'pid');
  const endless = write(`require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000);`, 'endless');
  await refused([...by(endless), '--command-timeout', '1'], /endless/, /\b1 s/);
  const ended = async () => {
    while (existsSync(`/proc/${readFileSync(pidFile, 'utf8')}`)) await pause(20);
  };
  await within(5_000, 'the endless program is ended', ended());
});

test('the list shows the program, not its arguments', limit, async (t) => {
  const { server, where, write, secrets } = await start(t);
  const path = write(AS_JSON);
  await teach(where, server.url, by(path, '--profile', 'argument-that-may-be-private'), { secrets });
  const { text, json } = await listed(where, () => [...secrets(), 'argument-that-may-be-private']);
  assert.ok(json.includes(JSON.stringify(path)), json);
  assert.match(text, /fetch-token/);
});
