// The module under Node: equal bytes, errors, cancelling, memory.
//
// usage: node loader_test.mjs MONOQUANT_WASM NATIVE_QUANTIZE

import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test, {after} from 'node:test';

import {
  floatTensor, MemorySink, MemorySource, safetensorsFile, safetensorsHead,
  torchFile, ZeroSource,
} from '../testing/checkpoints.mjs';
import {loadMonoquant, MonoquantError} from './monoquant.mjs';
import {FileSink, openFiles, OutputDirectory} from './node_files.mjs';

const [wasmPath, nativePath] = process.argv.slice(2);
const module = await WebAssembly.compile(fs.readFileSync(wasmPath));
const temporary = fs.mkdtempSync(
    path.join(process.env.TEST_TMPDIR ?? fs.realpathSync('.'), 'loader-'));

const MIB = 2 ** 20;

const TENSORS = [
  floatTensor('layer.weight', [130, 256], 1),
  floatTensor('layer.bias', [130], 2),
  floatTensor('conv.weight', [8, 4, 5, 5], 3),
  floatTensor('embedding.weight', [60, 32], 4),
];

function freshDirectory() {
  return fs.mkdtempSync(path.join(temporary, 'd-'));
}

function oneFile(name, bytes) {
  return {files: [new MemorySource(name, bytes)], main: name};
}

// Runs a generator of this loader to its end.
function finish(steps) {
  for (;;) {
    const {done, value} = steps.next();
    if (done) return value;
  }
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

// What is thrown, checked for code and message.
function fails(act, code, ...parts) {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof MonoquantError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.exitCode > 0);
    for (const part of parts) {
      assert.ok(error.message.includes(part), error.message);
    }
    return error;
  }
  assert.fail(`nothing was thrown instead of ${code}`);
}

test('says what it can do', async () => {
  const {about} = await loadMonoquant(module);
  assert.deepEqual(
      about.formats.map(({name}) => name),
      ['torch', 'safetensors', 'compressed-tensors', 'gptq', 'awq', 'fp8',
       'bitsandbytes', 'torchao', 'torch-ao', 'mqir']);
  const isDirectory = (name) =>
      about.formats.find((format) => format.name === name).directory;
  assert.equal(isDirectory('gptq'), true);
  assert.equal(isDirectory('torch'), false);
  assert.match(about.version, /^\d+\.\d+\.\d+/);
});

test('inspects safetensors and torch files', async () => {
  const monoquant = await loadMonoquant(module);
  const layers = {
    'layer.weight': 'Linear',
    'conv.weight': 'Conv2d',
    'embedding.weight': 'Embedding',
  };
  const expected = TENSORS.map(({name, dtype, shape, bytes}) => {
    const layer = layers[name] ? {layer_type: layers[name]} : {};
    return {name, dtype, shape, bytes: bytes.length, ...layer};
  });
  const safetensors =
      monoquant.inspect(oneFile('m.safetensors', safetensorsFile(TENSORS)));
  assert.equal(safetensors.schema, 'monoquant/inspect/1');
  assert.equal(safetensors.container, 'safetensors');
  assert.deepEqual(safetensors.tensors, expected);
  const torch = monoquant.inspect(oneFile('m.pt', torchFile(TENSORS)));
  assert.equal(torch.container, 'torch');
  assert.deepEqual(torch.tensors, expected);
});

test('opening reads the index only', async () => {
  const monoquant = await loadMonoquant(module);
  const size = 6 * 2 ** 30;
  const head = safetensorsHead(
      [{name: 'w', dtype: 'F32', shape: [size / 4], size}]);
  const source = new ZeroSource('big.safetensors', head, head.length + size);
  let bytes = 0;
  const counted = {
    name: source.name,
    size: source.size,
    readAt(offset, target) {
      bytes += target.length;
      return source.readAt(offset, target);
    },
  };
  const info = monoquant.inspect({files: [counted], main: source.name});
  assert.equal(info.tensors[0].bytes, size);
  assert.ok(bytes < MIB, `${bytes} bytes were read`);
});

test('gives the bytes of the native program', async () => {
  const monoquant = await loadMonoquant(module);
  const inputs = {
    'model.safetensors': safetensorsFile(TENSORS),
    'model.pt': torchFile(TENSORS),
  };
  const recipes = [
    {},
    {defaults: {format: 'int4', symmetric: false}},
    {defaults: {format: 'uint8', granularity: 'tensor'}},
    {defaults: {format: 'bf16'}},
    {defaults: {format: 'fp8_e4m3'}},
    {defaults: {format: 'nf4'}},
    {defaults: {format: 'llm_int8'}},
    {defaults: {format: 'fp4_e2m1', scale_dtype: 'F8_E8M0'}},
  ];
  for (const [name, bytes] of Object.entries(inputs)) {
    const directory = freshDirectory();
    const input = path.join(directory, name);
    fs.writeFileSync(input, bytes);
    for (const format of ['torch', 'safetensors', 'mqir']) {
      for (const recipe of recipes) {
        const native = path.join(directory, 'native');
        fs.rmSync(native, {force: true});
        execFileSync(
            nativePath, [input, native, format, JSON.stringify(recipe)],
            {stdio: 'inherit'});
        const expected = sha256(fs.readFileSync(native));
        for (const chunkBytes of [65536, 0]) {
          const files = openFiles(input);
          const output = path.join(directory, 'wasm');
          const {plan, results} = finish(monoquant.quantize(
              files, {recipe, format},
              (size) => new FileSink(output, size, {overwrite: true}),
              {chunkBytes}));
          files.close();
          const made = fs.readFileSync(output);
          assert.equal(plan.output.bytes, made.length);
          assert.ok(results.tensors.length >= 1);
          assert.equal(
              sha256(made), expected,
              `${name} to ${format}, ${JSON.stringify(recipe)}, ` +
                  `chunks of ${chunkBytes}`);
        }
      }
    }
  }
});

test('parts of several instances join to the same bytes', async () => {
  const input = oneFile('m.safetensors', safetensorsFile(TENSORS));
  const plans = [];
  for (let i = 0; i < 3; ++i) {
    const monoquant = await loadMonoquant(module);
    plans.push(monoquant.open(input).plan({format: 'torch'}));
  }
  const bytes = plans[0].info.output.bytes;
  const options = {chunkBytes: 65536};
  const whole = new MemorySink(bytes);
  const expected = finish(plans[0].run(whole, options));
  for (const parts of [1, 2, 3]) {
    const sink = new MemorySink(bytes);
    const records = plans.slice(0, parts).map(
        (plan, part) => finish(plan.runPart(sink, {...options, part, parts})));
    assert.equal(sink.state, 'open');
    const joined =
        finish(plans[0].join(sink, Buffer.concat(records.reverse()), options));
    assert.equal(sink.state, 'open committed');
    assert.equal(sha256(sink.bytes), sha256(whole.bytes));
    assert.deepEqual(joined, expected);
  }

  // What a part has not done, the last job does.
  const sink = new MemorySink(bytes);
  finish(plans[0].join(sink, new Uint8Array(0), options));
  assert.equal(sha256(sink.bytes), sha256(whole.bytes));
  const damaged = new MemorySink(bytes);
  fails(
      () => finish(plans[0].join(damaged, new Uint8Array([9, 0, 0]), options)),
      'MalformedInputError');
  assert.equal(damaged.state, 'open aborted');
  // A part that is left leaves the sink to its owner.
  const left = new MemorySink(bytes);
  const steps = plans[0].runPart(left, {...options, part: 0, parts: 2});
  steps.next();
  steps.return();
  assert.equal(left.state, 'open');
});

test('surveys a tensor, also against another', async () => {
  const monoquant = await loadMonoquant(module);
  const tensor = floatTensor('w', [64, 64], 1);
  const values = new Float32Array(tensor.bytes.buffer);
  const original =
      monoquant.open(oneFile('a.safetensors', safetensorsFile([tensor])));
  const other = floatTensor('v', [64, 64], 1);
  new Float32Array(other.bytes.buffer)[7] += 0.5;
  const changed =
      monoquant.open(oneFile('b.safetensors', safetensorsFile([other])));

  const alone = finish(original.survey({tensor: 'w', bins: 10}));
  assert.equal(alone.count, values.length);
  assert.equal(alone.bins.length, 10);
  assert.equal(alone.bins.reduce((a, b) => a + b), values.length);
  assert.equal(alone.min, Math.min(...values));
  assert.equal(alone.max, Math.max(...values));
  assert.equal(alone.error, undefined);

  const both = finish(original.survey(
      {tensor: 'w', against: {checkpoint: changed, tensor: 'v'}}));
  assert.equal(both.bins.length, 64);
  assert.equal(both.against.count, values.length);
  assert.ok(Math.abs(both.error.max_abs_error - 0.5) < 1e-6);

  fails(() => finish(original.survey({tensor: 'none'})), 'NotFoundError');
  const elsewhere = (await loadMonoquant(module))
                        .open(oneFile(
                            'b.safetensors', safetensorsFile([other])));
  fails(
      () => finish(original.survey(
          {tensor: 'w', against: {checkpoint: elsewhere, tensor: 'v'}})),
      'UsageError', 'same instance');
});

test('sums up bytes as SHA-256', async () => {
  const monoquant = await loadMonoquant(module);
  const bytes = safetensorsFile(TENSORS);
  const hash = monoquant.sha256();
  for (let at = 0; at < bytes.length; at += 9999) {
    hash.add(bytes.subarray(at, at + 9999));
  }
  assert.equal(hash.digest(), sha256(bytes));
  fails(() => hash.add(bytes), 'UsageError');
  hash.close();
  const empty = monoquant.sha256();
  assert.equal(empty.digest(), sha256(''));
});

test('progress ends at the total', async () => {
  const monoquant = await loadMonoquant(module);
  const checkpoint =
      monoquant.open(oneFile('m.safetensors', safetensorsFile(TENSORS)));
  const plan = checkpoint.plan({format: 'torch'});
  const sink = new MemorySink(plan.info.output.bytes);
  let last = 0;
  let energies = null;
  for (const step of plan.run(sink, {chunkBytes: 65536})) {
    assert.ok(step.bytesDone >= last && step.bytesDone <= step.bytesTotal);
    last = step.bytesDone;
    const known = step.tensor === null ||
        TENSORS.some(({name}) => name === step.tensor);
    assert.ok(known, step.tensor);
    energies = step;
  }
  assert.ok(energies.signal > 100 * energies.noise && energies.noise > 0);
  assert.equal(last, TENSORS.reduce((sum, t) => sum + t.bytes.length, 0));
  assert.equal(sink.state, 'open committed');
  plan.close();
  checkpoint.close();
});

test('a plan runs twice, and after its checkpoint is closed', async () => {
  const monoquant = await loadMonoquant(module);
  const checkpoint =
      monoquant.open(oneFile('m.safetensors', safetensorsFile(TENSORS)));
  const plan = checkpoint.plan({format: 'mqir'});
  checkpoint.close();
  const outputs = [1, 2].map(() => {
    const sink = new MemorySink(plan.info.output.bytes);
    finish(plan.run(sink));
    return sha256(sink.bytes);
  });
  assert.equal(outputs[0], outputs[1]);
});

test('quantizes, converts and dequantizes', async () => {
  const monoquant = await loadMonoquant(module);
  const make = (files, request) => {
    let sink;
    finish(monoquant.quantize(
        files, request, (size) => sink = new MemorySink(size)));
    return sink.bytes;
  };
  const input = oneFile('m.safetensors', safetensorsFile(TENSORS));
  const small = make(input, {format: 'mqir'});
  const converted = make(
      oneFile('m.mqir', small), {mode: 'convert', format: 'torch'});
  assert.equal(sha256(converted), sha256(make(input, {format: 'torch'})));
  const floats = make(
      oneFile('m.pt', converted),
      {mode: 'dequantize', dtype: 'F16', format: 'safetensors'});
  const info = monoquant.inspect(oneFile('m.safetensors', floats));
  assert.equal(info.quantization, null);
  assert.deepEqual(
      new Set(info.tensors.map(({name}) => name)),
      new Set(TENSORS.map(({name}) => name)));
});

test('opens the shards of a directory together', async () => {
  const monoquant = await loadMonoquant(module);
  const directory = freshDirectory();
  const write = (name, bytes) =>
      fs.writeFileSync(path.join(directory, name), bytes);
  write('a.safetensors', safetensorsFile(TENSORS.slice(0, 2)));
  write('b.safetensors', safetensorsFile(TENSORS.slice(2)));
  const weightMap = {};
  TENSORS.forEach(({name}, i) => {
    weightMap[name] = i < 2 ? 'a.safetensors' : 'b.safetensors';
  });
  write(
      'model.safetensors.index.json',
      JSON.stringify({metadata: {total_size: 1}, weight_map: weightMap}));
  fs.mkdirSync(path.join(directory, 'sub'));

  const index = path.join(directory, 'model.safetensors.index.json');
  for (const where of [directory, index]) {
    const files = openFiles(where);
    const info = monoquant.inspect(files);
    files.close();
    assert.equal(info.tensors.length, TENSORS.length);
  }

  fs.rmSync(path.join(directory, 'b.safetensors'));
  const files = openFiles(directory);
  const error = fails(() => monoquant.open(files), 'NotFoundError');
  assert.match(error.message, /b\.safetensors/);
  files.close();
});

// A model directory of two shards, as files that were dropped on a page.
function modelDirectory({config = '{"model_type": "x"}'} = {}) {
  const shards =
      ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const tensors = [
    floatTensor('up.weight', [256, 128], 1),
    floatTensor('down.weight', [128, 256], 2),
  ];
  const weightMap = {
    [tensors[0].name]: shards[0],
    [tensors[1].name]: shards[1],
  };
  const text = (string) => new TextEncoder().encode(string);
  const files = {
    'config.json': text(config),
    'tokenizer.json': text('{}'),
    'model.safetensors.index.json':
        text(JSON.stringify({weight_map: weightMap})),
    [shards[0]]: safetensorsFile(tensors.slice(0, 1)),
    [shards[1]]: safetensorsFile(tensors.slice(1)),
  };
  return {
    path: 'model',
    files: Object.entries(files).map(
        ([name, bytes]) => new MemorySource(name, bytes)),
  };
}

const DIRECTORY_OUTPUTS = [
  'model-00001-of-00002.safetensors',
  'model-00002-of-00002.safetensors',
  'tokenizer.json',
  'model.safetensors.index.json',
  'config.json',
];

test('writes every file of a model directory into a sink', async () => {
  const monoquant = await loadMonoquant(module);
  for (const chunkBytes of [65536, 0]) {
    const commits = [];
    const made = {};
    const {plan} = finish(monoquant.quantize(
        modelDirectory(), {format: 'compressed-tensors'},
        (bytes, output, info) => {
          assert.equal(info.output.directory, true);
          assert.equal(bytes, output.bytes);
          assert.equal(output.copied, output.name === 'tokenizer.json');
          const sink = new MemorySink(bytes);
          const commit = sink.commit.bind(sink);
          sink.commit = () => {
            commits.push(output.name);
            commit();
          };
          made[output.name] = sink;
          return sink;
        },
        {chunkBytes}));
    assert.deepEqual(plan.outputs.map(({name}) => name), DIRECTORY_OUTPUTS);
    assert.deepEqual(commits, DIRECTORY_OUTPUTS);
    assert.deepEqual(plan.notes, []);
    const sizes = Object.values(made).map(({bytes}) => bytes.length);
    assert.equal(plan.output.bytes, sizes.reduce((a, b) => a + b));
    for (const sink of Object.values(made)) {
      assert.equal(sink.state, 'open committed');
    }
    const json = (name) =>
        JSON.parse(new TextDecoder().decode(made[name].bytes));
    assert.deepEqual(json('tokenizer.json'), {});
    assert.equal(json('config.json').model_type, 'x');
    assert.equal(
        json('config.json').quantization_config.quant_method,
        'compressed-tensors');
    assert.equal(
        json('model.safetensors.index.json').weight_map['up.weight_scale'],
        DIRECTORY_OUTPUTS[0]);

    const info = monoquant.inspect({
      path: 'out',
      files: Object.entries(made).map(
          ([name, {bytes}]) => new MemorySource(name, bytes)),
    });
    assert.deepEqual(
        info.quantization.tensors.map(({name}) => name),
        ['up.weight', 'down.weight']);
  }
});

test('a plan of a directory runs into a list of sinks', async () => {
  const monoquant = await loadMonoquant(module);
  const checkpoint = monoquant.open(modelDirectory());
  const plan = checkpoint.plan({format: 'safetensors', max_shard_bytes: 40000});
  checkpoint.close();
  const {outputs} = plan.info;
  assert.deepEqual(outputs.map(({name}) => name), DIRECTORY_OUTPUTS);
  const makeSinks = () => outputs.map(({bytes}) => new MemorySink(bytes));
  const sinks = makeSinks();
  finish(plan.run(sinks));
  for (const {state} of sinks) assert.equal(state, 'open committed');

  const few = makeSinks().slice(1);
  fails(() => finish(plan.run(few)), 'UsageError', '5 outputs', 'not 4');
  for (const {state} of few) assert.equal(state, 'open aborted');
  const one = new MemorySink(0);
  fails(() => finish(plan.run(one)), 'UsageError');
  assert.equal(one.state, 'open aborted');
  plan.close();
});

test('a failure of one sink of a directory is one of all', async () => {
  const monoquant = await loadMonoquant(module);
  const full = Object.assign(new Error('full'), {code: 'ENOSPC'});
  const throwFull = () => {
    throw full;
  };
  // What fails, of which output, and how many outputs are committed then.
  const cases = [
    ['writeAt', 0, 0],
    ['writeAt', 4, 0],
    ['commit', 0, 0],
    ['commit', 4, 4],
  ];
  for (const [what, which, committed] of cases) {
    const sinks = [];
    const error = fails(
        () => finish(monoquant.quantize(
            modelDirectory(), {format: 'compressed-tensors'}, (bytes) => {
              const sink = new MemorySink(bytes);
              if (sinks.length === which) sink[what] = throwFull;
              sinks.push(sink);
              return sink;
            })),
        'ResourceExhaustedError', DIRECTORY_OUTPUTS[which]);
    assert.equal(error.cause, full);
    assert.deepEqual(
        sinks.map(({state}) => state),
        DIRECTORY_OUTPUTS.map(
            (_, i) => i < committed ? 'open committed' : 'open aborted'));
  }

  // A sink that cannot be made.
  const sinks = [];
  assert.throws(
      () => finish(monoquant.quantize(
          modelDirectory(), {format: 'compressed-tensors'}, (bytes) => {
            if (sinks.length === 2) throw full;
            sinks.push(new MemorySink(bytes));
            return sinks[sinks.length - 1];
          })),
      full);
  assert.deepEqual(
      sinks.map(({state}) => state), ['open aborted', 'open aborted']);

  // One that cannot be aborted does not keep the others.
  const stubborn = [];
  const steps = monoquant.quantize(
      modelDirectory(), {format: 'compressed-tensors'}, (bytes) => {
        const sink = new MemorySink(bytes);
        if (stubborn.length === 1) sink.abort = throwFull;
        stubborn.push(sink);
        return sink;
      });
  steps.next();
  assert.throws(() => steps.return(), full);
  assert.equal(
      stubborn.filter(({state}) => state === 'open aborted').length, 4);
});

test('a configuration that is none is an error, a missing one a note',
     async () => {
  const monoquant = await loadMonoquant(module);
  const error = fails(
      () => finish(monoquant.quantize(
          modelDirectory({config: '[]'}), {format: 'gptq'},
          (bytes) => new MemorySink(bytes))),
      'MalformedInputError', 'model/config.json');
  assert.match(error.message, /no JSON object/);

  const model = modelDirectory();
  model.files = model.files.filter(({name}) => name !== 'config.json');
  const checkpoint = monoquant.open(model);
  const {info} = checkpoint.plan({format: 'gptq'});
  assert.equal(info.outputs[info.outputs.length - 1].name, 'config.json');
  assert.match(info.notes[0], /no config\.json of a model/);
  checkpoint.close();
});

test('an output directory appears whole or not at all', async () => {
  const monoquant = await loadMonoquant(module);
  const directory = freshDirectory();
  const where = path.join(directory, 'small');
  const start = (output) => monoquant.quantize(
      modelDirectory(), {format: 'compressed-tensors'},
      (bytes, {name}) => output.createSink(bytes, name), {chunkBytes: 65536});

  const cancelled = new OutputDirectory(where);
  const steps = start(cancelled);
  steps.next();
  assert.equal(fs.existsSync(where), false);
  steps.return();
  cancelled.abort();
  assert.deepEqual(fs.readdirSync(directory), []);

  const output = new OutputDirectory(`${where}/`);
  finish(start(output));
  assert.equal(fs.existsSync(where), false);
  output.commit();
  assert.deepEqual(fs.readdirSync(directory), ['small']);
  assert.deepEqual(fs.readdirSync(where), [...DIRECTORY_OUTPUTS].sort());
  const files = openFiles(where);
  assert.equal(monoquant.inspect(files).quantization.tensors.length, 2);
  files.close();
  assert.throws(() => new OutputDirectory(where), {code: 'EEXIST'});
  assert.deepEqual(fs.readdirSync(directory), ['small']);
});

test('damaged and foreign files are errors with a code', async () => {
  const monoquant = await loadMonoquant(module);
  const good = safetensorsFile(TENSORS);
  const torch = torchFile(TENSORS);
  const inspect = (bytes) => () =>
      monoquant.inspect(oneFile('m.bin', bytes));
  fails(inspect(good.subarray(0, good.length - 1)), 'MalformedInputError',
        'm.bin');
  fails(inspect(torch.subarray(0, torch.length - 10)), 'MalformedInputError');
  fails(inspect(new Uint8Array(0)), 'UnsupportedError', 'm.bin', 'empty');
  fails(inspect(new TextEncoder().encode('<!DOCTYPE html><html>')),
        'UnsupportedError', 'web page');
  for (let i = 0; i < torch.length; i += 97) {
    const damaged = torch.slice();
    damaged[i] ^= 0x55;
    try {
      finish(monoquant.quantize(
          oneFile('m.pt', damaged), {format: 'mqir'},
          (size) => new MemorySink(size)));
    } catch (error) {
      assert.ok(error instanceof MonoquantError);
      assert.notEqual(error.code, 'InternalError', error.message);
    }
  }
  // And the module is none the worse.
  assert.equal(
      monoquant.inspect(oneFile('m.bin', good)).tensors.length,
      TENSORS.length);
});

test('wrong requests are errors with a code', async () => {
  const monoquant = await loadMonoquant(module);
  const checkpoint =
      monoquant.open(oneFile('m.safetensors', safetensorsFile(TENSORS)));
  fails(() => checkpoint.plan({format: 'gguf'}), 'UsageError', 'gguf');
  fails(
      () => checkpoint.plan({format: 'torch', recipe: {bits: 8}}),
      'UsageError', 'bits');
  fails(
      () => finish(checkpoint.plan({format: 'torch'})
                       .run(new MemorySink(0), {chunkBytes: 5})),
      'UsageError');
  checkpoint.close();
  fails(() => checkpoint.plan({format: 'torch'}), 'UsageError');
  fails(
      () => monoquant.open(
          {files: [{name: 'x', size: NaN, readAt() {}}], main: 'x'}),
      'UsageError', 'x');
});

test('what a source throws is the cause of the error', async () => {
  const monoquant = await loadMonoquant(module);
  const source = new MemorySource('m.safetensors', safetensorsFile(TENSORS));
  const checkpoint = monoquant.open({files: [source], main: source.name});
  const plan = checkpoint.plan({format: 'torch'});

  const reason = new Error('the disk was pulled out');
  source.readAt = () => {
    throw reason;
  };
  let sink = new MemorySink(plan.info.output.bytes);
  let error = fails(
      () => finish(plan.run(sink)), 'UnavailableError', 'm.safetensors');
  assert.equal(error.cause, reason);
  assert.equal(sink.state, 'open aborted');

  source.readAt = () => 3;
  sink = new MemorySink(plan.info.output.bytes);
  error = fails(() => finish(plan.run(sink)), 'MalformedInputError');
  assert.equal(error.cause, undefined);
});

test('a full disk is told from a broken one', async () => {
  const monoquant = await loadMonoquant(module);
  const cases = [
    [Object.assign(new Error('full'), {code: 'ENOSPC'}),
     'ResourceExhaustedError'],
    [Object.assign(new Error('full'), {name: 'QuotaExceededError'}),
     'ResourceExhaustedError'],
    [new Error('broken'), 'UnavailableError'],
  ];
  for (const [reason, code] of cases) {
    let sink;
    const error = fails(
        () => finish(monoquant.quantize(
            oneFile('m.safetensors', safetensorsFile(TENSORS)),
            {format: 'torch'},
            (size) => {
              sink = new MemorySink(size);
              sink.writeAt = () => {
                throw reason;
              };
              return sink;
            })),
        code);
    assert.equal(error.cause, reason);
    assert.equal(sink.state, 'open aborted');
  }
});

test('cancelling leaves nothing behind', async () => {
  const monoquant = await loadMonoquant(module);
  const directory = freshDirectory();
  const output = path.join(directory, 'out.pt');
  const input = oneFile('m.safetensors', safetensorsFile(TENSORS));
  const steps = monoquant.quantize(
      input, {format: 'torch'}, (size) => new FileSink(output, size),
      {chunkBytes: 65536});
  steps.next();
  assert.equal(fs.readdirSync(directory).length, 1, 'a temporary file');
  steps.return();
  assert.deepEqual(fs.readdirSync(directory), []);

  // And the same can be done again.
  finish(monoquant.quantize(
      input, {format: 'torch'}, (size) => new FileSink(output, size)));
  assert.deepEqual(fs.readdirSync(directory), ['out.pt']);
});

test('an existing output stays', async () => {
  const directory = freshDirectory();
  const output = path.join(directory, 'out.pt');
  fs.writeFileSync(output, 'old');
  assert.throws(() => new FileSink(output, 10), {code: 'EEXIST'});

  fs.rmSync(output);
  const sink = new FileSink(output, 10);
  fs.writeFileSync(output, 'came in the meantime');
  assert.throws(() => sink.commit(), {code: 'EEXIST'});
  sink.abort();
  assert.deepEqual(fs.readdirSync(directory), ['out.pt']);
  assert.equal(fs.readFileSync(output, 'utf8'), 'came in the meantime');

  const replacing = new FileSink(output, 3, {overwrite: true});
  replacing.writeAt(0, new TextEncoder().encode('new'));
  replacing.commit();
  assert.deepEqual(fs.readdirSync(directory), ['out.pt']);
  assert.equal(fs.readFileSync(output, 'utf8'), 'new');
});

test('tensors with NaN can be kept as they are', async () => {
  const monoquant = await loadMonoquant(module);
  const tensors =
      [floatTensor('a', [64, 64], 1), floatTensor('b', [64, 64], 2)];
  new DataView(tensors[1].bytes.buffer).setFloat32(40, NaN, true);
  const input = oneFile('m.safetensors', safetensorsFile(tensors));
  fails(
      () => finish(monoquant.quantize(
          input, {format: 'torch'}, (size) => new MemorySink(size))),
      'CannotQuantizeError', '\'b\'', 'NaN');
  const {plan, results} = finish(monoquant.quantize(
      input, {format: 'torch', recipe: {nonfinite: 'keep'}},
      (size) => new MemorySink(size)));
  assert.equal(plan.settled, true);
  assert.deepEqual(results.tensors.map(({name}) => name), ['a']);
});

test('offsets beyond 4 GiB, and memory that does not grow with the file',
     async () => {
  const monoquant = await loadMonoquant(module);
  const size = 2 ** 32 + 100 * MIB;
  const last = {name: 'last', dtype: 'U8', shape: [5], size: 5};
  const head = safetensorsHead(
      [{name: 'pad', dtype: 'U8', shape: [size], size}, last]);
  const total = head.length + size + 5;
  const source = new ZeroSource('big.safetensors', head, total);
  const tail = new Uint8Array([1, 2, 3, 4, 5]);
  const readAt = source.readAt.bind(source);
  source.readAt = (offset, target) => {
    const count = readAt(offset, target);
    if (offset + count === total) target.set(tail, count - 5);
    return count;
  };

  let end = 0;
  let found = null;
  const sink = {
    writeAt(offset, bytes) {
      if (bytes.length === 5) found = {offset, bytes: Array.from(bytes)};
      end = Math.max(end, offset + bytes.length);
    },
    commit() {},
    abort() {},
  };
  const {plan} = finish(monoquant.quantize(
      {files: [source], main: source.name},
      {mode: 'convert', format: 'torch'}, () => sink));
  assert.equal(end, plan.output.bytes);
  assert.ok(found.offset > 2 ** 32);
  assert.deepEqual(found.bytes, Array.from(tail));
  assert.ok(
      monoquant.memoryBytes <= 48 * MIB,
      `${monoquant.memoryBytes / MIB} MiB of memory`);
});

test('memory stays small for a sparse file of 300 MB', async () => {
  const monoquant = await loadMonoquant(module);
  const size = 300 * MIB;
  const directory = freshDirectory();
  const input = path.join(directory, 'sparse.safetensors');
  const head = safetensorsHead(
      [{name: 'w', dtype: 'F32', shape: [size / 4096, 1024], size}]);
  fs.writeFileSync(input, head);
  fs.truncateSync(input, head.length + size);

  const files = openFiles(input);
  const output = path.join(directory, 'out.safetensors');
  finish(monoquant.quantize(
      files, {format: 'safetensors'}, (bytes) => new FileSink(output, bytes)));
  files.close();
  assert.ok(fs.statSync(output).size < size * 0.27);
  assert.ok(
      monoquant.memoryBytes <= 48 * MIB,
      `${monoquant.memoryBytes / MIB} MiB of memory`);
});

test('the program for files works and fails as it says', async () => {
  const directory = freshDirectory();
  const input = path.join(directory, 'm.safetensors');
  const output = path.join(directory, 'out.pt');
  fs.writeFileSync(input, safetensorsFile(TENSORS));
  const program = new URL('quantize_file.mjs', import.meta.url).pathname;
  const run = (...args) => spawnSync(
      process.execPath, [program, wasmPath, ...args], {encoding: 'utf8'});

  const good = run(input, output, '{"format": "torch"}', '65536');
  assert.equal(good.status, 0, good.stderr);
  assert.ok(JSON.parse(good.stdout).tensors.length > 0);

  const exists = run(input, output, '{"format": "torch"}');
  assert.equal(exists.status, 5);
  assert.match(exists.stderr, /^error: .*out\.pt.*\n$/);
  fs.rmSync(output);
  const unknown = run(input, output, '{"format": "gguf"}');
  assert.equal(unknown.status, 2);

  const small = path.join(directory, 'small');
  const toDirectory = '{"format": "compressed-tensors"}';
  const made = run(input, small, toDirectory);
  assert.equal(made.status, 0, made.stderr);
  assert.deepEqual(fs.readdirSync(small), ['config.json', 'm.safetensors']);
  assert.equal(run(input, small, toDirectory).status, 5);
  fs.rmSync(small, {recursive: true});

  fs.truncateSync(input, 1000);
  assert.equal(run(input, output, '{"format": "torch"}').status, 6);
  assert.equal(run(input, small, toDirectory).status, 6);
  assert.deepEqual(fs.readdirSync(directory), ['m.safetensors']);
});

test('instances are independent', async () => {
  const [a, b] = [await loadMonoquant(module), await loadMonoquant(module)];
  const input = oneFile('m.safetensors', safetensorsFile(TENSORS));
  const sinks = [];
  const runs = [a, b].map((monoquant) => monoquant.quantize(
      input, {format: 'mqir'}, (size) => {
        sinks.push(new MemorySink(size));
        return sinks[sinks.length - 1];
      }, {chunkBytes: 65536}));
  // In turns.
  for (let going = 2; going > 0;) {
    going = runs.filter((run) => !run.next().done).length;
  }
  assert.equal(sha256(sinks[0].bytes), sha256(sinks[1].bytes));
});

after(() => fs.rmSync(temporary, {recursive: true}));
