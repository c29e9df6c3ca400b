// One scripted conversation, recorded without keyferry and with it: where client and remote are of
// one era, the same bytes pass; where they are not, all is the same but for what the change of era
// requires. Each difference stands in a table here, and each that stands there has to occur.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { player } from './era/clients.js';
import { FEATURES } from './era/features.js';
import { bytes, compare, overheard, recorder } from './era/recorder.js';
import { MODERN } from './era/table.js';
import { startV2 } from './servers/orchestra/v2.js';
import { bridgeOnly, home, launch } from './support/bridge.js';
import { LISTED } from './era/fidelity.js';

const limit = { timeout: 60_000 };
const ERAS = {
  legacy: { client: { sdk: 'v2', mode: 'legacy', era: 'legacy' }, server: { modern: false }, revision: '2025-11-25' },
  modern: { client: { sdk: 'v2', mode: { pin: MODERN }, era: 'modern' }, server: {}, revision: MODERN },
};
/** What both eras have. */
const SCRIPT = Object.entries(FEATURES).filter(([name]) => !/by the session|by an error/.test(name));

/**
 * The conversation of a client with a remote of these eras: `{ wire, stdio }`, what passed at the
 * remote's door and, with keyferry, what passed at its stdin and stdout.
 */
async function converse(t, client, remote, { bridged }) {
  const server = await startV2(ERAS[remote].server);
  const door = await recorder(server.url);
  t.after(async () => {
    await door.stop();
    await server.stop();
  });
  const where = home();
  const heard = bridged ? overheard(launch(where, door.url), where) : undefined;
  const one = await player(t, ERAS[client].client, { url: door.url, launched: heard?.launch, direct: !bridged }, 'fidelity');
  for (const [name, { play, sees }] of SCRIPT) {
    assert.deepEqual(await play(one, 'fidelity'), sees('fidelity', ERAS[client].client, ERAS[remote].revision, { sdk: 'v2' }), name);
  }
  await one.close();
  return { wire: { up: [...door.up], down: [...door.down] }, stdio: heard?.read() };
}

/** `{ direct, bridged }`: recorded once, for all the tests. */
const recordings = new Map();
function recorded(t, client, remote, how) {
  const key = `${client} ${remote} ${how.bridged}`;
  if (!recordings.has(key)) recordings.set(key, converse(t, client, remote, how));
  return recordings.get(key);
}
const direct = (t, era) => recorded(t, era, era, { bridged: false });
const bridged = (t, client, remote) => recorded(t, client, remote, { bridged: true });

/** Every difference is in the table, and everything in the table is a difference. */
function assertListed(found, table) {
  const rows = Object.keys(table);
  const pattern = (row) => new RegExp(`^${row.split('*').map((part) => part.replace(/[^\w ]/g, '\\$&')).join('.*')}$`);
  const fits = (row, difference) => pattern(row).test(difference);
  assert.deepEqual(found.filter((difference) => !rows.some((row) => fits(row, difference))), [], 'differences that are not in the table');
  assert.deepEqual(rows.filter((row) => !found.some((difference) => fits(row, difference))), [], 'differences that did not occur');
}

for (const era of Object.keys(ERAS)) {
  test(`a ${era} client and a ${era} remote exchange the same bytes through keyferry`, { ...limit, ...bridgeOnly }, async (t) => {
    const { wire, stdio } = await bridged(t, era, era);
    for (const direction of ['up', 'down']) assert.ok(wire[direction].length > 30, `${wire[direction].length} messages ${direction}`);
    assertListed([...bytes(stdio.up, wire.up), ...bytes(wire.down, stdio.down)], LISTED[era].bytes);
  });

  test(`a ${era} client and a ${era} remote say what they say without keyferry`, { ...limit, ...bridgeOnly }, async (t) => {
    const [without, { wire, stdio }] = [await direct(t, era), await bridged(t, era, era)];
    assertListed(compare(without.wire, wire), LISTED[era].wire);
    assertListed(compare(without.wire, stdio), LISTED[era].stdio);
  });
}

for (const [client, remote] of [['legacy', 'modern'], ['modern', 'legacy']]) {
  const table = LISTED[`${client} at ${remote}`];
  test(`to a ${remote} remote, a ${client} client behind keyferry is a ${remote} client`, { ...limit, ...bridgeOnly }, async (t) => {
    assertListed(compare((await direct(t, remote)).wire, (await bridged(t, client, remote)).wire), table.wire);
  });

  test(`to a ${client} client, a ${remote} remote behind keyferry is a ${client} remote`, { ...limit, ...bridgeOnly }, async (t) => {
    assertListed(compare((await direct(t, client)).wire, (await bridged(t, client, remote)).stdio), table.stdio);
  });
}
