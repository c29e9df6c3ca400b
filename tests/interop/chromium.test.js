// A whole sign-in in a real browser: Debian's Chromium, without a window, at oidc-provider's pages
// and at the page keyferry shows in the end. Screenshots are left in a temporary directory.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startOidc } from './servers/oidc-provider.js';
import { bridgeOnly, home } from './support/bridge.js';
import { startBrowser } from './support/browser.js';
import { connect } from './support/clients.js';
import { call } from './support/people.js';
import { DEADLINE_MS } from './support/waiting.js';

const limit = { timeout: 90_000, ...bridgeOnly };
const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';

let screens;
let oidc;
let browser;
before(async () => {
  if (bridgeOnly.skip) return;
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is not here. On Debian or Ubuntu: sudo apt-get install chromium; elsewhere, CHROMIUM names it`);
  }
  screens = mkdtempSync(join(tmpdir(), 'keyferry-screens-'));
  oidc = await startOidc();
  browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', // tests may run as root
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
    ],
  });
});
after(async () => {
  await browser?.close();
  await oidc?.stop();
});

/** A client that launches keyferry, and the tab that a link opens; `tab.person` is what happens in it. */
async function atTheScreen(t, colorScheme, person) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 900, height: 600 } });
  context.setDefaultTimeout(DEADLINE_MS);
  t.after(() => context.close());
  const tab = await context.newPage();
  const seen = { tab, errors: [], requests: [] };
  tab.on('pageerror', (error) => seen.errors.push(error));
  tab.on('request', (request) => seen.requests.push(new URL(request.url())));

  const where = home();
  const links = await startBrowser(where, async (link) => {
    await tab.goto(link);
    await person(tab);
  });
  t.after(async () => {
    await links.stop();
    if (links.faults.length) throw links.faults[0];
  });
  const bridge = await connect(t, 'v1', oidc.url, {
    where,
    args: ['--scope', 'openid mcp:read'],
    env: { BROWSER: links.command },
  });
  return { ...seen, links, bridge };
}

const signsIn = async (tab) => {
  await tab.getByPlaceholder('Enter any login').fill('alice');
  await tab.getByPlaceholder('and password').fill('any');
  await tab.getByRole('button', { name: 'Sign-in' }).click();
  await tab.getByRole('button', { name: 'Continue' }).click();
};

const cancels = (tab) => tab.getByRole('link', { name: '[ Cancel ]' }).click();

/** What is to be seen: text, colours, and whether it fits. */
async function seenOn(tab) {
  await tab.waitForURL(/\/oauth\/callback/);
  await tab.waitForLoadState('load');
  return tab.evaluate(() => {
    const styles = (element) => getComputedStyle(element);
    const opaque = (element) => {
      for (; element; element = element.parentElement) {
        const { backgroundColor } = styles(element);
        if (!/rgba\(.*, 0\)|transparent/.test(backgroundColor)) return backgroundColor;
      }
      return styles(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches
        ? 'rgb(18, 18, 18)' // what Chromium paints then
        : 'rgb(255, 255, 255)';
    };
    const texts = [...document.body.querySelectorAll('*')].filter((element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()),
    );
    return {
      title: document.title,
      text: document.body.innerText,
      background: opaque(document.body),
      pairs: texts.map((element) => ({ text: element.innerText, colour: styles(element).color, on: opaque(element) })),
      tooWide: document.documentElement.scrollWidth > innerWidth,
      scripts: document.scripts.length,
    };
  });
}

/** Relative luminance and contrast, WCAG 2.2. */
function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function readable(page, colorScheme) {
  assert.equal(luminance(page.background) > 0.5, colorScheme === 'light', `${page.background} in a ${colorScheme} scheme`);
  assert.ok(page.pairs.length > 0);
  for (const { text, colour, on } of page.pairs) {
    assert.ok(contrast(colour, on) >= 4.5, `"${text}": ${colour} on ${on}`);
  }
  assert.equal(page.tooWide, false, 'no scrolling sideways');
}

/** The last page needs nothing but itself. */
function selfContained(requests) {
  const callback = requests.findLastIndex((url) => url.pathname === '/oauth/callback');
  const { origin } = requests[callback];
  const elsewhere = requests.slice(callback + 1).filter((url) => url.origin !== origin && url.protocol !== 'data:');
  assert.deepEqual(elsewhere.map(String), []);
}

for (const colorScheme of ['light', 'dark']) {
  test(`login form, consent, and a page that says who is signed in where, in a ${colorScheme} scheme`, limit, async (t) => {
    const { bridge, links, tab, requests, errors } = await atTheScreen(t, colorScheme, signsIn);
    assert.equal(await call(bridge, 'whoami'), 'alice');
    const page = await seenOn(tab);
    await tab.screenshot({ path: join(screens, `signed-in-${colorScheme}.png`) });
    t.diagnostic(`screenshot in ${screens}`);
    assert.match(page.text, /signed in/i);
    assert.match(page.text, /alice/);
    assert.ok(page.text.includes(new URL(oidc.url).host), page.text);
    assert.notEqual(page.title, '');
    readable(page, colorScheme);
    selfContained(requests);
    assert.deepEqual(errors, []);
    assert.equal(links.links.items.length, 1);
  });

  test(`who cancels is not told that it went well, in a ${colorScheme} scheme`, limit, async (t) => {
    const { bridge, tab, requests } = await atTheScreen(t, colorScheme, cancels);
    await assert.rejects(call(bridge, 'whoami'), /access_denied/);
    const page = await seenOn(tab);
    await tab.screenshot({ path: join(screens, `cancelled-${colorScheme}.png`) });
    t.diagnostic(`screenshot in ${screens}`);
    assert.doesNotMatch(page.text, /\byou are signed in|success/i);
    assert.match(page.text, /access_denied|denied|cancel|declined/i);
    readable(page, colorScheme);
    selfContained(requests);
  });
}
