// Files of more than 4 GiB, which no tab could hold: they are quantized to the
// bytes of the command line, within a gigabyte of memory for the tab and 64 MB
// for each module.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {
  monoquantSha256, newFolder, requireChromium, sleep, withPage,
} from './harness.mjs';
import {rendererPeakBytes} from './processes.mjs';
import {
  writeSparseSafetensors, writeSparseTorchZip,
} from './sparse_checkpoints.mjs';
import {WATCH_MEMORY, wasmBytes} from './worker_memory.mjs';

requireChromium();

const BYTES = 4.5e9;
const MAX_TAB_BYTES = 1e9;
const MAX_WASM_BYTES = 64e6;

// The most memory of a module while `running` has not ended.
async function mostMemory(tab, running) {
  let most = 0;
  let ended = false;
  running.finally(() => ended = true).catch(() => {});
  while (!ended) {
    most = Math.max(most, ...await wasmBytes(tab));
    await sleep(200);
  }
  return most;
}

for (const [name, write] of [
  ['model.safetensors', writeSparseSafetensors],
  ['model.pt', writeSparseTorchZip],
]) {
  test(name, async () => {
    const folder = newFolder('big');
    const input = path.join(folder, name);
    write(input, BYTES);
    assert.ok(fs.statSync(input).size > 2 ** 32);
    const expected = await monoquantSha256(
        ['quantize', input, '--to', 'safetensors']);
    await withPage(async (tab) => {
      await tab.inspect(input, {'output-format': 'safetensors'});
      const running = tab.finish();
      const moduleBytes = await mostMemory(tab, running);
      await running;
      assert.deepEqual(await tab.shownSha256(), [expected]);
      const [file] = await tab.download();
      assert.equal(file.sha256, expected);
      fs.rmSync(file.path);
      const tabBytes = rendererPeakBytes();
      console.log(`${name}: tab ${Math.round(tabBytes / 1e6)} MB, ` +
                  `module ${Math.round(moduleBytes / 1e6)} MB`);
      assert.ok(moduleBytes > 1e6, 'the memory of no module was seen');
      assert.ok(moduleBytes <= MAX_WASM_BYTES, `module: ${moduleBytes}`);
      assert.ok(tabBytes > 1e7, 'the memory of no tab was seen');
      assert.ok(tabBytes <= MAX_TAB_BYTES, `the tab took ${tabBytes}`);
      await tab.after(() => tab.control('again').click(), 'empty', 'inspect');
      await tab.page.reload();
      await tab.ready();
      await tab.nothingStored();
    }, WATCH_MEMORY);
    fs.rmSync(folder, {recursive: true});
  });
}
