// What can go wrong in the middle: somebody cancels, reloads or opens a second
// tab; the file changes; the storage is full or there is none; a worker dies.
// Each ends at once, says what happened, and leaves nothing behind.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {
  monoquantSha256, newFolder, requireChromium, until, withPage,
} from './harness.mjs';
import {writeSparseSafetensors} from './sparse_checkpoints.mjs';

requireChromium();

const MAX_CANCEL_SECONDS = 1;
// A worker that says nothing may wait for a slow drive, for a while.
const MAX_SILENT_SECONDS = 90;

const folder = newFolder('inputs');
// A run of it takes some seconds.
const large = path.join(folder, 'large.safetensors');
writeSparseSafetensors(large, 2e9);
const small = path.join(folder, 'small.safetensors');
writeSparseSafetensors(small, 9e7);
const smallSha256 = await monoquantSha256(
    ['quantize', small, '--to', 'safetensors']);

const TO = {'output-format': 'safetensors'};

// A tab that works makes the right bytes of another file.
async function stillWorks(tab) {
  await tab.inspect(small, TO);
  await tab.finish();
  const [file] = await tab.download();
  assert.equal(file.sha256, smallSha256);
}

// What a browser or a bug says.
const INTERNALS = new RegExp([
  '\\[object', 'undefined', 'NaN', '\\bnull\\b', 'Error:', 'INTERNAL',
  'DOMException', '\\bat .*:\\d+', 'permission problems',
].join('|'));

// A person reads this: a sentence, what to do, and nothing of the insides.
function checkMessage(message, ...parts) {
  for (const part of parts) assert.match(message, part);
  assert.doesNotMatch(message, INTERNALS);
}

for (const percent of [10, 50, 90]) {
  test(`cancelled at ${percent} %`, () => withPage(async (tab) => {
    await tab.inspect(large, TO);
    await tab.runTo(percent / 100);
    assert.notDeepEqual(await tab.stored(), []);
    const begin = performance.now();
    const state = await tab.after(
        () => tab.control('cancel').click(), 'inspect', 'result', 'error');
    const seconds = (performance.now() - begin) / 1000;
    assert.equal(state, 'inspect', await tab.errorOrNothing());
    assert.ok(seconds < MAX_CANCEL_SECONDS, `${seconds} s`);
    assert.deepEqual(await tab.stored(), []);
    await stillWorks(tab);
  }));
}

test('a reload in the middle', () => withPage(async (tab) => {
  await tab.inspect(large, TO);
  await tab.runTo(0.3);
  assert.notDeepEqual(await tab.stored(), []);
  await tab.page.reload();
  await tab.ready();
  await tab.nothingStored();
  await stillWorks(tab);
}));

test('two tabs do not fight', () => withPage(async (first, browser) => {
  await first.inspect(large, TO);
  await first.runTo(0.1);
  // The second begins by removing what is left behind, and that is nothing.
  const second = await browser.newTab();
  await second.inspect(large, TO);
  const ends = await Promise.all([
    first.state('result', 'error'), second.run(),
  ]);
  assert.deepEqual(
      ends, ['result', 'result'],
      `${await first.errorOrNothing()} ${await second.errorOrNothing()}`);
  const hashes = [await first.shownSha256(), await second.shownSha256()];
  const expected = await monoquantSha256(
      ['quantize', large, '--to', 'safetensors']);
  assert.deepEqual(hashes, [[expected], [expected]]);
  // What one has made is there as long as the other begins anew.
  await second.page.reload();
  await second.ready();
  const [file] = await first.download();
  assert.equal(file.sha256, expected);
}));

for (const [what, change] of [
  ['changed', (file) => fs.appendFileSync(file, 'x')],
  ['removed', (file) => fs.unlinkSync(file)],
]) {
  test(`the file is ${what}`, () => withPage(async (tab) => {
    const file = path.join(newFolder('moved'), 'victim.safetensors');
    writeSparseSafetensors(file, 2e9);
    await tab.inspect(file, TO);
    await tab.runTo(0.2);
    change(file);
    assert.equal(await tab.state('result', 'error'), 'error');
    checkMessage(await tab.error(), /victim\.safetensors/,
                 /changed or (was )?removed while it was read/);
    await tab.nothingStored();
    await stillWorks(tab);
  }));

  test(`the file is ${what} before the run`, () => withPage(async (tab) => {
    const file = path.join(newFolder('moved'), 'victim.safetensors');
    writeSparseSafetensors(file, 2e8);
    await tab.inspect(file, TO);
    change(file);
    assert.equal(await tab.run(), 'error');
    checkMessage(await tab.error(), /victim\.safetensors/,
                 /changed or (was )?removed while it was read/);
    await tab.nothingStored();
    await stillWorks(tab);
  }));
}

test('the storage is full', () => withPage(async (tab, browser) => {
  const session = await browser.context.newCDPSession(tab.page);
  await tab.inspect(large, TO);
  const quota = (quotaSize) => session.send(
      'Storage.overrideQuotaForOrigin', {origin: browser.origin, quotaSize});
  await quota(5e7);
  assert.equal(await tab.run(), 'error');
  // How much it needs, as a number with a unit.
  checkMessage(await tab.error(), /\d\s*(MB|GB|MiB|GiB)/, /storage|space/i);
  await tab.nothingStored();
  await quota(undefined);
  await stillWorks(tab);
}));

// Somebody who blocks the data of sites has no private file system.
const NO_STORAGE = {
  preferences: {profile: {default_content_setting_values: {cookies: 2}}},
  // A service worker is refused too, and Chromium says so.
  except: /service ?worker|storage/i,
};

test('no storage: a small output', () => withPage(async (tab) => {
  assert.equal(
      await tab.page.evaluate(() => navigator.storage.getDirectory().then(
          () => 'there', () => 'none')), 'none');
  await stillWorks(tab);
}, NO_STORAGE));

test('no storage: an output of more than 1 GiB', () => withPage(async (tab) => {
  const file = path.join(newFolder('huge'), 'huge.safetensors');
  writeSparseSafetensors(file, 4.8e9);
  await tab.inspect(file, TO);
  assert.equal(await tab.run(), 'error');
  checkMessage(await tab.error(), /\d\s*(MB|GB|MiB|GiB)/, /storage|memory/i);
  await stillWorks(tab);
}, NO_STORAGE));

for (const [what, kill, except] of [
  ['ends', () => { self.close(); }, undefined],
  ['fails', () => { setTimeout(() => { throw new Error('out of order'); }); },
   /out of order/],
]) {
  for (const which of ['first', 'last']) {
    test(`the ${which} worker ${what}`, () => withPage(async (tab) => {
      await tab.inspect(large, TO);
      await tab.runTo(0.1);
      const workers = tab.page.workers();
      assert.notEqual(workers.length, 0);
      const victim = workers[which === 'first' ? 0 : workers.length - 1];
      await victim.evaluate(kill);
      const state = await until('end of the run', async () => {
        const now = await tab.now();
        return now === 'result' || now === 'error' ? now : null;
      }, () => tab.moving(), MAX_SILENT_SECONDS);
      if (which === 'last' || state === 'error') {
        assert.equal(state, 'error');
        checkMessage(await tab.error(), /worker|stopped/i);
        await tab.nothingStored();
      }
      // Else it was the one that had opened the file, which the run needs no
      // more, and the next use starts another.
      await stillWorks(tab);
    }, {except}));
  }
}
