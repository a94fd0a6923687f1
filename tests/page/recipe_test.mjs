// What is chosen is what is done: fields keep what is typed, the estimate is
// the size of the file, recipes can be saved and loaded, patterns keep tensors
// as they are; and files come in by dropping too.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {
  monoquantSha256, newFolder, requireChromium, until, withPage,
} from './harness.mjs';
import {writeSparseSafetensors} from './sparse_checkpoints.mjs';

requireChromium();

const model = path.join(newFolder('inputs'), 'model.safetensors');
writeSparseSafetensors(model, 9e7);

// The exact number behind the estimate.
async function estimatedBytes(tab) {
  assert.ok(await tab.planned());
  return Number(await tab.control('estimate').first().getAttribute(
      'data-bytes'));
}

test('a field keeps what is typed', () => withPage(async (tab) => {
  await tab.inspect(model);
  // What else can be chosen is still being found out while somebody types.
  await tab.choose('granularity', 'group');
  const field = tab.control('group-size');
  await field.focus();
  await tab.page.keyboard.type('32', {delay: 300});
  await tab.page.waitForTimeout(1500);
  assert.equal(await field.inputValue(), '32');
  await tab.page.keyboard.press('Tab');
  assert.match(await tab.copiedCommand(), /\b32\b/);
}));

for (const settings of [
  {},
  {scheme: 'int4', granularity: 'group', 'group-size': 64},
  {scheme: 'nf4', 'output-format': 'torch'},
  {scheme: 'bf16'},
]) {
  const name = JSON.stringify(settings);
  test(`the estimate is the size of the file: ${name}`, () => withPage(
      async (tab) => {
        await tab.inspect(model, settings);
        const bytes = await estimatedBytes(tab);
        assert.ok(bytes > 0 && bytes < fs.statSync(model).size);
        await tab.finish();
        const [file] = await tab.download();
        assert.equal(fs.statSync(file.path).size, bytes);
      }));
}

test('a recipe is saved and loaded', () => withPage(async (tab, browser) => {
  await tab.inspect(model, {scheme: 'int4', granularity: 'group'});
  await tab.control('skip-add').fill('*.0.*');
  await tab.control('skip-add').press('Enter');
  const command = await tab.copiedCommand();
  assert.match(command, /int4/);
  assert.match(command, /\*\.0\.\*/);
  const saved = await tab.save('save-recipe');
  const other = await browser.newTab();
  await other.inspect(model);
  assert.notEqual(await other.copiedCommand(), command);
  await other.give('load-recipe', saved);
  await until('the same command', async () => (
      await other.copiedCommand()) === command);
}));

test('what is no recipe changes nothing', () => withPage(async (tab) => {
  const file = path.join(newFolder('inputs'), 'broken.json');
  fs.writeFileSync(file, '{"defaults": ');
  await tab.inspect(model, {scheme: 'int4'});
  const command = await tab.copiedCommand();
  await tab.give('load-recipe', file);
  await until('message', () => tab.page.evaluate(
      () => document.body.innerText.includes('broken.json')));
  assert.equal(await tab.copiedCommand(), command);
}));

test('a pattern keeps tensors as they are', () => withPage(async (tab) => {
  await tab.inspect(model, {'output-format': 'safetensors'});
  const before = await estimatedBytes(tab);
  await tab.control('skip-add').fill('*.layers.1.*');
  await tab.control('skip-add').press('Enter');
  await until('a larger estimate', async () => (
      await estimatedBytes(tab)) > before);
  await tab.finish();
  const [file] = await tab.download();
  assert.equal(file.sha256, await monoquantSha256([
    'quantize', model, '--to', 'safetensors', '--skip', '*.layers.1.*',
  ]));
}));

// Runs in the page: drops the files of an input anywhere.
function drop(input) {
  const transfer = new DataTransfer();
  for (const file of input.files) transfer.items.add(file);
  for (const type of ['dragenter', 'dragover', 'drop']) {
    document.body.dispatchEvent(new DragEvent(
        type, {bubbles: true, cancelable: true, dataTransfer: transfer}));
  }
}

test('files are dropped, and others after them', () => withPage(async (tab) => {
  const input = await tab.page.evaluateHandle(() => {
    const made = document.createElement('input');
    made.type = 'file';
    return made;
  });
  await input.setInputFiles(model);
  assert.equal(
      await tab.after(() => input.evaluate(drop), 'inspect', 'error'),
      'inspect');
  const broken = path.join(newFolder('inputs'), 'broken.pt');
  fs.writeFileSync(broken, 'no checkpoint');
  await input.setInputFiles(broken);
  assert.equal(
      await tab.after(() => input.evaluate(drop), 'inspect', 'error'), 'error');
  await input.setInputFiles(model);
  await tab.after(() => input.evaluate(drop), 'inspect');
  await tab.finish();
}));

test('the example needs no file', () => withPage(async (tab) => {
  await tab.after(() => tab.control('example').click(), 'inspect');
  await tab.finish();
  assert.equal((await tab.download()).length, 1);
}));
