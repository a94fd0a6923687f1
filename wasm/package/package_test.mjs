// The package under Node: equal bytes for any number of workers, progress,
// cancelling, errors, workers that die.
//
// usage: node package_test.mjs PACKAGE MONOQUANT VERSION_H
//
// PACKAGE is the directory of the package, MONOQUANT the native program,
// VERSION_H is core/version.h.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test, {after} from 'node:test';
import {pathToFileURL} from 'node:url';

import {floatTensor, safetensorsFile} from '../testing/checkpoints.mjs';

const [packagePath, nativePath, versionPath] =
    process.argv.slice(2).map((name) => path.resolve(name));
const urlOf = (name) => pathToFileURL(path.join(packagePath, name)).href;
const {about, cleanUp, MonoquantError, open} =
    await import(urlOf('dist/index.js'));

const temporary = fs.mkdtempSync(
    path.join(process.env.TEST_TMPDIR ?? fs.realpathSync('.'), 'package-'));

const TENSORS = [
  floatTensor('layers.0.up.weight', [1024, 512], 1),
  floatTensor('layers.0.up.bias', [1024], 2),
  floatTensor('layers.1.down.weight', [512, 1024], 3),
  floatTensor('layers.2.conv.weight', [64, 32, 5, 5], 4),
  floatTensor('embedding.weight', [600, 64], 5),
];

function freshDirectory() {
  return fs.mkdtempSync(path.join(temporary, 'd-'));
}

function writeModel(tensors = TENSORS) {
  const file = path.join(freshDirectory(), 'm.safetensors');
  fs.writeFileSync(file, safetensorsFile(tensors));
  return file;
}

// A directory of two shards, with a configuration and a tokenizer.
function writeModelDirectory() {
  const model = path.join(freshDirectory(), 'model');
  fs.mkdirSync(model);
  const write = (name, content) =>
      fs.writeFileSync(path.join(model, name), content);
  const shards =
      ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const weightMap = {};
  TENSORS.forEach(({name}, i) => weightMap[name] = shards[i < 2 ? 0 : 1]);
  write(shards[0], safetensorsFile(TENSORS.slice(0, 2)));
  write(shards[1], safetensorsFile(TENSORS.slice(2)));
  write(
      'model.safetensors.index.json', JSON.stringify({weight_map: weightMap}));
  write('config.json', '{"model_type": "x"}');
  write('tokenizer.json', '{"a": 1}');
  return model;
}

function sha256(file) {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

// What a promise is rejected with, checked for its code.
async function fails(promise, code, ...parts) {
  let error;
  try {
    await promise;
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof MonoquantError, String(error));
  assert.equal(error.code, code, error.message);
  assert.ok(error.exitCode > 0);
  for (const part of parts) {
    assert.ok(error.message.includes(part), error.message);
  }
  return error;
}

test('has the version of the program', async () => {
  const {version} = JSON.parse(
      fs.readFileSync(path.join(packagePath, 'package.json'), 'utf8'));
  const [, expected] =
      /kVersion\[\] = "(.*)"/.exec(fs.readFileSync(versionPath, 'utf8'));
  assert.equal(version, expected);
  assert.equal((await about()).version, expected);
});

test('opens, plans and runs', async () => {
  const input = writeModel();
  const checkpoint = await open(input);
  assert.equal(checkpoint.info.container, 'safetensors');
  assert.deepEqual(
      checkpoint.tensors.map(({name}) => name),
      TENSORS.map(({name}) => name));
  const plan = await checkpoint.plan(
      {format: 'torch', recipe: {defaults: 'int8'}});
  assert.equal(plan.info.settled, true);
  checkpoint.close();

  const sink = path.join(freshDirectory(), 'out.pt');
  const run = plan.run({sink, workers: 1, chunkBytes: 65536});
  let last = null;
  for await (const progress of run) {
    if (last !== null && last.phase === progress.phase) {
      assert.ok(progress.bytesDone >= last.bytesDone);
    }
    assert.ok(progress.bytesDone <= progress.bytesTotal);
    assert.ok(progress.seconds > 0);
    last = progress;
  }
  assert.equal(last.phase, 'hash');
  assert.equal(last.bytesDone, last.bytesTotal);
  assert.ok(last.sqnrDb > 20 && last.sqnrDb < 60, `${last.sqnrDb} dB`);

  const result = await run.result;
  assert.deepEqual(result.files, [{
    name: 'out.pt',
    bytes: fs.statSync(sink).size,
    copied: false,
    sha256: sha256(sink),
    path: sink,
  }]);
  assert.equal(result.bytesOut, plan.info.output.bytes);
  assert.equal(
      result.bytesIn, TENSORS.reduce((sum, {bytes}) => sum + bytes.length, 0));
  assert.ok(result.results.tensors.length > 0);
  assert.ok(result.seconds > 0);
  const output = await result.open();
  assert.ok(output.info.quantization.tensors.length > 0);
  await result.dispose();
  await cleanUp();
});

test('gives the bytes of the command line with any number of workers',
     async () => {
  const input = writeModel();
  const checkpoint = await open(input);
  const cases = [
    ['int8', []],
    ['int4', ['--type', 'int4']],
    ['int8,tensor', ['--granularity', 'tensor']],
    ['nf4', ['--type', 'nf4']],
  ];
  for (const [defaults, flags] of cases) {
    const native = path.join(freshDirectory(), 'out.safetensors');
    execFileSync(
        nativePath, ['quantize', input, '-o', native, '-q', ...flags]);
    const expected = sha256(native);
    const plan =
        await checkpoint.plan({format: 'safetensors', recipe: {defaults}});
    for (const workers of [1, 2, 3]) {
      for (const chunkBytes of [65536, undefined]) {
        const sink = path.join(freshDirectory(), 'out.safetensors');
        const run = plan.run({sink, workers, chunkBytes});
        let share = 0;
        for await (const {phase, bytesDone, bytesTotal} of run) {
          if (phase === 'run') share = bytesDone / bytesTotal;
        }
        const {files, results} = await run.result;
        assert.equal(files[0].sha256, expected, `${defaults}, ${workers}`);
        assert.equal(sha256(sink), expected);
        assert.ok(share > 0 && share <= 1);
        assert.ok(results.tensors.length >= 3);
      }
    }
  }
  checkpoint.close();
});

test('writes directories with any number of workers', async () => {
  const input = writeModelDirectory();
  const native = path.join(freshDirectory(), 'out');
  execFileSync(
      nativePath,
      ['quantize', input, '-o', native, '-q', '--to', 'compressed-tensors']);
  const checkpoint = await open(input);
  const plan = await checkpoint.plan({format: 'compressed-tensors'});
  assert.equal(plan.info.output.directory, true);
  for (const workers of [1, 2, 3]) {
    const sink = path.join(freshDirectory(), 'out');
    const {files} = await plan.run({sink, workers, chunkBytes: 65536}).result;
    assert.deepEqual(
        fs.readdirSync(sink).sort(), fs.readdirSync(native).sort());
    for (const {name, sha256: digest, path: where, copied} of files) {
      assert.equal(where, path.join(sink, name));
      assert.equal(digest, sha256(where));
      assert.equal(digest, sha256(path.join(native, name)), name);
      assert.equal(copied, name === 'tokenizer.json');
    }
  }
  checkpoint.close();
});

// Large enough to be in the middle of something.
const LARGE = {
  name: 'w',
  dtype: 'F32',
  shape: [8192, 4096],
  bytes: new Uint8Array(2 ** 27),
};

test('a run that is cancelled leaves nothing', async () => {
  const checkpoint = await open(writeModel([LARGE]));
  const plan = await checkpoint.plan({format: 'torch'});
  for (const workers of [1, 3]) {
    for (const phase of ['run', 'hash']) {
      const directory = freshDirectory();
      const controller = new AbortController();
      const run = plan.run({
        sink: path.join(directory, 'out.pt'),
        workers,
        signal: controller.signal,
      });
      let abortedAt = 0;
      await assert.rejects(
          async () => {
            for await (const progress of run) {
              if (progress.phase !== phase || abortedAt !== 0) continue;
              abortedAt = performance.now();
              controller.abort();
            }
          },
          {name: 'AbortError'});
      await assert.rejects(run.result, {name: 'AbortError'});
      assert.ok(performance.now() - abortedAt < 1500);
      assert.deepEqual(fs.readdirSync(directory), []);
    }
  }
  // Before it has begun.
  const directory = freshDirectory();
  const run = plan.run({
    sink: path.join(directory, 'out.pt'),
    signal: AbortSignal.abort(),
  });
  await assert.rejects(run.result, {name: 'AbortError'});
  assert.deepEqual(fs.readdirSync(directory), []);
  // And the same plan can be run still.
  const sink = path.join(directory, 'out.pt');
  await plan.run({sink}).result;
  assert.deepEqual(fs.readdirSync(directory), ['out.pt']);
  checkpoint.close();
});

test('plans can be closed before and after their checkpoint', async () => {
  const checkpoint = await open(writeModel());
  const plans = [
    await checkpoint.plan({format: 'torch'}),
    await checkpoint.plan({format: 'torch'}),
  ];
  // What is not caught ends the test.
  plans[0].close();
  checkpoint.close();
  plans[1].close();
  plans[1].close();
  await new Promise((resolve) => setTimeout(resolve, 50));
});

test('leaving the loop does not end the run', async () => {
  const checkpoint = await open(writeModel());
  const plan = await checkpoint.plan({format: 'torch'});
  const sink = path.join(freshDirectory(), 'out.pt');
  const run = plan.run({sink, workers: 1});
  for await (const _ of run) break;
  assert.equal((await run.result).files[0].sha256, sha256(sink));
  checkpoint.close();
});

test('errors have a code and an advice', async () => {
  const directory = freshDirectory();
  await fails(
      open(path.join(directory, 'none.pt')), 'NotFoundError', 'none.pt');
  const page = path.join(directory, 'page.pt');
  fs.writeFileSync(page, '<!DOCTYPE html><html>');
  await fails(open(page), 'UnsupportedError', 'page.pt', 'web page');
  const cut = path.join(directory, 'cut.safetensors');
  fs.writeFileSync(cut, safetensorsFile(TENSORS).subarray(0, 100000));
  const malformed =
      await fails(open(cut), 'MalformedInputError', 'cut.safetensors');
  assert.equal(malformed.exitCode, 6);
  assert.ok(malformed.advice.length > 0);
  assert.ok(malformed.message.endsWith(malformed.advice));
  await fails(open([]), 'UsageError', 'path');

  const checkpoint = await open(writeModel());
  await fails(checkpoint.plan({format: 'gguf'}), 'UsageError', 'gguf');
  const plan = await checkpoint.plan({format: 'torch'});
  await fails(plan.run().result, 'UsageError', 'sink');
  const sink = path.join(directory, 'out.pt');
  await fails(plan.run({sink, workers: 0}).result, 'UsageError', 'workers');
  await fails(plan.run({sink, chunkBytes: 5}).result, 'UsageError');
  fs.writeFileSync(sink, 'old');
  const exists =
      await fails(plan.run({sink}).result, 'AlreadyExistsError', sink);
  assert.match(exists.advice, /choose another name/);
  assert.equal(fs.readFileSync(sink, 'utf8'), 'old');
  await fails(
      plan.run({sink: path.join(directory, 'none', 'out.pt')}).result,
      'NotFoundError');
  checkpoint.close();
  await fails(checkpoint.plan({format: 'torch'}), 'UsageError', 'closed');
  assert.deepEqual(
      fs.readdirSync(directory), ['cut.safetensors', 'out.pt', 'page.pt']);
  await fails(
      open(page, {wasm: path.join(directory, 'none.wasm')}), 'NotFoundError',
      'none.wasm');
});

test('a NaN is an error, or the tensor is kept', async () => {
  const tensors = [
    floatTensor('a.weight', [64, 64], 1), floatTensor('b.weight', [64, 64], 2),
  ];
  new DataView(tensors[1].bytes.buffer).setFloat32(40, NaN, true);
  const checkpoint = await open(writeModel(tensors));
  const directory = freshDirectory();
  const sink = path.join(directory, 'out.pt');
  for (const workers of [1, 2]) {
    const plan = await checkpoint.plan({format: 'torch'});
    await fails(
        plan.run({sink, workers}).result, 'CannotQuantizeError', 'b.weight',
        'NaN');
    assert.deepEqual(fs.readdirSync(directory), []);
  }
  const plan = await checkpoint.plan(
      {format: 'torch', recipe: {nonfinite: 'keep'}});
  assert.equal(plan.info.settled, true);
  const {results} = await plan.run({sink, workers: 2}).result;
  assert.deepEqual(results.tensors.map(({name}) => name), ['a.weight']);
  checkpoint.close();
});

test('a file that changes while it is read is an error', async () => {
  const input = writeModel();
  const checkpoint = await open(input);
  const plan = await checkpoint.plan({format: 'torch'});
  const directory = freshDirectory();
  for (const workers of [1, 2]) {
    const run = plan.run(
        {sink: path.join(directory, 'out.pt'), workers, chunkBytes: 65536});
    let touched = false;
    await fails(
        (async () => {
          for await (const _ of run) {
            if (touched) continue;
            touched = true;
            fs.utimesSync(input, 1, workers);
          }
        })(),
        'MalformedInputError', 'was changed while');
    assert.deepEqual(fs.readdirSync(directory), []);
  }
  // Nor is it the file that was planned.
  fs.writeFileSync(input, safetensorsFile(TENSORS.slice(1)));
  await fails(
      plan.run({sink: path.join(directory, 'out.pt')}).result,
      'MalformedInputError', 'changed');
  assert.deepEqual(fs.readdirSync(directory), []);
  checkpoint.close();
});

// A script for workers that does something else at the call of a name.
function strangeWorker(name, what) {
  const script = path.join(freshDirectory(), 'worker.mjs');
  fs.writeFileSync(script, `
import {parentPort} from 'node:worker_threads';
const on = parentPort.on.bind(parentPort);
parentPort.on = (event, handle) => on(event, (message) => {
  const {name, args} = message;
  if (name === '${name}') {
    ${what}
  }
  handle(message);
});
await import('${urlOf('dist/worker.js')}');
`);
  return script;
}

test('a worker that dies is told, and nothing is left', async () => {
  const input = writeModel();
  const directory = freshDirectory();
  for (const part of [0, 1]) {
    const worker =
        strangeWorker('part', `if (args.part === ${part}) process.exit(3);`);
    const checkpoint = await open(input, {worker});
    const plan = await checkpoint.plan({format: 'torch'});
    const error = await fails(
        plan.run({sink: path.join(directory, 'out.pt'), workers: 2}).result,
        'InternalError', 'the worker stopped');
    assert.match(error.advice, /fewer workers/);
    assert.deepEqual(fs.readdirSync(directory), []);
    checkpoint.close();
  }
});

test('a worker that does not stop is ended, and started again', async () => {
  const worker = strangeWorker(
      'plan',
      'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);');
  const checkpoint = await open(writeModel(), {worker});
  const controller = new AbortController();
  const began = performance.now();
  setTimeout(() => controller.abort(), 100);
  await assert.rejects(
      checkpoint.plan({format: 'torch'}, {signal: controller.signal}),
      {name: 'AbortError'});
  assert.ok(performance.now() - began < 2400);
  const survey = await checkpoint.survey('layers.0.up.bias');
  assert.equal(survey.count, 1024);
  checkpoint.close();
});

test('surveys tensors', async () => {
  const input = writeModel();
  const checkpoint = await open(input);
  const survey = await checkpoint.survey('layers.0.up.weight', {bins: 16});
  assert.equal(survey.count, 1024 * 512);
  assert.equal(survey.nonfinite, 0);
  assert.equal(survey.bins.length, 16);
  assert.equal(survey.bins.reduce((a, b) => a + b), survey.count);
  assert.ok(survey.min < -0.99 && survey.max > 0.99);
  await fails(checkpoint.survey('none'), 'NotFoundError', 'none');

  const plan = await checkpoint.plan({format: 'torch'});
  const result =
      await plan.run({sink: path.join(freshDirectory(), 'out.pt')}).result;
  const {error, against} = await checkpoint.survey(
      'layers.0.up.weight',
      {against: {checkpoint: result, tensor: 'layers.0.up.weight'}});
  const {sqnr_db: expected} = result.results.tensors.find(
      ({name}) => name === 'layers.0.up.weight');
  assert.ok(Math.abs(error.sqnr_db - expected) < 1e-9);
  assert.equal(against.nonfinite, 0);
  await result.dispose();
  checkpoint.close();
});

test('several runs at a time do not disturb each other', async () => {
  const checkpoint = await open(writeModel());
  const plan = await checkpoint.plan({format: 'torch'});
  const sinks = [1, 2, 3].map(() => path.join(freshDirectory(), 'out.pt'));
  const results = await Promise.all(
      sinks.map((sink) => plan.run({sink, workers: 1}).result));
  const digests = new Set(results.map(({files}) => files[0].sha256));
  assert.equal(digests.size, 1);
  checkpoint.close();
});

test('a checkpoint that is open does not keep the program', () => {
  const script = path.join(freshDirectory(), 'program.mjs');
  fs.writeFileSync(script, `
import {open} from '${urlOf('dist/index.js')}';
const checkpoint = await open(process.argv[2]);
console.log(checkpoint.tensors.length);
`);
  const text = execFileSync(
      process.execPath, [script, writeModel()],
      {encoding: 'utf8', timeout: 20000});
  assert.equal(text, `${TENSORS.length}\n`);
});

after(() => fs.rmSync(temporary, {recursive: true}));
