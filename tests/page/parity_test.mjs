// The same bytes in the browser, under Node and from the command line: every
// scheme and format, and published checkpoints; a part of them by several
// workers. And that is what a person gets: by the download, and by the command
// line that the page copies.

import assert from 'node:assert/strict';
import {execFile, execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';
import {pathToFileURL} from 'node:url';
import {promisify} from 'node:util';

import {folderOf} from './arguments.mjs';
import {
  newFolder, option, pathOf, requireChromium, sha256Of, until, withBrowser,
} from './harness.mjs';
import {packageEntry} from './package_entry.mjs';

requireChromium();

const inputs = newFolder('inputs');
const {stdout, stderr} = await promisify(execFile)(
    pathOf('cases'), [inputs, pathOf('monoquant')],
    {env: {...process.env, TMPDIR: newFolder('native')}, maxBuffer: 2 ** 30});
process.stdout.write(stderr);
// By hand, a part of it: --only=nf4.
const only = option('only', '');
const work = JSON.parse(stdout).map(({input, cases}) => ({
  input, cases: cases.filter(({name}) => name.includes(only)),
})).filter(({cases}) => cases.length > 0);
const packageFolder = folderOf('package');
const here = path.dirname(new URL(import.meta.url).pathname);
const serve = {
  '/test/package/': packageFolder,
  '/test/in_page/': path.join(here, 'in_page'),
};

// To start workers takes longer than these outputs do: a part of them must do
// for several, the first output of each input with it.
const CASES_BETWEEN = 12;

const forSeveral = ({input, cases}) => ({
  input, cases: cases.filter((_, i) => i % CASES_BETWEEN === 0),
});

// Two inputs at a time, since most of a small output is waiting for a worker.
async function eachInput(part, act) {
  const rest = part.values();
  const lane = async () => {
    for (const one of rest) await act(one);
  };
  await Promise.all([lane(), lane()]);
}

// What is found of one case against what the command line made.
function compare(expected, found, name) {
  if (expected.error !== undefined) {
    assert.ok(found.error !== undefined, `${name}: no error`);
    // The command line names the path that it was given.
    const reason = expected.error.split(': ').pop();
    assert.ok(found.error.includes(reason), `${name}: ${found.error}`);
    return;
  }
  assert.equal(found.error, undefined, name);
  if (!expected.directory) {
    assert.deepEqual(found.outputs.map(([, sha256]) => sha256),
                     expected.outputs.map(([, sha256]) => sha256), name);
    return;
  }
  assert.deepEqual(Object.fromEntries(found.outputs),
                   Object.fromEntries(expected.outputs), name);
}

// All of them, so that a failure says how many are wrong.
function compareAll(cases, found) {
  assert.equal(found.length, cases.length);
  const wrong = [];
  cases.forEach((one, i) => {
    try {
      compare(one, found[i], one.name);
    } catch (error) {
      wrong.push(error.message);
    }
  });
  const rest = wrong.length > 5 ? `... and ${wrong.length - 5} more` : '';
  assert.equal(wrong.length, 0, [...wrong.slice(0, 5), rest].join('\n'));
}

test('there is enough to compare', () => {
  const count = work.reduce((sum, {cases}) => sum + cases.length, 0);
  console.log(`${count} outputs of ${work.length} inputs`);
  if (only) return;
  assert.ok(count >= 500);
  assert.ok(new Set(work.flatMap(({cases}) => cases.flatMap(
      ({outputs = []}) => outputs.map(([, sha256]) => sha256)))).size >= 400);
});

// One output of the package under Node: {outputs} or {error}.
async function underNode(checkpoint, {request, chunkBytes}, options) {
  let plan;
  let files;
  try {
    plan = await checkpoint.plan(request);
    ({files} = await plan.run({chunkBytes, ...options}).result);
  } catch (error) {
    return {error: error.message};
  } finally {
    plan?.close();
  }
  return {outputs: await Promise.all(files.map(async (file) => {
    assert.equal(file.sha256, await sha256Of(file.path));
    return [file.name, file.sha256];
  }))};
}

test('Node', async () => {
  const {open} = await import(pathToFileURL(path.join(
      packageFolder, packageEntry(packageFolder, 'node'))).href);
  await eachInput(work, async ({input, cases}) => {
    const named = input.main ? path.join(input.path, input.main) : input.path;
    const checkpoint = await open(named);
    const all = [];
    for (const i of cases.keys()) {
      const folder = newFolder('node');
      const found = await underNode(checkpoint, cases[i], {
        sink: path.join(folder, 'output'),
        workers: i % CASES_BETWEEN === 0 ? 2 : 1,
      });
      if (found.error) assert.deepEqual(fs.readdirSync(folder), []);
      all.push(found);
      fs.rmSync(folder, {recursive: true});
    }
    checkpoint.close();
    compareAll(cases, all);
  });
});

// All cases of one input in the browser: [{outputs} or {error}].
async function inBrowser(page, {input, cases}, options) {
  const script = '/test/in_page/quantize.mjs';
  const element = await page.evaluateHandle((directory) => {
    const made = document.createElement('input');
    made.type = 'file';
    made.webkitdirectory = directory;
    return made;
  }, input.directory);
  await element.setInputFiles(input.path);
  const finding = page.evaluate(async ({script, ...request}) => {
    const {runCases} = await import(script);
    return runCases(request);
  }, {
    script, input: element, main: input.main, directory: input.directory,
    packageUrl: `/test/package/${packageEntry(packageFolder, 'browser')}`,
    cases, options,
  });
  let ended = false;
  finding.catch(() => {}).finally(() => ended = true);
  const done = () => page.evaluate(
      async (script) => (await import(script)).progress.done, script);
  await until(`outputs of ${input.path}`, () => ended, done);
  return finding;
}

test('the browser', (t) => withBrowser(async (browser) => {
  const {page} = await browser.newTab();
  const check = (part, options) => eachInput(part, async (one) => {
    compareAll(one.cases, await inBrowser(page, one, options));
  });
  // All of them as quickly as it goes; what is stored is for the others.
  await t.test(
      '1 worker', () => check(work, {workers: 1, sink: 'memory'}));
  for (const workers of [1, 2, 3]) {
    await t.test(
        `${workers} workers, stored`,
        () => check(work.map(forSeveral), {workers, sink: 'opfs'}));
  }
  await t.test('leaves nothing behind', async () => {
    const tab = await browser.newTab();
    await tab.nothingStored();
  });
}, {extra: serve}));

// Runs a command line as somebody would who pasted it beside the input, and
// returns the files that were not there before: [[name, sha256]].
async function pasted(command, input, extra = []) {
  const folder = newFolder('pasted');
  fs.cpSync(input, path.join(folder, path.basename(input)), {recursive: true});
  for (const file of extra) {
    fs.copyFileSync(file, path.join(folder, path.basename(file)));
  }
  const before = new Set(fs.readdirSync(folder));
  const programs = newFolder('bin');
  fs.symlinkSync(pathOf('monoquant'), path.join(programs, 'monoquant'));
  execFileSync('bash', ['-c', command], {
    cwd: folder, stdio: ['ignore', 'ignore', 'inherit'],
    env: {...process.env, PATH: `${programs}:${process.env.PATH}`},
  });
  const made = fs.readdirSync(folder).filter((name) => !before.has(name));
  assert.equal(made.length, 1, `${command} made ${made}`);
  const output = path.join(folder, made[0]);
  const files = fs.statSync(output).isDirectory() ?
      fs.readdirSync(output).sort().map((name) => path.join(output, name)) :
      [output];
  return Promise.all(files.map(
      async (file) => [path.basename(file), await sha256Of(file)]));
}

const model = (name) => path.join(inputs, name);
const BY_HAND = [
  {name: 'what is set at first', input: model('F32.safetensors')},
  // Whose rows are whole groups.
  {name: 'int4 in groups',
   input: path.join(model('no_config'), 'model.safetensors'),
   recipe: {scheme: 'int4', granularity: 'group', 'group-size': 32}},
  {name: 'nf4 for torch', input: model('BF16.safetensors'),
   recipe: {scheme: 'nf4', 'output-format': 'torch'}},
  {name: 'fp8 by channel', input: model('F64.safetensors'),
   recipe: {scheme: 'fp8_e4m3', granularity: 'axis'}},
  {name: 'a directory for an engine', input: model('shards'), directory: true,
   recipe: {'output-format': 'gptq'}},
];

// One output as a person makes it, and as the copied command line does.
async function byHand(tab, {input, directory, recipe = {}}) {
  const state = await tab.open(
      input, directory ? 'directory-input' : 'file-input');
  assert.equal(state, 'inspect', await tab.errorOrNothing());
  await tab.recipe(recipe);
  const command = await tab.copiedCommand();
  const saved = [];
  if (/--recipe /.test(command) && !command.includes('<<')) {
    saved.push(await tab.save('save-recipe'));
  }
  await tab.finish();
  const files = await tab.download();
  const shown = await tab.shownSha256();
  for (const file of files) {
    assert.ok(shown.includes(file.sha256), `${file.name}: not as shown`);
  }
  const native = await pasted(command, input, saved);
  if (!directory) {
    assert.deepEqual([[files[0].name, files[0].sha256]], native, command);
    return;
  }
  assert.deepEqual(
      Object.fromEntries(files.map(({name, sha256}) => [name, sha256])),
      Object.fromEntries(native), command);
}

test('by hand', (t) => withBrowser(async (browser) => {
  for (const one of BY_HAND) {
    await t.test(one.name, async () => {
      const tab = await browser.newTab();
      await byHand(tab, one);
      await tab.page.close();
    });
  }
}));
