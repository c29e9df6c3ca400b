// The official SDK clients, each with a bridge of its own.
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport as SseV1 } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ClientV2, SSEClientTransport as SseV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import assert from 'node:assert/strict';
import { direct as withoutBridge, home, launch } from './bridge.js';
import { DEADLINE_MS, Seen, within } from './waiting.js';

export const SDK = {
  v1: { Client: ClientV1, Stdio: StdioV1, Http: HttpV1, Sse: SseV1 },
  v2: { Client: ClientV2, Stdio: StdioV2, Http: HttpV2, Sse: SseV2 },
};

/** What is said over HTTP without keyferry: the yardstick. */
export async function connectDirectly(t, sdk, url, { options = {}, key } = {}) {
  const { Client, Http } = SDK[sdk];
  const client = new Client({ name: `interop-${sdk}`, version: '1.0.0' }, options);
  const headers = key && { Authorization: `Bearer ${key}` };
  const transport = new Http(new URL(url), { requestInit: { headers } });
  await within(DEADLINE_MS, 'the client connects directly', client.connect(transport));
  const close = async () => {
    await transport.terminateSession?.();
    await client.close();
  };
  t.after(close);
  return { client, close };
}

/**
 * A client that launches `keyferry <url> ...args` as a host would. `prepare(client)` sets its
 * handlers before it connects. `env` is what the client's configuration adds; `launched` is
 * the command instead, `direct` does without the bridge, and `sse` says that the server is one of
 * HTTP+SSE, for who asks it without. `received` holds every
 * message as it arrived, `notifications` those that no handler took; a message that the SDK could not
 * read, an answer to nothing, or one of the `secrets()` on stderr fails the test.
 */
export async function connect(t, sdk, url, { options = {}, prepare = () => {}, args = [], env = {}, where, key, name = `interop-${sdk}`, sse = false, launched, direct = withoutBridge, secrets = () => [] } = {}) {
  const { Client, Stdio, Http, Sse } = SDK[sdk];
  const client = new Client({ name, version: '1.0.0' }, options);
  const notifications = new Seen();
  const received = new Seen();
  const faults = [];
  client.fallbackNotificationHandler = async (notification) => notifications.push(notification);
  client.onerror = (error) => {
    // Both SDKs forget the token as soon as the answer is read, before they deliver the progress
    // that was read just before it.
    if (!/progress notification for an unknown token/.test(error.message)) faults.push(error);
  };
  prepare(client);

  let transport;
  let stderr = '';
  if (direct) {
    const headers = key && { Authorization: `Bearer ${key}` };
    transport = new (sse ? Sse : Http)(new URL(url), { requestInit: { headers } });
  } else {
    const command = launched ?? launch(where ?? home(), url, ...args);
    transport = new Stdio({ ...command, env: { ...command.env, ...env }, stderr: 'pipe' });
    transport.stderr.on('data', (chunk) => (stderr += chunk));
  }

  let closed;
  const close = () =>
    (closed ??= (async () => {
      if (direct) await transport.terminateSession?.();
      await client.close();
    })());
  t.after(async () => {
    await close();
    if (t.error || (!direct && faults.length)) console.error(`keyferry said on stderr, in "${t.name}":\n${stderr}`);
    if (!direct) assert.deepEqual(faults, [], 'every line on stdout is a message that was due');
    assert.deepEqual(secrets().filter((secret) => stderr.includes(secret)), [], 'no secret is on stderr');
  });
  await within(DEADLINE_MS, 'the client connects', client.connect(transport));
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    received.push(message);
    deliver(message, extra);
  };
  return { client, notifications, received, pid: transport.pid, close };
}

/** The steps of progress in the order of their arrival, and `answer` where the answer to the call came. */
export const progressOf = ({ items }) =>
  items.flatMap(({ method, params, result }) => {
    if (method === 'notifications/progress') return [`${params.progress}/${params.total}`];
    return result ? ['answer'] : [];
  });

export const textOf = (result) => result.content.find(({ type }) => type === 'text').text;
