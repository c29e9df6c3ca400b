// The era matrix: every sort of client with every sort of remote, and in each pair every feature that
// both revisions have. CLIENT and REMOTE choose by parts of the names, as `CLIENT='SDK v1'
// REMOTE=modern-only`. At the end the matrix is printed; the README has the same one.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { player } from './era/clients.js';
import { FEATURES } from './era/features.js';
import { startPlayer } from './era/python.js';
import { CLIENTS, gap, markdown, MODERN, nameOf, REMOTES, sameEra, spoken } from './era/table.js';
import { startPython } from './servers/orchestra/python.js';
import { startV1 } from './servers/orchestra/v1.js';
import { startV2 } from './servers/orchestra/v2.js';
import { direct } from './support/bridge.js';
import { within } from './support/waiting.js';

const LIMIT_MS = 60_000;
const FEATURE_MS = 15_000;

const chosen = (name, part = '') => name.includes(part);
const clients = CLIENTS.filter(({ name }) => chosen(name, process.env.CLIENT));
const remotes = REMOTES.filter((remote) => chosen(nameOf(remote), process.env.REMOTE));
const whole = clients.length === CLIENTS.length && remotes.length === REMOTES.length && !direct;

function start({ sdk, sse, revisions }) {
  if (sdk === 'python') return startPython({ sse });
  if (sdk === 'v1') return startV1({ version: revisions[0], sse });
  return startV2({ legacy: revisions.length > 1 });
}

const servers = new Map();
before(async () => {
  await Promise.all(remotes.map(async (remote) => servers.set(remote, await start(remote))));
});
after(() => Promise.all([...servers.values()].map((server) => server.stop())));

/** Which features were green, by pair. */
const green = new Map();
const cell = (client, remote) => `${client.name} and ${nameOf(remote)}`;

/** Plays the features one after another on one connection. */
async function play(t, client, remote) {
  const name = `c${CLIENTS.indexOf(client)}-r${REMOTES.indexOf(remote)}`;
  const where = { url: servers.get(remote).url, sse: remote.sse };
  const features = Object.keys(FEATURES).filter((feature) => !gap(feature, client, remote));
  const one = await (client.sdk === 'python' ? startPlayer(t, client, where, name, features) : player(t, client, where, name));
  assert.equal(one.modern, client.era === 'modern', 'the client is in the era that it wants');
  for (const [feature, { play, sees }] of Object.entries(FEATURES)) {
    const why = gap(feature, client, remote);
    if (why) {
      t.diagnostic(`no ${feature}: ${why}`);
      continue;
    }
    await t.test(`${feature}: ${client.name} at ${nameOf(remote)}`, { timeout: LIMIT_MS }, async () => {
      const seen = await within(FEATURE_MS, feature, one.plays?.(feature) ?? play(one, name));
      assert.deepEqual(seen, sees(name, client, spoken(client, remote), remote));
      green.get(cell(client, remote)).push(feature);
    });
  }
}

describe('the era matrix', { concurrency: 3 }, () => {
  for (const remote of remotes) {
    for (const client of clients) {
      // Without a bridge they do not understand each other.
      const skip = direct && (!sameEra(client, remote) || (client.mode === 'auto' && !remote.revisions.includes(MODERN)));
      const title = `${client.name} works with a remote of ${nameOf(remote)}`;
      test(title, { timeout: LIMIT_MS, skip }, async (t) => {
        green.set(cell(client, remote), []);
        await play(t, client, remote);
      });
    }
  }
});

const possible = (client, remote) => Object.keys(FEATURES).filter((feature) => !gap(feature, client, remote));

function verdict(client, remote) {
  const done = green.get(cell(client, remote)) ?? [];
  const all = possible(client, remote);
  return done.length === all.length ? `✓ ${all.length}` : `${done.length} of ${all.length}`;
}

test('the matrix is the one in the README', { skip: !whole && 'only of the whole matrix, with keyferry' }, (t) => {
  const matrix = markdown(verdict, Object.keys(FEATURES));
  for (const line of matrix.split('\n')) t.diagnostic(line);
  const readme = new URL('../../README.md', import.meta.url);
  const parts = /^(.*<!-- era matrix -->\n)(.*?)(<!-- \/era matrix -->.*)$/s;
  const [, before, between, rest] = parts.exec(readFileSync(readme, 'utf8')) ?? [];
  if (process.env.UPDATE_README) writeFileSync(readme, `${before}${matrix}\n${rest}`);
  else assert.equal(between?.trim(), matrix, 'UPDATE_README=1 writes it');
});
