// How much is sent for the page, as a host that compresses sends it: brotli at
// its best, as static files are compressed once.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';
import * as zlib from 'node:zlib';

import {folderOf} from './arguments.mjs';
import {requireChromium, withPage} from './harness.mjs';

const KB = 1000;
// What a host sends; docs/performance.md says of what the module is made.
const MAX_WASM = 300 * KB;
const MAX_CODE = 80 * KB;
const MAX_FIRST_VIEW = 100 * KB;

function brotliSize(file) {
  const bytes = fs.readFileSync(file);
  return zlib.brotliCompressSync(bytes, {params: {
    [zlib.constants.BROTLI_PARAM_QUALITY]: 11,
    [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  }}).length;
}

function files(folder) {
  return fs.readdirSync(folder, {withFileTypes: true}).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    return entry.isDirectory() ? files(file) : [file];
  });
}

const dist = folderOf('dist');
const sizes = new Map(files(dist).map((file) => [
  `/${path.relative(dist, file)}`, brotliSize(file)]));

function total(pattern) {
  let sum = 0;
  for (const [name, size] of sizes) {
    if (!pattern.test(name)) continue;
    console.log(`${String(size).padStart(8)}  ${name}`);
    sum += size;
  }
  return sum;
}

test('the module', () => {
  const size = total(/\.wasm$/);
  assert.ok(size > 0);
  assert.ok(size <= MAX_WASM, `${size} bytes`);
});

test('scripts and styles', () => {
  const size = total(/\.(m?js|css)$/);
  assert.ok(size > 0);
  assert.ok(size <= MAX_CODE, `${size} bytes`);
});

test('no source map, no source', () => {
  assert.deepEqual([...sizes.keys()].filter(
      (name) => /\.(map|ts|tsx|mts)$/.test(name)), []);
});

test('the first view', async () => {
  requireChromium();
  await withPage(async (tab) => {
    // Before anything else: what the document needs to be seen and used.
    const page = await tab.browser.context.newPage();
    const asked = new Set();
    page.on('request', (request) => {
      asked.add(new URL(request.url()).pathname);
    });
    await tab.page.close();
    // As at a first visit: nothing is answered from what was stored.
    const session = await tab.browser.context.newCDPSession(page);
    await session.send('Network.enable');
    await session.send('Network.setBypassServiceWorker', {bypass: true});
    await page.goto(`${tab.browser.origin}/`, {waitUntil: 'load'});
    let size = 0;
    for (const name of asked) {
      const bytes = sizes.get(name === '/' ? '/index.html' : name);
      assert.ok(bytes !== undefined, name);
      console.log(`${String(bytes).padStart(8)}  ${name}`);
      size += bytes;
    }
    assert.ok(asked.size >= 2);
    assert.ok(size < MAX_FIRST_VIEW, `${size} bytes`);
  });
});
