// A worker behind API keys: KV has the SHA-256 of each, whose it is, and when it ends. No key is a
// bare 401, a wrong or expired one a bare 403: neither WWW-Authenticate nor any .well-known.
import { Hono } from 'hono';
import { serve } from './mcp.js';

const app = new Hono();

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

app.use('*', async (c, next) => {
  const key = c.req.header('x-api-key') ?? /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
  if (!key) return c.text('API key missing', 401);
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  const known = await c.env.KEYS.get(hex(digest), 'json');
  if (!known) return c.text('API key unknown', 403);
  if (known.expires < Date.now()) return c.text('API key expired', 403);
  c.set('key', key);
  c.set('identity', known.identity);
  await next();
});

app.all('/mcp', (c) => serve(c.req.raw, c.get('key'), c.get('identity')));

export default app;
