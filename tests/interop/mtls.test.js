// keyferry with a client certificate, at nginx and at Node's own TLS, which trust one private authority.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startNodeTls } from './servers/mtls.js';
import { noNginx, startNginx } from './servers/nginx/nginx.js';
import { bridgeOnly, home } from './support/bridge.js';
import { authority, keyLines, pkcs12, traditional } from './support/certificates.js';
import { isNotTaught, isRefused, knows, knowsAndLogs, listed, teach } from './support/kinds.js';

const limit = { timeout: 60_000, ...bridgeOnly };
const PASSPHRASE = 'open sesame of alice 2f';
const KEY = 'key-beside-the-certificate-b07e';

let ours;
let theirs;
const holders = {};
const servers = {}; // by name: { url, identity of alice }
before(async () => {
  if (bridgeOnly.skip) return;
  if (noNginx) throw new Error(noNginx);
  const where = home();
  ours = authority(where, 'ours');
  theirs = authority(where, 'theirs');
  holders.alice = ours.issue('alice', { organization: 'Acme' });
  holders.locked = ours.issue('locked', { passphrase: PASSPHRASE });
  holders.rsa = ours.issue('robert', { kind: 'rsa' });
  holders.expired = ours.issue('expired', { expired: true });
  holders.stranger = theirs.issue('stranger');
  servers.nginx = { ...(await startNginx(ours)), named: (holder) => `CN=${holder}` };
  servers.node = { ...(await startNodeTls(ours)), named: (holder) => holder.split(',')[0] };
});
after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

const showing = ({ cert, key }, ...more) => ['--client-cert', cert, '--client-key', key, '--ca-cert', ours.ca, ...more];
const alone = (...flags) => ['--with', 'none', ...flags];
const secretsOf = (...holders) => () => [PASSPHRASE, KEY, ...holders.flatMap(({ pem }) => keyLines(pem))];

for (const name of ['nginx', 'node']) {
  test(`${name}: a certificate that was taught once says who is calling, also in a new process`, limit, async (t) => {
    const { url, named } = servers[name];
    const where = home();
    const secrets = secretsOf(holders.alice);
    await teach(where, url, alone(...showing(holders.alice)), { secrets });
    await (await knows(t, url, named('alice,O=Acme'), { where, secrets })).close();
    await knowsAndLogs(t, url, named('alice,O=Acme'), { where, secrets });
    const { json } = await listed(where, secrets);
    assert.match(json, /CN=alice/);
    assert.ok(json.includes(JSON.stringify(holders.alice.cert)), json);
  });

  test(`${name}: with flags alone, an RSA key`, limit, async (t) => {
    const { url, named } = servers[name];
    await knows(t, url, named('robert'), { where: home(), args: alone(...showing(holders.rsa)), secrets: secretsOf(holders.rsa) });
  });

  for (const [what, shown, told] of [
    ['no certificate', () => ['--ca-cert', ours.ca], /--client-cert/],
    ["another authority's certificate", () => showing(holders.stranger)],
    ['an expired certificate', () => showing(holders.expired), /expired/],
  ]) {
    test(`${name}: with ${what}, the client is told so, and login fails`, limit, async (t) => {
      const { url } = servers[name];
      const causes = [/certificate/i, ...(told ? [told] : [])];
      const secrets = secretsOf(...Object.values(holders));
      await isNotTaught(home(), url, alone(...shown()), { secrets }, ...causes);
      const where = home();
      await teach(where, url, alone(...shown(), '--no-verify'), { secrets });
      await isRefused(t, url, { where, secrets }, ...causes, /keyferry login/);
      await isRefused(t, url, { where: home(), args: shown(), secrets }, ...causes, /keyferry login/);
    });
  }

  test(`${name}: a server of a private authority is not trusted without --ca-cert, and the error says so`, limit, async (t) => {
    const { cert, key } = holders.alice;
    const { url } = servers[name];
    await isRefused(t, url, { where: home(), args: ['--client-cert', cert, '--client-key', key] }, /--ca-cert/);
  });
}

test('an encrypted key: its passphrase is asked for once, and every later process has it', limit, async (t) => {
  const { url, named } = servers.nginx;
  const where = home();
  const secrets = secretsOf(holders.locked);
  await teach(where, url, alone(...showing(holders.locked)), { stdin: `${PASSPHRASE}\n`, secrets });
  await knows(t, url, named('locked'), { where, secrets });

  await isNotTaught(home(), url, alone(...showing(holders.locked)), { stdin: 'another\n', secrets }, /passphrase/);
  const args = alone(...showing(holders.locked));
  await isRefused(t, url, { where: home(), args, secrets }, /passphrase/, /keyferry login/);
});

test('a key that is sealed in the vault is needed nowhere else', limit, async (t) => {
  const { url, named } = servers.nginx;
  for (const [name, options] of [['vera', {}], ['victor', { passphrase: PASSPHRASE }]]) {
    const holder = ours.issue(name, options);
    const where = home();
    const secrets = secretsOf(holder);
    await teach(where, url, alone(...showing(holder, '--import-key')), { stdin: `${options.passphrase ?? ''}\n`, secrets });
    rmSync(holder.key);
    await (await knows(t, url, named(name), { where, secrets })).close();
    const { json } = await listed(where, secrets);
    assert.match(json, /"sealed"/);
  }
});

test('a key that is gone is an error that names the file', limit, async (t) => {
  const { url } = servers.node;
  const holder = ours.issue('forgetful');
  const where = home();
  await teach(where, url, alone(...showing(holder)));
  rmSync(holder.key);
  await isRefused(t, url, { where }, /forgetful\.key/, /keyferry login/);
});

test('keys in their older forms, and certificate and key in one file', limit, async (t) => {
  const { url, named } = servers.node;
  const where = home();
  for (const [name, holder] of [['alice', holders.alice], ['robert', holders.rsa]]) {
    const key = traditional(holder.pem, join(where, `${name}.old.key`));
    await knows(t, url, named(name), { where: home(), args: alone(...showing({ ...holder, key })), secrets: secretsOf(holder) });
  }
  const both = join(where, 'both.pem');
  writeFileSync(both, readFileSync(holders.alice.key, 'utf8') + readFileSync(holders.alice.cert, 'utf8'), { mode: 0o600 });
  await knows(t, url, named('alice'), { where: home(), args: alone(...showing({ cert: both, key: both })) });
});

test('a PKCS#12 file is refused with the openssl line that converts it', limit, async (t) => {
  const { url } = servers.nginx;
  const where = home();
  const file = pkcs12(holders.alice, join(where, 'alice.p12'), PASSPHRASE);
  const secrets = secretsOf(holders.alice);
  for (const flags of [showing({ cert: file, key: file }), showing({ ...holders.alice, key: file })]) {
    await isNotTaught(home(), url, alone(...flags), { secrets }, /PKCS#12/, /openssl pkcs12 /);
    await isRefused(t, url, { where: home(), args: alone(...flags), secrets }, /PKCS#12/, /openssl pkcs12 /);
  }
});

test('a key that does not belong to the certificate is an error, before anything is sent', limit, async (t) => {
  const { url } = servers.nginx;
  const args = alone(...showing({ cert: holders.alice.cert, key: holders.rsa.key }));
  await isRefused(t, url, { where: home(), args, secrets: secretsOf(holders.rsa) }, /key/, /certificate/i);
});

test('TLS 1.2 serves as well, and refuses as clearly', limit, async (t) => {
  const older = await startNodeTls(ours, { tls: { maxVersion: 'TLSv1.2' } });
  t.after(() => older.stop());
  await knows(t, older.url, 'alice', { where: home(), args: alone(...showing(holders.alice)) });
  for (const shown of [['--ca-cert', ours.ca], showing(holders.stranger)]) {
    await isRefused(t, older.url, { where: home(), args: alone(...shown) }, /certificate/i, /keyferry login/);
  }
});

test('a certificate and a bearer key: the server wants both', limit, async (t) => {
  const both = await startNodeTls(ours, { key: KEY });
  t.after(() => both.stop());
  const secrets = secretsOf(holders.alice);
  const where = home();
  const flags = ['--with', 'api-key', ...showing(holders.alice)];
  await teach(where, both.url, flags, { stdin: `${KEY}\n`, secrets });
  await (await knows(t, both.url, 'alice', { where, secrets })).close();
  await knowsAndLogs(t, both.url, 'alice', { where, secrets });
  const args = [...flags, '--secret-env', 'BOTH_KEY'];
  await knows(t, both.url, 'alice', { where: home(), args, env: { BOTH_KEY: KEY }, secrets });

  await isRefused(t, both.url, { where: home(), args: alone(...showing(holders.alice)), secrets }, /401/, /keyferry login/);
  await isRefused(t, both.url, { where: home(), args, env: { BOTH_KEY: 'another-key' }, secrets }, /403/, /--secret-env/);
  const keyOnly = ['--with', 'api-key', '--ca-cert', ours.ca, '--secret-env', 'BOTH_KEY'];
  await isRefused(t, both.url, { where: home(), args: keyOnly, env: { BOTH_KEY: KEY }, secrets }, /certificate/i, /keyferry login/);
});
