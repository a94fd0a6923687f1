// Makes the static site: one script, one style sheet, the worker, the module,
// and a service worker that knows the hash of each.
//
// usage: node build_page.mjs --modules=FOLDER --package=FOLDER --out=FOLDER
//
// The modules are node_modules with typescript, esbuild and lit-html; the package
// is @monoquant/core as it is published, with monoquant.wasm inside. The same
// files give the same site, byte for byte.

import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createRequire} from 'node:module';
import * as path from 'node:path';

// Not import.meta.url: where links stand for files, as in Bazel's sandbox, that
// is another place.
const here = path.dirname(path.resolve(process.argv[1]));

function option(name) {
  const found = process.argv.find((a) => a.startsWith(`--${name}=`));
  if (found === undefined) throw new Error(`--${name}= is missing`);
  return path.resolve(found.slice(name.length + 3));
}

const modules = option('modules');
const core = option('package');
const out = option('out');
const load = (name) => createRequire(import.meta.url)(path.join(modules, name));
const esbuild = load('esbuild');

function checkTypes() {
  const ts = load('typescript');
  const config = ts.parseJsonConfigFileContent(
      ts.readConfigFile(path.join(here, 'tsconfig.json'), ts.sys.readFile)
          .config,
      ts.sys, here);
  const program = ts.createProgram(config.fileNames, {
    ...config.options,
    paths: {
      '@monoquant/core': [path.join(core, 'dist/index.d.ts')],
      'lit-html': [path.join(modules, 'lit-html/lit-html.d.ts')],
      'lit-html/*': [path.join(modules, 'lit-html/*')],
    },
    preserveSymlinks: true,
    typeRoots: [path.join(modules, '@types')],
  });
  const problems = ts.getPreEmitDiagnostics(program);
  if (problems.length === 0) return;
  console.error(ts.formatDiagnostics(problems, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => here,
    getNewLine: () => '\n',
  }));
  process.exit(1);
}

async function bundle(entry, define = {}) {
  const {outputFiles: [file]} = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    preserveSymlinks: true,
    write: false,
    outdir: out,
    legalComments: 'none',
    define: Object.fromEntries(Object.entries(define).map(
        ([name, value]) => [name, JSON.stringify(value)])),
    alias: {
      '@monoquant/core': path.join(core, 'dist/index.js'),
      'lit-html': path.join(modules, 'lit-html'),
    },
    // What only runs under Node is not reached in a browser.
    external: ['node:*'],
  });
  return Buffer.from(file.contents);
}

const hash = (bytes, algorithm, encoding) =>
    createHash(algorithm).update(bytes).digest(encoding);

const files = new Map();

/** Adds a file whose name changes with its contents; returns the name. */
function addHashed(name, bytes) {
  const {name: base, ext} = path.parse(name);
  const hashed = `${base}-${hash(bytes, 'sha256', 'hex').slice(0, 10)}${ext}`;
  files.set(hashed, bytes);
  return hashed;
}

const read = (...parts) => fs.readFileSync(path.join(here, ...parts));

checkTypes();
const worker =
    addHashed('worker.js', await bundle(path.join(core, 'dist/worker.js')));
const wasm = addHashed(
    'monoquant.wasm', fs.readFileSync(path.join(core, 'dist/monoquant.wasm')));
const script = addHashed(
    'page.js',
    await bundle(
        path.join(here, 'src/main.ts'), {MQ_WORKER: worker, MQ_WASM: wasm}));
const style =
    addHashed('page.css', await bundle(path.join(here, 'styles/page.css')));
files.set('icon.svg', read('icons/icon.svg'));
files.set('manifest.webmanifest', read('manifest.webmanifest'));
files.set(
    'index.html',
    Buffer.from(read('index.html')
                    .toString()
                    .replace('@PAGE_CSS@', style)
                    .replace('@PAGE_JS@', script)));

const list =
    [...files]
        .sort(([a], [b]) => a < b ? -1 : 1)
        .map(([name,
               bytes]) => [name, `sha256-${hash(bytes, 'sha256', 'base64')}`]);
files.set(
    'service_worker.js',
    await bundle(path.join(here, 'src/service_worker.ts'), {
      MQ_FILES: list,
      MQ_VERSION: hash(JSON.stringify(list), 'sha256', 'hex').slice(0, 16),
    }));

fs.mkdirSync(out, {recursive: true});
for (const [name, bytes] of files)
  fs.writeFileSync(path.join(out, name), bytes);
