// Every client scenario of the two conformance packages: on which wire it is run, or why it is not.
export const CLIENT_METADATA_URL = 'https://conformance-test.local/client-metadata.json';
export const AS_IT_SHOULD = 'everything came out as it should';
export const MODERN = '2026-07-28';
const HANDSHAKE = '2025-11-25';

/** Scenarios in which the server is wrong, and no sign-in may come of it. */
export const REFUSED = new Set([
  'auth/scope-retry-limit',
  'auth/resource-mismatch',
  'auth/iss-supported-missing',
  'auth/iss-wrong-issuer',
  'auth/iss-unexpected',
  'auth/iss-normalized',
  'auth/metadata-issuer-mismatch',
]);

/** What the packages list as an extension, of no revision. */
const EXTENSION = { extension: true };
const ISSUER = 'its metadata names an issuer other than the one it is served for (mended in 0.2)';
const SKILLS = 'the skills extension: what a client does with resources it has read; a bridge passes them on';

const BOTH = [
  'auth/metadata-default',
  'auth/metadata-var1',
  'auth/metadata-var2',
  'auth/metadata-var3',
  'auth/basic-cimd',
  'auth/scope-from-www-authenticate',
  'auth/scope-from-scopes-supported',
  'auth/scope-omitted-when-undefined',
  'auth/scope-step-up',
  'auth/scope-retry-limit',
  'auth/token-endpoint-auth-basic',
  'auth/token-endpoint-auth-post',
  'auth/token-endpoint-auth-none',
  'auth/pre-registration',
];

const rows = (pkg, wire, names, rest = {}) => names.map((scenario) => ({ scenario, wire, package: pkg, expected: 'pass', ...rest }));
const leftOut = (pkg, wire, names, why, rest) => rows(pkg, wire, names, { expected: `left out: ${why}`, ...rest });

const latest = { alias: 'conformance-0.1', version: '0.1.16', wires: [HANDSHAKE], passing: 25 };
const newest = { alias: 'conformance-0.2', version: '0.2.0-alpha.12', wires: [HANDSHAKE, MODERN], passing: 60 };
export const PACKAGES = [latest, newest];

/**
 * `wire` is the revision that is spoken, `expected` 'pass' or why it is left out,
 * `spec` the revision that the runner is told, where that is not the wire's.
 */
export const SCENARIOS = [
  ...rows(latest, HANDSHAKE, ['initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry', ...BOTH]),
  ...rows(latest, HANDSHAKE, [
    'auth/2025-03-26-oauth-endpoint-fallback',
    'auth/resource-mismatch',
    'auth/offline-access-scope',
    'auth/offline-access-not-supported',
  ]),
  ...leftOut(latest, HANDSHAKE, ['auth/2025-03-26-oauth-metadata-backcompat'], ISSUER),
  ...rows(
    latest,
    HANDSHAKE,
    ['auth/client-credentials-jwt', 'auth/client-credentials-basic', 'auth/cross-app-access-complete-flow'],
    EXTENSION,
  ),

  ...rows(newest, HANDSHAKE, ['initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry', ...BOTH]),
  ...rows(newest, HANDSHAKE, ['auth/2025-03-26-oauth-metadata-backcompat', 'auth/2025-03-26-oauth-endpoint-fallback'], {
    spec: '2025-03-26',
  }),
  ...rows(newest, HANDSHAKE, ['json-schema-2020-12-preservation']),
  ...rows(newest, MODERN, [
    'tools_call',
    'request-metadata',
    ...BOTH,
    'auth/resource-mismatch',
    'auth/offline-access-scope',
    'auth/offline-access-not-supported',
    'auth/authorization-server-migration',
    'auth/iss-supported',
    'auth/iss-not-advertised',
    'auth/iss-supported-missing',
    'auth/iss-wrong-issuer',
    'auth/iss-unexpected',
    'auth/iss-normalized',
    'auth/metadata-issuer-mismatch',
    'sep-2322-client-request-state',
    'http-standard-headers',
    'http-custom-headers',
    'http-invalid-tool-headers',
    'json-schema-ref-no-deref',
    'json-schema-2020-12-preservation',
  ]),
  ...rows(
    newest,
    MODERN,
    [
      'auth/client-credentials-jwt',
      'auth/client-credentials-basic',
      'auth/enterprise-managed-authorization',
      'auth/wif-jwt-bearer',
      'auth/dpop',
      'auth/dpop-nonce',
    ],
    EXTENSION,
  ),
  ...leftOut(
    newest,
    MODERN,
    [
      'sep-2640-client-no-prefetch',
      'sep-2640-client-verify-digest',
      'sep-2640-client-verify-size',
      'sep-2640-client-verify-frontmatter',
    ],
    SKILLS,
    EXTENSION,
  ),
];

/** Core scenarios of the newest package that a client of the other era has to pass as well. */
export const OTHER_ERA = SCENARIOS.filter((row) => row.package === newest && row.expected === 'pass' && !row.extension);
