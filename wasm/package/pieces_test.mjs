// The pieces of the package that need no worker, also those that only a browser
// uses otherwise.
//
// usage: node pieces_test.mjs PACKAGE

import assert from 'node:assert/strict';
import {File} from 'node:buffer';
import * as path from 'node:path';
import test from 'node:test';
import {pathToFileURL} from 'node:url';

const packagePath = path.resolve(process.argv[2]);
const load = (name) =>
    import(pathToFileURL(path.join(packagePath, 'dist', name)).href);
const {adviceOf, toMonoquantError} = await load('errors.js');
const {Feed} = await load('feed.js');
const {nameFiles} = await load('file_input.js');
const {BlockBuffer, MemoryOutput} = await load('memory_output.js');
const {ProgressSum, Speed} = await load('progress.js');
const {RemoteFiles, writeFor} = await load('remote_files.js');

test('the advice is what comes last', () => {
  assert.equal(adviceOf('x: is wrong; do it so'), 'do it so');
  assert.equal(adviceOf('x: is wrong; a; b'), 'b');
  assert.equal(adviceOf('x: is wrong'), '');
});

test('errors of the system get a code', () => {
  const error = Object.assign(
      new Error('ENOSPC: no space left on device, write'),
      {code: 'ENOSPC', syscall: 'write'});
  assert.equal(toMonoquantError(error).code, 'ResourceExhaustedError');
  const missing = toMonoquantError(Object.assign(
      new Error('ENOENT: no such file or directory, open \'a b\''),
      {code: 'ENOENT', syscall: 'open'}));
  assert.equal(missing.code, 'NotFoundError');
  assert.equal(missing.message, 'a b: no such file or directory');
  assert.equal(toMonoquantError('x').code, 'InternalError');
});

test('a speed follows what is measured', () => {
  const speed = new Speed();
  for (let i = 0; i <= 10; ++i) speed.add(i / 10, i * 100);
  assert.ok(Math.abs(speed.bytesPerSecond - 1000) < 1);
  assert.equal(speed.secondsFor(1000), null, 'too early');
  for (let i = 11; i <= 300; ++i) speed.add(i / 10, 1000 + (i - 10) * 200);
  assert.ok(Math.abs(speed.bytesPerSecond - 2000) < 50);
  assert.ok(Math.abs(speed.secondsFor(4000) - 2) < 0.1);
});

test('progress adds up over workers', () => {
  const sum = new ProgressSum(1000, 2);
  const step = (bytesDone, bytesTotal) => ({
    phase: 'run',
    bytesDone,
    bytesTotal,
    tensor: 'a',
    signal: 50,
    noise: 0.5,
  });
  const first = sum.add(1, step(100, 600), 1);
  assert.equal(first.bytesDone, 100);
  assert.equal(first.bytesTotal, 1100);
  const second = sum.add(0, step(100, 400), 2);
  assert.equal(second.bytesDone, 200);
  assert.equal(second.bytesTotal, 1000);
  assert.ok(Math.abs(second.sqnrDb - 20) < 1e-9);
  const last = sum.add(
      0,
      {phase: 'hash', bytesDone: 1, bytesTotal: 9, tensor: null, signal: 0,
       noise: 0},
      3);
  assert.equal(last.bytesDone, 1);
  assert.equal(last.bytesTotal, 9);
  assert.ok(Math.abs(last.sqnrDb - 20) < 1e-9);
});

test('a feed gives the latest, its end, and its failure', async () => {
  const feed = new Feed();
  const seen = [];
  const watching = (async () => {
    for await (const value of feed) seen.push(value);
  })();
  feed.push(1);
  await new Promise((resolve) => setImmediate(resolve));
  feed.push(2);
  feed.push(3);
  feed.end();
  await watching;
  assert.deepEqual(seen, [1, 3]);
  feed.fail(new Error('late'));
  await assert.rejects(async () => {
    for await (const _ of feed);
  }, /late/);
});

function fileAt(where) {
  const file = new File(['x'], path.basename(where));
  if (where.includes('/')) {
    Object.defineProperty(file, 'webkitRelativePath', {value: where});
  }
  return file;
}

test('files are named as they lie in their directory', () => {
  const one = nameFiles(fileAt('m.pt'));
  assert.deepEqual([...one.files.keys()], ['m.pt']);
  assert.equal(one.main, 'm.pt');
  assert.equal(one.path, 'm.pt');

  const shards = nameFiles([fileAt('a.safetensors'), fileAt('b.safetensors')]);
  assert.equal(shards.main, undefined);
  assert.equal(shards.files.size, 2);

  const model = nameFiles([
    fileAt('model/config.json'), fileAt('model/model.safetensors'),
    fileAt('model/onnx/model.onnx'), fileAt('model/onnx/config.json'),
  ]);
  assert.deepEqual(
      [...model.files.keys()], ['config.json', 'model.safetensors']);
  assert.equal(model.path, 'model');
  assert.equal(model.main, undefined);

  assert.equal(nameFiles([fileAt('model/m.pt')]).main, undefined);
  assert.throws(
      () => nameFiles([fileAt('a.pt'), fileAt('a.pt')]), {code: 'UsageError'});
  assert.throws(() => nameFiles([]), {code: 'UsageError'});
  assert.throws(() => nameFiles('a path'), {code: 'UsageError'});
});

test('a buffer takes bytes at any offset', async () => {
  const mib = 2 ** 20;
  const buffer = new BlockBuffer('out.pt', 9 * mib + 5);
  const bytes = new Uint8Array(5 * mib).map((_, i) => i % 251 + 1);
  buffer.writeAt(9 * mib + 3, new Uint8Array([7, 8]));
  buffer.writeAt(2 * mib + 1, bytes);
  assert.throws(
      () => buffer.writeAt(9 * mib + 4, new Uint8Array(2)), /behind its end/);
  const whole = new Uint8Array(buffer.size + 10);
  assert.equal(buffer.readAt(0, whole), buffer.size);
  const expected = new Uint8Array(buffer.size);
  expected.set(bytes, 2 * mib + 1);
  expected.set([7, 8], 9 * mib + 3);
  assert.ok(Buffer.from(whole.buffer, 0, buffer.size).equals(expected));
  const blob = await (globalThis.File ? buffer.toFile() : null);
  if (blob !== null) {
    assert.equal(blob.name, 'out.pt');
    assert.ok(Buffer.from(await blob.arrayBuffer()).equals(expected));
  }
});

test('memory has an end', () => {
  const outputs = [{name: 'a', bytes: 2 ** 31, copied: false}];
  assert.throws(
      () => new MemoryOutput({output: {bytes: 2 ** 31}, outputs}, {}),
      {code: 'ResourceExhaustedError', message: /2\.00 GiB.*1\.00 GiB.*command line/});
});

test('one worker writes for the others', async () => {
  const {port1, port2} = new MessageChannel();
  const written = [];
  const full = Object.assign(
      new Error('full'), {name: 'QuotaExceededError'});
  writeFor(port1, [
    {writeAt: (offset, bytes) => written.push([offset, ...bytes])},
    {
      writeAt: () => {
        throw full;
      },
    },
  ]);
  const remote = new RemoteFiles(port2, 2);
  const memory = new Uint8Array([1, 2, 3]);
  remote.sinks[0].writeAt(10, memory);
  // It is the module's, and soon something else.
  memory.fill(9);
  remote.sinks[0].writeAt(20, new Uint8Array(0));
  await remote.drain(0);
  assert.deepEqual(written, [[10, 1, 2, 3], [20]]);
  remote.sinks[1].writeAt(0, new Uint8Array(5));
  await assert.rejects(remote.drain(0), {code: 'ResourceExhaustedError'});
  remote.close();
  port1.close();
});
