// The conformance packages import fs.globSync, which Node.js has from version 22 on. They use it for
// reports that are not made here; without the name they do not even start on Node.js 20.
import * as fs from 'node:fs';
import { register } from 'node:module';

const module = (source) => `data:text/javascript,${encodeURIComponent(source)}`;

if (!fs.globSync) {
  const patched = module(
    `export * from 'node:fs'; export { default } from 'node:fs'; export const globSync = undefined;`,
  );
  register(
    module(`export const resolve = (name, context, next) =>
      name === 'fs' && /\\/conformance-[^/]+\\/dist\\//.test(context.parentURL ?? '')
        ? { url: ${JSON.stringify(patched)}, shortCircuit: true }
        : next(name, context);`),
  );
}
