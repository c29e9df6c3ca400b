// Better Auth as the authorization server of an MCP server on the same origin, in memory.
// 1.6: its `mcp` plugin in front of SDK v1 with sessions; opaque tokens, whoever asks may register.
// 1.7: `@better-auth/mcp` in front of SDK v2, 2026-07-28 only as its readme wants; JWTs for the
// resource, an issuer with a path, registration only because it is switched on here.
import { mcp as mcp17, requireMcpAuth } from '@better-auth/mcp';
import { betterAuth as betterAuth17 } from 'better-auth';
import { memoryAdapter as memory17 } from 'better-auth/adapters/memory';
import { getAuthTables as tables17 } from 'better-auth/db';
import { jwt } from 'better-auth/plugins';
import { betterAuth as betterAuth16 } from 'better-auth-1.6';
import { memoryAdapter as memory16 } from 'better-auth-1.6/adapters/memory';
import { getAuthTables as tables16 } from 'better-auth-1.6/db';
import { mcp as mcp16, oAuthDiscoveryMetadata, oAuthProtectedResourceMetadata, withMcpAuth } from 'better-auth-1.6/plugins';
import { Seen } from '../support/waiting.js';
import { listenFetch, page } from './http.js';
import { membersV1, membersV2 } from './members.js';

const PASSWORD = 'correct horse battery';
const emailOf = (name) => `${name}@example.test`;

const common = (origin, database) => ({
  baseURL: origin,
  secret: 'of no worth, but of thirty-two characters',
  database,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
});

/** An empty database for the memory adapter: an array for each model of these plugins. */
const tables = (getAuthTables, plugins) =>
  Object.fromEntries(Object.entries(getAuthTables({ plugins })).flatMap(([key, { modelName }]) => [[key, []], [modelName, []]]));

function version16(origin, { tokenSeconds }) {
  const oidcConfig = { consentPage: `${origin}/consent`, accessTokenExpiresIn: tokenSeconds, requirePKCE: true };
  const plugins = [mcp16({ loginPage: `${origin}/login`, resource: `${origin}/mcp`, oidcConfig })];
  const auth = betterAuth16({ ...common(origin, memory16(tables(tables16, plugins))), plugins });
  const members = membersV1();
  return {
    auth,
    wellKnown: {
      '/.well-known/oauth-authorization-server': oAuthDiscoveryMetadata(auth),
      '/.well-known/oauth-protected-resource': oAuthProtectedResourceMetadata(auth),
    },
    mcp: withMcpAuth(auth, async (request, session) => {
      const { internalAdapter } = await auth.$context;
      const { email } = await internalAdapter.findUserById(session.userId);
      return members(request, { token: session.accessToken, clientId: session.clientId, scopes: session.scopes.split(' '), identity: email });
    }),
    consent: (query) => ({ accept: true, consent_code: query.get('consent_code') }),
  };
}

function version17(origin, { tokenSeconds }) {
  const resource = `${origin}/mcp`;
  const plugins = [
    jwt(),
    mcp17({
      loginPage: `${origin}/login`,
      consentPage: `${origin}/consent`,
      resource,
      scopes: ['openid', 'profile', 'email', 'offline_access', 'mcp:read'],
      accessTokenExpiresIn: tokenSeconds,
      refreshTokenReuseInterval: 0, // an old refresh token shown again is a theft
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
    }),
  ];
  const auth = betterAuth17({ ...common(origin, memory17(tables(tables17, plugins))), plugins });
  const members = membersV2();
  return {
    auth,
    wellKnown: {},
    mcp: requireMcpAuth(
      auth,
      async (request, claims) => {
        const { internalAdapter } = await auth.$context;
        const { email } = await internalAdapter.findUserById(claims.sub);
        const token = request.headers.get('authorization').slice('Bearer '.length);
        return members(request, { token, clientId: claims.azp ?? claims.client_id, scopes: claims.scope.split(' '), identity: email });
      },
      { resource, requiredScopes: ['mcp:read'] },
    ),
    signedQuery: true,
    consent: (query) => ({ accept: true, oauth_query: query.toString() }),
  };
}

/** `people` have accounts. `tokenSeconds`: how long an access token lives. */
export async function startBetterAuth(version, people, { tokenSeconds = 3600 } = {}) {
  const requests = new Seen(); // { method, path, status, grant }
  let setup;
  const server = await listenFetch(async (request) => {
    const { pathname } = new URL(request.url);
    const form = pathname.endsWith('/token') ? new URLSearchParams(await request.clone().text()) : undefined;
    const response = await answer(request);
    requests.push({ method: request.method, path: pathname, status: response.status, grant: form?.get('grant_type') });
    return response;
  });
  const { origin } = server;
  setup = (version === '1.6' ? version16 : version17)(origin, { tokenSeconds });
  for (const name of people) {
    await setup.auth.api.signUpEmail({ body: { name, email: emailOf(name), password: PASSWORD } });
  }

  async function answer(request) {
    const url = new URL(request.url);
    const { pathname, searchParams, search } = url;
    if (pathname === '/mcp') return setup.mcp(request);
    const document = setup.wellKnown[pathname];
    if (document) return document(request);
    if (pathname === '/login' && request.method === 'GET') {
      return page('Sign in', `<form method="post" action="/login${search.replaceAll('&', '&amp;')}"><input name="email" type="email"><input name="password" type="password"><button>Sign in</button></form>`);
    }
    if (pathname === '/login') {
      const { email, password } = Object.fromEntries(await request.formData());
      const query = setup.signedQuery ? { oauth_query: searchParams.toString() } : {};
      return onward(await relay(request, '/sign-in/email', { email, password, ...query }));
    }
    if (pathname === '/consent' && request.method === 'GET') {
      return page('Allow access?', `<p>Scopes: ${searchParams.get('scope')}</p><form method="post" action="/consent${search.replaceAll('&', '&amp;')}"><button>Allow</button></form>`);
    }
    if (pathname === '/consent') return onward(await relay(request, '/oauth2/consent', setup.consent(searchParams)));
    return setup.auth.handler(request);
  }

  /** What the page's script would send. */
  const relay = (request, path, body) =>
    setup.auth.handler(
      new Request(`${origin}/api/auth${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', origin, cookie: request.headers.get('cookie') ?? '' },
        body: JSON.stringify(body),
      }),
    );

  /** And where it would go then. */
  async function onward(response) {
    const said = await response.clone().json().catch(() => ({}));
    const location = response.headers.get('location') ?? said.redirectURI ?? said.redirect_uri ?? said.url;
    if (!location) return response;
    const headers = new Headers({ location });
    for (const cookie of response.headers.getSetCookie()) headers.append('set-cookie', cookie);
    return new Response(null, { status: 302, headers });
  }

  return { ...server, requests };
}

/** What a person does with the pages: signs in, agrees. `seen` hears the title of each page. */
export const person =
  (name, seen = () => {}) =>
  async (window, page) => {
    for (let pages = 0; pages < 5; pages++) {
      const title = /<h1>(.*?)<\/h1>/.exec(page.text)?.[1];
      if (title === 'Sign in') page = await window.submit(page, { email: emailOf(name), password: PASSWORD });
      else if (title === 'Allow access?') page = await window.submit(page);
      else return page;
      seen(title);
    }
    throw new Error(`pages without end at ${page.url}`);
  };
