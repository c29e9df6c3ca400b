// Cloudflare Access as it stands in front of an application: nothing gets by without a service
// token (both headers) or the cookie of a person who signed in; all else, metadata included, is
// sent to the team's login page, which is HTML with status 200. What gets by carries a signed
// assertion of who it is. The team's pages and keys have an origin of their own.
import { once } from 'node:events';
import { request as forward } from 'node:http';
import { exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { Seen } from '../support/waiting.js';
import { json, listen, listenFetch, page } from './http.js';

const COOKIE = 'CF_Authorization';
const AUTHORIZED = '/cdn-cgi/access/authorized';
const AUDIENCE = 'the-application-that-is-protected';

const cookieOf = (request) => new RegExp(`\\b${COOKIE}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];

/** The team's own origin: its keys, and a page where people sign in by email. */
function startTeam(publicKey, cookieFor) {
  return listenFetch(async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === '/cdn-cgi/access/certs') return json({ keys: [{ ...publicKey, kid: 'of-the-team', alg: 'RS256', use: 'sig' }] });
    if (!pathname.startsWith('/cdn-cgi/access/login/')) return page('Not found', '', 404);
    if (request.method === 'GET') return page('Sign in - Cloudflare Access', '<form method="post"><input name="email" type="email"><button>Sign in</button></form>');
    const email = (await request.formData()).get('email');
    const onward = new URL(AUTHORIZED, searchParams.get('redirect_url'));
    onward.search = new URLSearchParams({ token: await cookieFor(email), redirect_url: searchParams.get('redirect_url') });
    return new Response(null, { status: 302, headers: { location: onward.href } });
  });
}

/**
 * `tokens` maps the client id of each service token to its secret. `cookieSeconds`: how long the
 * cookie lives that comes with the first answer. What is let by goes where `protect` said.
 */
export async function startAccess(tokens, { cookieSeconds = 60 } = {}) {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const requests = new Seen(); // { method, path, headers, status, identity }
  let team;
  let route;

  const sign = (claims, seconds) =>
    new SignJWT({ type: 'app', ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'of-the-team' })
      .setIssuer(team.origin)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(privateKey);
  team = await startTeam(await exportJWK(publicKey), (email) => sign({ sub: `id of ${email}`, email }, cookieSeconds));

  /** Who is calling, with the assertion that says so, if Access knows them. */
  async function caller(request) {
    const { 'cf-access-client-id': id, 'cf-access-client-secret': secret } = request.headers;
    if (id && tokens[id] === secret) {
      const claims = { sub: '', common_name: id };
      return { identity: id, assertion: await sign(claims, 60), cookie: cookieOf(request) ? undefined : await sign(claims, cookieSeconds) };
    }
    const assertion = cookieOf(request);
    try {
      const { payload } = await jwtVerify(assertion ?? '', publicKey, { issuer: team.origin, audience: AUDIENCE });
      return { identity: payload.email ?? payload.common_name, assertion };
    } catch {
      return undefined;
    }
  }

  const setCookie = (token) => `${COOKIE}=${token}; HttpOnly; SameSite=Lax; Path=/`;

  const edge = await listen(async (request, response) => {
    const url = new URL(request.url, `http://${request.headers.host}`);
    if (url.pathname === AUTHORIZED) {
      const { token, redirect_url: location } = Object.fromEntries(url.searchParams);
      return void response.writeHead(302, { location, 'set-cookie': setCookie(token) }).end();
    }
    const known = await caller(request);
    const seen = { method: request.method, path: url.pathname, headers: request.headers, identity: known?.identity };
    response.on('close', () => requests.push({ ...seen, status: response.statusCode }));
    if (!known) {
      const login = new URL(`/cdn-cgi/access/login/${url.hostname}`, team.origin);
      login.search = new URLSearchParams({ kid: AUDIENCE, redirect_url: url.href });
      return void response.writeHead(302, { location: login.href, 'cache-control': 'private, no-store' }).end();
    }

    const { 'cf-access-client-id': id, 'cf-access-client-secret': secret, ...headers } = request.headers;
    headers['cf-access-jwt-assertion'] = known.assertion;
    const onward = forward(new URL(request.url, route(url.pathname)), { method: request.method, headers });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
    const [answer] = await once(onward, 'response');
    const cookies = [...(answer.headers['set-cookie'] ?? []), ...(known.cookie ? [setCookie(known.cookie)] : [])];
    response.writeHead(answer.statusCode, { ...answer.headers, ...(cookies.length && { 'set-cookie': cookies }) });
    response.flushHeaders();
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  });

  return {
    ...edge,
    team: team.origin,
    audience: AUDIENCE,
    requests,
    /** `to` gives the origin that stands behind a path. */
    protect: (to) => (route = to),
    async stop() {
      await edge.stop();
      await team.stop();
    },
  };
}

/** What a person does at the team's login page; whatever comes after it is for `act`. */
export const member = (email, act) => async (window, page) => {
  if (/<h1>Sign in - Cloudflare Access/.test(page.text)) page = await window.submit(page, { email });
  return act(window, page);
};
