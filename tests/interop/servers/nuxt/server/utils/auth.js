// Better Auth with its API keys, in memory.
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';

export const auth = betterAuth({
  baseURL: 'http://127.0.0.1',
  secret: 'of no worth, but of thirty-two characters',
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], apikey: [] }),
  emailAndPassword: { enabled: true },
  plugins: [apiKey({ rateLimit: { enabled: false } })],
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
});

/** The person whose API key came with the request, if it is one. */
export async function callerOf(event) {
  const key = /^Bearer (.+)$/.exec(getHeader(event, 'authorization') ?? '')?.[1];
  if (!key) return undefined;
  const { valid, key: known } = await auth.api.verifyApiKey({ body: { key } });
  if (!valid) return undefined;
  const { internalAdapter } = await auth.$context;
  return internalAdapter.findUserById(known.referenceId);
}
