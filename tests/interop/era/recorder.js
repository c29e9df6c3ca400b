// Recordings of a conversation: what passes a place, message by message, as the bytes that it was.
import { readFileSync } from 'node:fs';
import { request as send } from 'node:http';
import { join } from 'node:path';
import { listen } from '../servers/http.js';
import { bodyText } from '../servers/orchestra/score.js';

/** The messages in one direction and the other, each as its text. */
export const recording = () => ({ up: [], down: [] });

const lines = (text) => text.split('\n').filter(Boolean);

/** A way to the server on which every message is recorded. */
export async function recorder(url) {
  const { hostname, port, pathname } = new URL(url);
  const { up, down } = recording();
  const server = await listen(async (request, response) => {
    const body = await bodyText(request);
    if (body) up.push(body);
    const headers = { ...request.headers, host: `${hostname}:${port}` };
    const onward = send({ hostname, port, method: request.method, path: pathname, headers });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      const stream = /^text\/event-stream/.test(answer.headers['content-type']);
      let rest = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        rest += chunk;
        if (stream) {
          const events = rest.split('\n');
          rest = events.pop();
          down.push(...events.filter((line) => /^data: ./.test(line)).map((line) => line.slice('data: '.length)));
        }
        response.write(chunk);
      });
      answer.on('end', () => {
        if (!stream && rest) down.push(rest);
        response.end();
      });
      answer.on('error', () => response.destroy());
    });
    onward.end(body);
  });
  return { ...server, up, down };
}

/** A command that launches another one and adds what goes in and comes out to files. A client may
 * launch it more than once: SDK v2 looks for the era with a process of its own. */
export function overheard({ command, args, env }, where) {
  const [up, down] = ['up', 'down'].map((name) => join(where, name));
  return {
    launch: { command: 'sh', args: ['-c', `tee -a '${up}' | "$0" "$@" | tee -a '${down}'`, command, ...args], env },
    read: () => ({ up: lines(readFileSync(up, 'utf8')), down: lines(readFileSync(down, 'utf8')) }),
  };
}

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

/** A copy in which `change(key, value, object)` has the say about every member of an object. */
function rewritten(value, change) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => rewritten(item, change));
  const members = Object.entries(value).map(([key, member]) => [key, change(key, member, value) ?? rewritten(member, change)]);
  return Object.fromEntries(members);
}

/**
 * The messages of one side with what stands for something else by its meaning: which request a progress
 * token, a cancellation or a subscription belongs to, which question an answer, that a state is one that
 * was given. What belongs to nothing stays as it is.
 */
function meant(messages, others) {
  const method = new Map();
  const questions = new Map();
  const states = new Set();
  for (const { id, method: name, params, result } of [...messages, ...others]) {
    if (name && id !== undefined) method.set(id, name);
    if (params?._meta?.progressToken !== undefined) method.set(`progress ${params._meta.progressToken}`, name);
    for (const [key, question] of Object.entries(result?.inputRequests ?? {})) questions.set(`${result.requestState} ${key}`, question.method);
    if (result?.requestState) states.add(result.requestState);
  }
  const of = (key) => method.has(key) && `of ${method.get(key)}`;
  const byQuestion = (state, value) =>
    Object.fromEntries(Object.entries(value).map(([key, one]) => [questions.get(`${state} ${key}`) ?? key, one]));
  const change = (key, value, { requestState }) => {
    if (key === 'progressToken') return of(`progress ${value}`) || value;
    if (key === 'requestId' || key === SUBSCRIPTION) return of(value) || value;
    if (key === 'inputRequests' || key === 'inputResponses') return byQuestion(requestState, value);
    if (key === 'requestState') return states.has(value) ? 'one that was given' : value;
    return undefined;
  };
  return messages.map((message) => rewritten(message, change));
}

/**
 * A recording as exchanges: requests with their answers and notifications, of either side, each list
 * in its order. `kind` tells which of them are of one sort.
 */
export function exchanges({ up, down }) {
  const parsed = (texts) => texts.map((text) => JSON.parse(text));
  const [ours, theirs] = [parsed(up), parsed(down)];
  const [saidByUs, saidByThem] = [meant(ours, theirs), meant(theirs, ours)];
  const kind = (method, params) => [method, params?.name ?? params?.uri].filter(Boolean).join(' ');
  const requests = (from, answers) =>
    from.filter(({ id, method }) => method && id !== undefined).map(({ id, method, params }) => {
      const { result, error } = answers.find((one) => one.id === id && !one.method) ?? {};
      return { kind: kind(method, params), method, params, result, error };
    });
  const notifications = (from) =>
    from.filter(({ id, method }) => method && id === undefined).map(({ method, params }) => ({ kind: kind(method, params), method, params }));
  return {
    'requests of the client': requests(saidByUs, saidByThem),
    'notifications of the client': notifications(saidByUs),
    'requests of the server': requests(saidByThem, saidByUs),
    'notifications of the server': notifications(saidByThem),
  };
}

/** Where two values differ: `- a.b` is missing from the second, `+ a.b` from the first, `~ a.b` has changed. */
export function differences(first, second, path = '') {
  if (JSON.stringify(first) === JSON.stringify(second)) return [];
  const object = (value) => typeof value === 'object' && value !== null;
  if (!object(first) || !object(second) || Array.isArray(first) !== Array.isArray(second)) {
    if (first === undefined) return [`+ ${path}`];
    return [`${second === undefined ? '-' : '~'} ${path}`];
  }
  const keys = [...new Set([...Object.keys(first), ...Object.keys(second)])];
  const step = (key) => (Array.isArray(first) ? '[]' : `${path && '.'}${/^[\w$]+$/.test(key) ? key : `'${key}'`}`);
  return keys.flatMap((key) => differences(first[key], second[key], path + step(key)));
}

/**
 * How one conversation differs from another, by kind of message. A message that has no counterpart is
 * `+` or `-` as a whole.
 */
export function compare(first, second) {
  const found = new Set();
  for (const [list, before] of Object.entries(exchanges(first))) {
    const after = exchanges(second)[list];
    for (const [kind, one, other] of matched(before, after)) {
      if (!one || !other) found.add(`${list}: ${one ? '-' : '+'} ${kind}`);
      else for (const difference of differences(one, other)) found.add(`${list}: ${kind} ${difference}`);
    }
  }
  return [...found].sort();
}

/** Which messages were changed, lost or made up on the way from one place to the other. Streams beside
 * each other have no order among them. */
export function bytes(from, to) {
  const kind = (text) => {
    const { method, result } = JSON.parse(text);
    return method ?? (result ? 'a result' : 'an error');
  };
  const without = (texts, others) => {
    const left = [...others];
    return texts.filter((text) => {
      const at = left.indexOf(text);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  return [...without(from, to).map((text) => `- ${kind(text)}`), ...without(to, from).map((text) => `+ ${kind(text)}`)];
}

/** Pairs of the same kind: first those that are alike, then the others in their order. */
function matched(before, after) {
  const kinds = [...new Set([...before, ...after].map(({ kind }) => kind))];
  return kinds.flatMap((kind) => {
    const others = after.filter((one) => one.kind === kind);
    const ones = before.filter((one) => {
      if (one.kind !== kind) return false;
      const at = others.findIndex((other) => differences(one, other).length === 0);
      if (at >= 0) others.splice(at, 1);
      return at < 0;
    });
    return [...Array(Math.max(ones.length, others.length)).keys()].map((n) => [kind, ones[n], others[n]]);
  });
}
