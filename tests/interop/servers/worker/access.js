// A worker behind Cloudflare Access, which believes no header but the signed assertion: of the
// team's keys, for this application. Who is calling is the service token's common name, or an email.
import { Hono } from 'hono';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { serve } from './mcp.js';

const app = new Hono();
let keys;

app.all('/mcp', async (c) => {
  const assertion = c.req.header('cf-access-jwt-assertion');
  if (!assertion) return c.text('not by way of Access', 403);
  keys ??= createRemoteJWKSet(new URL(`${c.env.TEAM}/cdn-cgi/access/certs`));
  try {
    const { payload } = await jwtVerify(assertion, keys, { issuer: c.env.TEAM, audience: c.env.AUDIENCE });
    return await serve(c.req.raw, assertion, payload.common_name ?? payload.email);
  } catch (error) {
    return c.text(`assertion refused: ${error.message}`, 403);
  }
});

export default app;
