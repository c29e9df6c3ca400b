// The SDK v1 client, keyferry, and server-everything: revision 2025-11-25 with sessions.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { gunzipSync } from 'node:zlib';
import { startEverything } from './servers/everything.js';
import { bridgeOnly } from './support/bridge.js';
import { connect, connectDirectly, progressOf, textOf } from './support/clients.js';
import { Seen } from './support/waiting.js';

const limit = { timeout: 60_000 };

let everything;
before(async () => (everything = await startEverything()));
after(() => everything?.stop());

/** A client for whom the server's own messages have a stream to come on: without one, the server drops them. */
async function connectListening(t, options) {
  const streams = (lines) => lines.filter((line) => line.startsWith('Establishing new SSE stream')).length;
  const before = streams(everything.said.items);
  const connected = await connect(t, 'v1', everything.url, options);
  await everything.said.until('the GET stream is open', (lines) => streams(lines) > before);
  return connected;
}

test('a v1 client sees the same server through the bridge as without it', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const { client: direct } = await connectDirectly(t, 'v1', everything.url);

  assert.equal(client.getServerVersion().name, 'mcp-servers/everything');
  assert.match(client.getInstructions(), /everything/i);
  assert.deepEqual(client.getServerVersion(), direct.getServerVersion());
  assert.deepEqual(client.getServerCapabilities(), direct.getServerCapabilities());
  assert.equal(client.getInstructions(), direct.getInstructions());
  for (const list of ['listTools', 'listResources', 'listResourceTemplates', 'listPrompts']) {
    const shown = await client[list]();
    assert.deepEqual(shown, await direct[list](), list);
    assert.ok(Object.values(shown)[0].length > 0, list);
  }
  assert.deepEqual(await client.ping(), {});
});

test('what a server registers upon "initialized" is there for the very next message', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { sampling: {}, roots: {}, elicitation: {} } },
    prepare: (client) => client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] })),
  });
  const names = (await client.listTools()).tools.map(({ name }) => name);
  for (const name of ['trigger-sampling-request', 'trigger-elicitation-request', 'get-roots-list']) {
    assert.ok(names.includes(name), name);
  }
});

test('tool calls bring back text, numbers, pictures, structure and errors', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const call = (name, args = {}) => client.callTool({ name, arguments: args });

  const message = 'Grüße, 世界 👋 \u2028 "quoted" \\ /\n\ttabbed';
  assert.equal(textOf(await call('echo', { message })), `Echo: ${message}`);
  assert.match(textOf(await call('get-sum', { a: 2, b: 40 })), /\b42\b/);

  const image = (await call('get-tiny-image')).content.find(({ type }) => type === 'image');
  assert.equal(Buffer.from(image.data, 'base64').subarray(1, 4).toString(), 'PNG');

  const weather = await call('get-structured-content', { location: 'Chicago' });
  assert.equal(typeof weather.structuredContent.temperature, 'number');

  const annotated = await call('get-annotated-message', { messageType: 'error', includeImage: false });
  assert.ok(annotated.content[0].annotations.priority > 0);

  const refused = await call('get-sum', { a: 'two', b: 40 });
  assert.equal(refused.isError, true);
  await assert.rejects(client.readResource({ uri: 'demo://nothing' }), { code: -32602, message: /demo:\/\/nothing/ });
});

test('a megabyte goes there and comes back unharmed', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const message = 'größer als ein Puffer, '.repeat(45_000);
  const answer = textOf(await client.callTool({ name: 'echo', arguments: { message } }));
  assert.ok(answer === `Echo: ${message}`, `${answer.length} characters came back`);
});

test('progress arrives while a long call runs', limit, async (t) => {
  const { client, received } = await connect(t, 'v1', everything.url);
  const first = new Seen();
  const result = client.callTool(
    { name: 'trigger-long-running-operation', arguments: { duration: 0.5, steps: 5 } },
    undefined,
    { onprogress: () => first.push('heard') },
  );
  await first.first('the client hears of progress before there is an answer');
  assert.ok(!progressOf(received).includes('answer'));
  assert.match(textOf(await result), /completed/);
  assert.deepEqual(progressOf(received), ['1/5', '2/5', '3/5', '4/5', '5/5', 'answer']);
});

test('resources are read as text and as bytes', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const [text] = (await client.readResource({ uri: 'demo://resource/dynamic/text/1' })).contents;
  assert.match(text.text, /^Resource 1/);
  const [blob] = (await client.readResource({ uri: 'demo://resource/dynamic/blob/2' })).contents;
  assert.match(Buffer.from(blob.blob, 'base64').toString(), /^Resource 2/);
});

test('a subscribed resource is reported when it changes', limit, async (t) => {
  const { client, notifications } = await connectListening(t);
  const uri = 'demo://resource/dynamic/text/7';
  await client.subscribeResource({ uri });
  await client.callTool({ name: 'toggle-subscriber-updates' });
  const updated = await notifications.first('resources/updated', ({ method }) => method === 'notifications/resources/updated');
  assert.equal(updated.params.uri, uri);
  await client.callTool({ name: 'toggle-subscriber-updates' });
  await client.unsubscribeResource({ uri });
});

test('a resource that a call adds is announced and can be read', limit, async (t) => {
  const { client, notifications } = await connectListening(t);
  const result = await client.callTool({
    name: 'gzip-file-as-resource',
    arguments: { name: 'note.gz', data: 'data:text/plain,packed', outputType: 'resourceLink' },
  });
  await notifications.first('resources/list_changed', ({ method }) => method === 'notifications/resources/list_changed');
  const { uri } = result.content[0];
  assert.ok((await client.listResources()).resources.some((resource) => resource.uri === uri));
  const [{ blob }] = (await client.readResource({ uri })).contents;
  assert.equal(gunzipSync(Buffer.from(blob, 'base64')).toString(), 'packed');
});

test('prompts are filled in and their arguments completed', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const { messages } = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Köln', state: 'NRW' } });
  assert.equal(messages[0].content.text, "What's weather in Köln, NRW?");

  const embedded = await client.getPrompt({
    name: 'resource-prompt',
    arguments: { resourceType: 'Text', resourceId: '3' },
  });
  assert.match(embedded.messages[1].content.resource.text, /^Resource 3/);

  const ref = { type: 'ref/prompt', name: 'completable-prompt' };
  const department = await client.complete({ ref, argument: { name: 'department', value: 'S' } });
  assert.deepEqual(department.completion.values, ['Sales', 'Support']);
  const name = await client.complete({
    ref,
    argument: { name: 'name', value: '' },
    context: { arguments: { department: 'Sales' } },
  });
  assert.deepEqual(name.completion.values, ['David', 'Eve', 'Frank']);
});

test('the logging level that the client sets decides what it is told', limit, async (t) => {
  const { client, notifications } = await connectListening(t);
  await client.setLoggingLevel('error');
  await client.subscribeResource({ uri: 'demo://quiet' });
  await client.setLoggingLevel('debug');
  await client.subscribeResource({ uri: 'demo://spoken' });
  await notifications.first('the log message', ({ method }) => method === 'notifications/message');
  const logged = notifications.items.filter(({ method }) => method === 'notifications/message');
  assert.equal(logged.length, 1);
  assert.match(logged[0].params.data, /demo:\/\/spoken/);
});

test('the server asks the client for a completion and gets it', limit, async (t) => {
  const asked = [];
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { sampling: {} } },
    prepare: (client) =>
      client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
        asked.push(params.messages[0].content.text);
        return { role: 'assistant', model: 'a model', content: { type: 'text', text: 'sampled: schön' } };
      }),
  });
  const result = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'say it' } });
  assert.match(textOf(result), /sampled: schön/);
  assert.equal(asked.length, 1);
  assert.match(asked[0], /say it/);
});

test('an error of the client is the error that the server sees', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { sampling: {} } },
    prepare: (client) =>
      client.setRequestHandler(CreateMessageRequestSchema, () => {
        throw Object.assign(new Error('no model today'), { code: -1 });
      }),
  });
  const result = await client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'say it' } });
  assert.equal(result.isError, true);
  assert.match(textOf(result), /no model today/);
});

test('the server asks a person through the client, who accepts, declines or cancels', limit, async (t) => {
  const answers = [{ action: 'accept', content: { name: 'Zoë', check: true } }, { action: 'decline' }, { action: 'cancel' }];
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { elicitation: { form: {} } } },
    prepare: (client) => client.setRequestHandler(ElicitRequestSchema, () => answers.shift()),
  });
  const ask = async () => (await client.callTool({ name: 'trigger-elicitation-request' })).content.map(({ text }) => text).join('\n');
  assert.match(await ask(), /Name: Zoë/);
  assert.match(await ask(), /declined/);
  assert.match(await ask(), /cancelled/);
});

test('an error that wants a link opened keeps its code and its link', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { elicitation: { url: {} } } },
    prepare: (client) => client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' })),
  });
  const call = () =>
    client.callTool({
      name: 'trigger-url-elicitation',
      arguments: { url: 'https://example.com/consent', message: 'Please', elicitationId: 'one', errorPath: true },
    });
  await assert.rejects(call(), (error) => {
    assert.equal(error.code, -32042);
    assert.equal(error.data.elicitations[0].url, 'https://modelcontextprotocol.io');
    return true;
  });
  assert.match(textOf(await call()), /completed the URL elicitation/);
});

test('the server asks for the roots, and again when they change', limit, async (t) => {
  const roots = [{ uri: 'file:///first', name: 'first' }];
  const { client, notifications } = await connectListening(t, {
    options: { capabilities: { roots: { listChanged: true } } },
    prepare: (client) => client.setRequestHandler(ListRootsRequestSchema, () => ({ roots })),
  });
  const heard = (count) =>
    notifications.first(`${count} roots received`, ({ params }) => String(params?.data).startsWith(`Roots updated: ${count} `));

  assert.match(textOf(await client.callTool({ name: 'get-roots-list' })), /file:\/\/\/first/);
  await heard(1);
  roots.push({ uri: 'file:///zweite', name: 'second' });
  await client.sendRootsListChanged();
  await heard(2);
  assert.match(textOf(await client.callTool({ name: 'get-roots-list' })), /file:\/\/\/zweite/);
});

test('a task runs on its own, asks in between and is fetched when it is done', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url, {
    options: { capabilities: { elicitation: { form: {} }, tasks: { list: {}, cancel: {} } } },
    prepare: (client) =>
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { interpretation: 'snake' } })),
  });
  await client.listTools(); // the SDK learns here that the tool is a task
  const seen = [];
  let report;
  const call = { name: 'simulate-research-query', arguments: { topic: 'python', ambiguous: true } };
  for await (const step of client.experimental.tasks.callToolStream(call, undefined, { task: { ttl: 60_000 } })) {
    assert.notEqual(step.type, 'error', String(step.error));
    seen.push(step.type === 'taskStatus' ? step.task.status : step.type);
    if (step.type === 'result') report = textOf(step.result);
  }
  assert.equal(seen[0], 'taskCreated');
  assert.ok(seen.includes('working'), String(seen));
  assert.match(report, /python \(snake\)/);
});

test('sixteen calls at once each get their own answer', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const numbers = [...Array(16).keys()];
  const answers = await Promise.all(
    numbers.map(async (n) => textOf(await client.callTool({ name: 'get-sum', arguments: { a: n, b: 1000 } }))),
  );
  answers.forEach((answer, n) => assert.match(answer, new RegExp(`\\b${n + 1000}\\b`)));
});

test('a cancelled call is over for the client, and the session goes on', limit, async (t) => {
  const { client } = await connect(t, 'v1', everything.url);
  const cancel = new AbortController();
  const progress = new Seen();
  const call = client.callTool(
    { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 20 } },
    undefined,
    { signal: cancel.signal, onprogress: () => progress.push('step') },
  );
  await progress.first('the call runs');
  cancel.abort('changed my mind');
  await assert.rejects(call, /changed my mind/);
  assert.match(textOf(await client.callTool({ name: 'get-sum', arguments: { a: 1, b: 1 } })), /\b2\b/);
});

test('when the client closes, the bridge is gone at once and the server has no session left', { ...limit, ...bridgeOnly }, async (t) => {
  const before = everything.sessionsEverOpened();
  const { client, pid, close } = await connect(t, 'v1', everything.url);
  await client.listTools();

  const started = performance.now();
  await close();
  const took = performance.now() - started;
  // The SDK sends SIGTERM only after 2 s.
  assert.ok(took < 1_000, `closing took ${took} ms`);
  assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  await everything.noSessionLeft();
  assert.equal(everything.sessionsEverOpened() - before, 1, 'one session per client');
});
