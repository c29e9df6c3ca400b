// A browser for tests. keyferry is given a program as BROWSER; that program only hands the link to
// the test, which then does what a person would: follows redirects, fills in forms, keeps cookies.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DEADLINE_MS, Seen } from './waiting.js';

/**
 * `command` is a value for BROWSER, a program in the directory `where`. Each link opened with it is
 * in `links`, and `visit(link)` is called with it; what that returns is in `visits`, what it throws
 * in `faults`.
 */
export async function startBrowser(where, visit = follow) {
  const links = new Seen();
  const visits = new Seen();
  const faults = [];
  const server = createServer((request, response) => {
    const link = new URL(request.url, 'http://test').searchParams.get('link');
    response.end();
    links.push(link);
    Promise.resolve(visit(link)).then(
      (page) => visits.push(page),
      (error) => {
        faults.push(error);
        visits.push(error);
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const command = join(where, 'browser');
  const report = `http://127.0.0.1:${server.address().port}/?link=`;
  const program = `fetch(${JSON.stringify(report)} + encodeURIComponent(process.argv[1]))`;
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' -e '${program}' "$1"\n`);
  chmodSync(command, 0o755);
  return {
    command,
    links,
    visits,
    faults,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Opens the link in a window of its own and ends wherever the redirects lead. */
export const follow = (link) => new Window().open(link);

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'", '#x2F': '/', '#47': '/' };
const unescape = (text) => text.replace(/&(#?\w+);/g, (whole, name) => ENTITIES[name] ?? whole);

const attributes = (tag) =>
  Object.fromEntries([...tag.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)].map(
    ([, name, ...values]) => [name.toLowerCase(), unescape(values.find((value) => value !== undefined) ?? '')],
  ));

/** One request of a browser that goes to another page; fetch would say that it is a script. */
async function load(url, form, cookie) {
  const headers = { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  if (cookie) headers.cookie = cookie;
  if (form) headers['content-type'] = 'application/x-www-form-urlencoded';
  const asked = request(url, { method: form ? 'POST' : 'GET', headers, agent: false, signal: AbortSignal.timeout(DEADLINE_MS) });
  asked.end(form?.toString());
  const [response] = await once(asked, 'response');
  return { status: response.statusCode, headers: response.headers, text: await text(response) };
}

/** One browser profile: cookies per host and port, and the page it is on. */
export class Window {
  #cookies = new Map();
  /** Every address it was at, redirects included. */
  history = [];

  /** A GET, or a POST of this form. */
  async open(url, form) {
    let next = { url: new URL(url), form };
    for (let hop = 0; hop < 20; hop++) {
      this.history.push(next.url.href);
      const jar = this.#jar(next.url);
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const { status, headers, text } = await load(next.url, next.form, cookie);
      for (const line of headers['set-cookie'] ?? []) {
        const [, name, value] = /^\s*([^=;]+)=([^;]*)/.exec(line);
        if (/;\s*(max-age=0|expires=thu, 01 jan 1970)/i.test(line)) jar.delete(name);
        else jar.set(name, value);
      }
      if (!headers.location || status < 300 || status > 399) return { url: next.url, status, headers, text };
      next = { url: new URL(headers.location, next.url) };
    }
    throw new Error(`redirects without end: ${this.history.join(' ')}`);
  }

  #jar(url) {
    // RFC 6265 has one jar per host; servers here differ by port only and must not share.
    if (!this.#cookies.has(url.host)) this.#cookies.set(url.host, new Map());
    return this.#cookies.get(url.host);
  }

  /** Sends the page's form (the one that `matches`, if there are several) with these fields filled in. */
  submit(page, fields = {}, matches = () => true) {
    const forms = [...page.text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/gi)];
    const form = forms.find(([whole]) => matches(whole));
    assert.ok(form, `a form at ${page.url}:\n${page.text.slice(0, 2_000)}`);
    const { action = '', method = 'get' } = attributes(form[1]);
    const filled = new URLSearchParams();
    for (const [, tag] of form[2].matchAll(/<input([^>]*)>/gi)) {
      const { name, value = '', type } = attributes(tag);
      if (name && type !== 'submit' && !(name in fields)) filled.set(name, value);
    }
    for (const [name, value] of Object.entries(fields)) filled.set(name, value);
    const target = new URL(action, page.url);
    if (method.toLowerCase() === 'post') return this.open(target, filled);
    target.search = filled;
    return this.open(target);
  }
}
