// Whatever a file is, the page says so, or reads it right: never a hang, a dead
// tab or a raw exception; and the next file works. Every file of the corpus of
// tests/hostile, through the page's controls, in one tab.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as readline from 'node:readline';
import test from 'node:test';

import {
  monoquantSha256, newFolder, option, pathOf, requireChromium, until, withPage,
} from './harness.mjs';
import {writeSparseSafetensors} from './sparse_checkpoints.mjs';

requireChromium();

// Bazel runs parts of this test side by side.
const shard = process.env.TEST_SHARD_INDEX ?? '0';
const shards = process.env.TEST_TOTAL_SHARDS ?? '1';
if (process.env.TEST_SHARD_STATUS_FILE) {
  fs.writeFileSync(process.env.TEST_SHARD_STATUS_FILE, '');
}
const only = option('only', '');

const MIN_CASES = 300;
// Between two looks at whether a good file still works.
const CASES_BETWEEN = 50;

// Texts that belong to a bug or to a library, not to a user.
const INTERNALS = new RegExp([
  'INVALID_ARGUMENT', 'DATA_LOSS', 'INTERNAL:', 'RET_CHECK', 'absl', 'std::',
  'nlohmann', 'unreachable', '\\.cc:', 'RuntimeError', 'TypeError',
  'RangeError', 'DOMException', 'bug in monoquant', '\\[object', 'undefined',
].join('|'));

async function* corpus() {
  const maker = spawn(
      pathOf('hostile'),
      [path.join(newFolder('hostile'), 'case'), shard, shards],
      {stdio: ['pipe', 'pipe', 'inherit']});
  const lines = readline.createInterface({input: maker.stdout});
  const answers = lines[Symbol.asyncIterator]();
  try {
    for (;;) {
      maker.stdin.write('\n');
      const {value, done} = await answers.next();
      assert.ok(!done, 'the maker of files ended');
      const found = JSON.parse(value);
      if (found === null) return;
      yield found;
    }
  } finally {
    maker.stdin.end();
  }
}

const good = path.join(newFolder('good'), 'good.safetensors');
writeSparseSafetensors(good, 4.5e7);
const goodSha256 = await monoquantSha256(
    ['quantize', good, '--to', 'safetensors']);

async function checkGood(tab) {
  await tab.inspect(good, {'output-format': 'safetensors'});
  await tab.finish();
  assert.deepEqual(await tab.shownSha256(), [goodSha256]);
}

async function checkMessage(tab) {
  const message = await tab.error();
  assert.ok(message.length > 10 && message.length < 4000, message);
  assert.doesNotMatch(message, INTERNALS);
  // Nothing of the file reaches the screen as it is.
  assert.doesNotMatch(message, /[\x00-\x08\x0b-\x1f\x7f]/);
  return message;
}

// Gives a recipe to the page: whether it was taken.
async function loadRecipe(tab, recipe) {
  const isSaid = () => tab.page.evaluate(() => {
    const text = document.body.innerText;
    return /is no recipe/.test(text) ? 'refused' :
        /is loaded/.test(text) ? 'taken' : null;
  });
  await tab.give('load-recipe', recipe);
  return await until('answer to the recipe', isSaid) === 'taken';
}

// What the browser itself takes away: of a folder without files, or with links
// and pipes alone, there is nothing to open, a mark at the beginning of a text is
// no part of it, and its JSON has the last of two keys.
const OF_THE_BROWSER = [
  'dcp_metadata_to_itself', 'directory_empty', 'directory_of_links',
  'index_is_a_pipe_of_names', 'recipe_bom', 'recipe_duplicate', 'recipe_utf16',
];

// How the page took it: 'read' or 'refused'.
async function tryCase(tab, one) {
  const state = one.directory ? await tab.openDirectory(one.paths[0]) :
                                await tab.open(one.paths);
  if (state === 'error') {
    await checkMessage(tab);
    return 'refused';
  }
  if (one.recipe && !await loadRecipe(tab, one.recipe)) return 'refused';
  if (!await tab.planned()) {
    await checkMessage(tab);
    return 'refused';
  }
  // Opening does not look at what is not needed yet.
  if (one.outcome !== 'error') return 'read';
  if (await tab.run() === 'result') return 'read';
  const message = await checkMessage(tab);
  if (one.paths.length === 1) {
    assert.ok(message.includes(one.mentions), message);
  }
  return 'refused';
}

async function checkCase(tab, one) {
  const found = await tryCase(tab, one);
  if (one.outcome === 'ok' && found !== 'read') {
    assert.fail(`it was refused: ${await tab.error()}`);
  }
  if (one.outcome === 'error') assert.equal(found, 'refused');
  assert.deepEqual(tab.browser.problems.splice(0), []);
  // A recipe stays for the next file.
  if (one.recipe) await tab.goto();
  return found;
}

test('the corpus', () => withPage(async (tab) => {
  const wrong = [];
  const outcomes = {read: 0, refused: 0};
  let count = 0;
  for await (const one of corpus()) {
    if (!one.name.includes(only)) continue;
    if (OF_THE_BROWSER.includes(one.name)) continue;
    try {
      ++outcomes[await checkCase(tab, one)];
    } catch (error) {
      wrong.push(`${one.name} (${one.outcome}): ${error.message}`);
      console.log(wrong[wrong.length - 1]);
      assert.ok(wrong.length < 20, 'and so on');
      // A tab that hangs is no reason not to try the others.
      await tab.goto();
    }
    if (++count % CASES_BETWEEN === 0) {
      await checkGood(tab);
    }
  }
  console.log(`${count} files: ${JSON.stringify(outcomes)}`);
  assert.deepEqual(wrong, []);
  assert.ok(only || count * shards >= MIN_CASES);
  await checkGood(tab);
}));
