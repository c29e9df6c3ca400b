// The SDK v2 client, keyferry, and a server that speaks revision 2026-07-28 and nothing else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startModern } from './servers/modern.js';
import { bridgeOnly } from './support/bridge.js';
import { connect, connectDirectly, progressOf, textOf } from './support/clients.js';

const limit = { timeout: 60_000 };
const MODERN = '2026-07-28';
const pinned = { versionNegotiation: { mode: { pin: MODERN } } };

let modern;
before(async () => (modern = await startModern()));
after(() => modern?.stop());

const connected = (t, options = {}) =>
  connect(t, 'v2', modern.url, { ...options, options: { ...pinned, ...options.options } });

for (const mode of [{ pin: MODERN }, 'auto']) {
  test(`a v2 client in mode ${JSON.stringify(mode)} discovers a modern server and is modern with it`, limit, async (t) => {
    const { client } = await connected(t, { options: { versionNegotiation: { mode } } });
    assert.equal(client.getNegotiatedProtocolVersion(), MODERN);
    assert.equal(client.getServerVersion().name, 'modern');
    assert.equal(client.getInstructions(), 'Modern only.');
    assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'ok' } })), 'ok');
  });
}

test('a v2 client sees the same server through the bridge as without it', limit, async (t) => {
  const { client } = await connected(t);
  const { client: direct } = await connectDirectly(t, 'v2', modern.url, { options: pinned });
  assert.deepEqual(client.getServerCapabilities(), direct.getServerCapabilities());
  assert.deepEqual(client.getDiscoverResult(), direct.getDiscoverResult());
  for (const list of ['listTools', 'listResourceTemplates', 'listPrompts']) {
    const shown = await client[list]();
    assert.deepEqual(shown, await direct[list](), list);
    assert.ok(Object.values(shown).some((entries) => entries.length > 0), list);
  }
});

test('text of any script goes there and comes back unharmed', limit, async (t) => {
  const { client } = await connected(t);
  const text = 'Grüße, 世界 👋 \u2028 "quoted" \\ /\n\ttabbed'.repeat(10_000);
  const answer = textOf(await client.callTool({ name: 'echo', arguments: { text } }));
  assert.ok(answer === text, `${answer.length} of ${text.length} characters came back`);
});

test('arguments that a tool wants in headers are there, encoded as specified', limit, async (t) => {
  const { client } = await connected(t);
  await client.listTools();
  const query = async (args) => (await client.callTool({ name: 'query', arguments: args })).structuredContent;
  assert.deepEqual(await query({ region: 'eu-west', shard: 12, dryRun: false, tenant: { name: 'Ä & Söhne' } }), {
    'mcp-param-dry-run': 'false',
    'mcp-param-region': 'eu-west',
    'mcp-param-shard': '12',
    'mcp-param-tenant': `=?base64?${Buffer.from('Ä & Söhne').toString('base64')}?=`,
  });
  assert.deepEqual(await query({ region: ' padded ' }), {
    'mcp-param-region': `=?base64?${Buffer.from(' padded ').toString('base64')}?=`,
  });
});

test('a tool whose header declaration is invalid is left out', limit, async (t) => {
  const { client } = await connected(t);
  const names = (await client.listTools()).tools.map(({ name }) => name);
  assert.ok(names.includes('query'));
  assert.ok(!names.includes('misdeclared'), String(names));
});

test('names and addresses that are no header values still reach the server', limit, async (t) => {
  const { client } = await connected(t);
  const { messages } = await client.getPrompt({ name: 'grüße 👋' });
  assert.equal(messages[0].content.text, 'hello');
  const { contents } = await client.readResource({ uri: 'note://m%C3%BCll' });
  assert.equal(contents[0].text, 'the note müll');
});

test('an error of the server arrives as it is', limit, async (t) => {
  const { client } = await connected(t);
  const { client: direct } = await connectDirectly(t, 'v2', modern.url, { options: pinned });
  for (const wrong of [
    (client) => client.callTool({ name: 'nothing', arguments: {} }),
    (client) => client.readResource({ uri: 'nowhere://' }),
    (client) => client.getPrompt({ name: 'nothing' }),
  ]) {
    const expected = await wrong(direct).then(() => assert.fail('this is an error'), (error) => error);
    await assert.rejects(wrong(client), { code: expected.code, message: expected.message });
  }
});

test('progress arrives in order, before the answer', limit, async (t) => {
  const { client, received } = await connected(t);
  const result = await client.callTool({ name: 'count', arguments: { to: 50 } }, { onprogress() {} });
  assert.equal(textOf(result), 'counted to 50');
  assert.deepEqual(progressOf(received), [...[...Array(50).keys()].map((n) => `${n + 1}/50`), 'answer']);
});

test('sixteen calls are inside the server at once', limit, async (t) => {
  const { client } = await connected(t);
  const names = [...Array(16).keys()].map((n) => `guest ${n}`);
  const answers = await Promise.all(
    names.map(async (name) => textOf(await client.callTool({ name: 'meet', arguments: { size: 16, name } }))),
  );
  assert.deepEqual(answers, names);
});

test('cancelling a call aborts the tool on the server', limit, async (t) => {
  const { client } = await connected(t);
  const cancel = new AbortController();
  const call = client.callTool({ name: 'wait' }, { signal: cancel.signal });
  await modern.happened.first('the tool runs', (what) => what === 'a call waits');
  cancel.abort('changed my mind');
  await assert.rejects(call, /changed my mind/);
  await modern.happened.first('the tool is aborted', (what) => what === 'the call was aborted');
  assert.equal(textOf(await client.callTool({ name: 'echo', arguments: { text: 'still here' } })), 'still here');
});

test('a subscription brings the changes it asked for until it is closed', limit, async (t) => {
  const { client, notifications } = await connected(t);
  const open = modern.openSubscriptions();
  const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['note://a'] });
  assert.deepEqual(subscription.honoredFilter, { toolsListChanged: true, resourceSubscriptions: ['note://a'] });
  assert.equal(modern.openSubscriptions(), open + 1);

  modern.resourceChanges('note://b'); // not asked for
  modern.resourceChanges('note://a');
  const updated = await notifications.first('resources/updated', ({ method }) => method === 'notifications/resources/updated');
  assert.equal(updated.params.uri, 'note://a');

  modern.toolsChange();
  await notifications.first('tools/list_changed', ({ method }) => method === 'notifications/tools/list_changed');
  const { tools } = await client.listTools({}, { cacheMode: 'refresh' });
  assert.ok(tools.some(({ name }) => name === 'grown'));

  await subscription.close();
  await modern.happened.until('the subscription is closed on the server', () => modern.openSubscriptions() === open);
});

test('a call that needs input takes as many rounds as the server wants', limit, async (t) => {
  const asked = [];
  const { client } = await connected(t, {
    options: { capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} } },
    prepare(client) {
      client.setRequestHandler('elicitation/create', ({ params }) => {
        asked.push(params.message);
        return { action: 'accept', content: { place: 'Zürich' } };
      });
      client.setRequestHandler('sampling/createMessage', ({ params }) => {
        asked.push(params.messages[0].content.text);
        return { role: 'assistant', model: 'a model', content: { type: 'text', text: 'announced' } };
      });
      client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///root' }] }));
    },
  });
  const result = await client.callTool({ name: 'deploy' });
  assert.equal(textOf(result), 'round 2: Zürich; announced; file:///root');
  assert.deepEqual(asked, ['Where to?', 'Announce Zürich']);
});

test('a call without the input it needs comes back as the server left it', limit, async (t) => {
  const { client } = await connected(t, {
    options: { capabilities: { elicitation: { form: {} } }, inputRequired: { autoFulfill: false } },
  });
  const result = await client.callTool({ name: 'deploy' }, { allowInputRequired: true });
  assert.equal(result.resultType, 'input_required');
  assert.equal(result.requestState, 'round 1: ünchanged "state"');
  assert.equal(result.inputRequests.target.method, 'elicitation/create');
});

test('when the client closes, the bridge is gone at once and no stream is left', { ...limit, ...bridgeOnly }, async (t) => {
  const { client, pid, close } = await connected(t);
  const open = modern.openSubscriptions();
  await client.listen({ toolsListChanged: true });
  const started = performance.now();
  await close();
  const took = performance.now() - started;
  assert.ok(took < 1_000, `closing took ${took} ms`);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  await modern.happened.until('the subscription is closed on the server', () => modern.openSubscriptions() === open);
});

test('the server was asked for nothing but what a modern client asks', { ...limit, ...bridgeOnly }, () => {
  const others = modern.requests.items.filter(({ method, mcpMethod }) => method !== 'POST' || !mcpMethod);
  assert.deepEqual(others, []);
});
