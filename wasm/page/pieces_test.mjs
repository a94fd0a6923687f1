// Runs src/pieces_test.ts under Node.
//
// usage: node pieces_test.mjs --modules=NODE_MODULES --package=PACKAGE

import * as fs from 'node:fs';
import {createRequire} from 'node:module';
import * as os from 'node:os';
import * as path from 'node:path';
import {pathToFileURL} from 'node:url';

const here = path.dirname(path.resolve(process.argv[1]));
const folderOf = (name) => path.resolve(
    process.argv.find((a) => a.startsWith(`--${name}=`))
        .slice(`--${name}=`.length));
const modules = folderOf('modules');
const esbuild = createRequire(import.meta.url)(path.join(modules, 'esbuild'));

const folder =
    fs.mkdtempSync(path.join(process.env.TEST_TMPDIR ?? os.tmpdir(), 'page-'));
const script = path.join(folder, 'pieces_test.mjs');
await esbuild.build({
  entryPoints: [path.join(here, 'src/pieces_test.ts')],
  bundle: true,
  format: 'esm',
  platform: 'node',
  preserveSymlinks: true,
  outfile: script,
  alias: {'@monoquant/core': path.join(folderOf('package'), 'dist/index.js')},
});
await import(pathToFileURL(script).href);
process.on('exit', () => fs.rmSync(folder, {recursive: true, force: true}));
