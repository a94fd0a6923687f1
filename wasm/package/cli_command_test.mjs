// Command lines against the real program: the same bytes as a run has.
//
// usage: node cli_command_test.mjs PACKAGE MONOQUANT
//
// PACKAGE is the directory of the package, MONOQUANT the native program.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test, {after} from 'node:test';
import {pathToFileURL} from 'node:url';

import {floatTensor, safetensorsFile, torchFile} from
    '../testing/checkpoints.mjs';

const [packagePath, nativePath] =
    process.argv.slice(2).map((name) => path.resolve(name));
const {about, cliCommand, open} =
    await import(pathToFileURL(path.join(packagePath, 'dist/index.js')).href);

const temporary = fs.mkdtempSync(
    path.join(process.env.TEST_TMPDIR ?? fs.realpathSync('.'), 'cli-'));
const programs = path.join(temporary, 'bin');
fs.mkdirSync(programs);
fs.symlinkSync(nativePath, path.join(programs, 'monoquant'));

const TENSORS = [
  floatTensor('layers.0.up.weight', [128, 256], 1),
  floatTensor('layers.0.up.bias', [128], 2),
  floatTensor('layers.1.down.weight', [256, 128], 3),
  floatTensor('conv.weight', [8, 4, 16, 16], 4),
  floatTensor('embedding.weight', [60, 32], 5),
  floatTensor('a=b.weight', [64, 128], 6),
];

function freshDirectory() {
  return fs.mkdtempSync(path.join(temporary, 'd-'));
}

// What is at a path: the bytes of each file, by its name.
function contents(where) {
  if (!fs.statSync(where).isDirectory()) return {'': fs.readFileSync(where)};
  return Object.fromEntries(fs.readdirSync(where).map(
      (name) => [name, fs.readFileSync(path.join(where, name))]));
}

// Runs the line in `directory`, and the request in this process, and compares
// what they write.
async function compare(directory, input, request, options = {}) {
  const line = cliCommand(request, {input, output: 'by-cli'}, options);
  const before = new Set(fs.readdirSync(directory));
  execFileSync('/bin/sh', ['-c', line], {
    cwd: directory,
    env: {...process.env, PATH: `${programs}:${process.env.PATH}`},
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const made = fs.readdirSync(directory)
                   .filter((name) => !before.has(name))
                   .filter((name) => !name.endsWith('.recipe.json'));
  assert.equal(made.length, 1, line);
  const checkpoint = await open(path.join(directory, input), options);
  const plan = await checkpoint.plan(request);
  // A single file is called as its maker likes, a file of a directory is not.
  const sink = path.join(freshDirectory(), made[0]);
  await plan.run({sink, workers: 1, hash: false}).result;
  checkpoint.close();
  const [ours, theirs] =
      [sink, path.join(directory, made[0])].map((name) => contents(name));
  assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort(), line);
  for (const name of Object.keys(ours)) {
    assert.ok(ours[name].equals(theirs[name]), `${name} of ${line}`);
  }
  for (const name of fs.readdirSync(directory)) {
    if (!before.has(name)) {
      fs.rmSync(path.join(directory, name), {recursive: true});
    }
  }
}

const NAMES = {input: 'model.pt', output: 'small.safetensors'};

test('says requests in flags', () => {
  const cases = [
    [{format: 'safetensors'},
     'monoquant quantize model.pt -o small.safetensors'],
    [{format: 'safetensors', recipe: {}},
     'monoquant quantize model.pt -o small.safetensors --type int8'],
    [{
       format: 'safetensors',
       recipe: {
         defaults: 'int4,group=64,asymmetric',
         rules: [
           {match: '*.lm_head.*', scheme: 'skip'},
           {match: '*.attn.?_proj.weight', scheme: 'int8'},
           {match: 'router', scheme: {format: 'bf16'}},
         ],
         nonfinite: 'keep',
         min_elements: 100,
         layer_types: ['Linear', 'LSTM'],
         allow_unmatched: true,
       },
     },
     'monoquant quantize model.pt -o small.safetensors --type int4 ' +
         '--group-size 64 --scheme asymmetric --skip \'*.lm_head.*\' ' +
         '--rule \'*.attn.?_proj.weight=int8\' --rule router=bf16 ' +
         '--min-elements 100 --layer-types Linear,LSTM --nonfinite keep ' +
         '--allow-unmatched'],
    [{
       format: 'safetensors',
       recipe: {
         defaults: {format: 'fp8_e4m3', granularity: 'block'},
         only_rules: true,
         rules: [{match: '*.mlp.*', scheme: 'fp8_e4m3,block'}],
       },
     },
     'monoquant quantize model.pt -o small.safetensors --type fp8_e4m3 ' +
         '--granularity block --only \'*.mlp.*\''],
    [{mode: 'convert', format: 'safetensors'},
     'monoquant convert model.pt -o small.safetensors --to safetensors'],
    [{mode: 'dequantize', format: 'safetensors', dtype: 'F16'},
     'monoquant dequantize model.pt -o small.safetensors --dtype F16'],
  ];
  for (const [request, line] of cases) {
    assert.equal(cliCommand(request, NAMES), line);
  }
});

test('makes outputs files or directories', () => {
  const output = (request, name) =>
      cliCommand(request, {input: 'm', output: name}).split(' ')[4];
  assert.equal(output({format: 'torch'}, 'a'), 'a.pt');
  assert.equal(output({format: 'torch'}, 'a.bin'), 'a.bin');
  assert.equal(output({format: 'torch'}, 'dir/'), 'dir.pt');
  assert.equal(output({format: 'gptq'}, 'a'), 'a');
  assert.equal(output({format: 'gptq'}, 'a.safetensors'), 'a.safetensors/');
  assert.equal(output({for: 'vllm'}, 'a.pt'), 'a.pt/');
  assert.equal(output({for: 'torch'}, 'a'), 'a.pt');
  assert.equal(
      output({format: 'safetensors', max_shard_bytes: 2 ** 30}, 'a.pt'),
      'a.pt/');
});

test('knows the formats that there are', async () => {
  const {formats} = await about();
  for (const {name, directory, extensions} of formats) {
    const line = cliCommand({format: name}, {input: 'm', output: 'a'});
    const made = line.split(' ')[4];
    assert.equal(made, directory ? 'a' : `a.${extensions[0]}`);
  }
});

test('quotes what a shell would read otherwise', () => {
  const line = cliCommand(
      {
        format: 'torch',
        recipe: {rules: [{match: '-it\'s $HOME `x` *', scheme: 'skip'}]},
      },
      {input: '-odd name\'s.pt', output: '~/a "b".pt'});
  assert.equal(
      line,
      'monoquant quantize \'./-odd name\'\\\'\'s.pt\' -o \'~/a "b".pt\' ' +
          '--type int8 \'--skip=-it\'\\\'\'s $HOME `x` *\'');
});

test('writes a recipe where flags cannot say it', () => {
  const recipe = {rules: [{match: 'a=b*', scheme: 'int4'}]};
  const request = {format: 'safetensors', recipe};
  assert.equal(
      cliCommand(request, NAMES),
      `printf '%s\\n' '${JSON.stringify(recipe)}' > small.recipe.json && ` +
          'monoquant quantize model.pt -o small.safetensors ' +
          '--recipe small.recipe.json');
  assert.equal(
      cliCommand(request, {...NAMES, recipe: 'mine.json'}),
      'monoquant quantize model.pt -o small.safetensors --recipe mine.json');
});

test('refuses what the command line cannot do', () => {
  assert.throws(
      () => cliCommand({format: 'torch'}, NAMES, {asStored: true}),
      {code: 'UsageError'});
  assert.match(
      cliCommand(
          {mode: 'convert', format: 'torch'}, NAMES,
          {asStored: true, root: 'model', allowOpaque: true}),
      / --root model --allow-opaque --as-stored --to torch$/);
});

const RECIPES = [
  undefined,
  {},
  {defaults: 'int4'},
  {defaults: 'int4,group=64,asymmetric'},
  {defaults: {format: 'int4', granularity: 'group', group_size: 32}},
  {defaults: 'int8,tensor'},
  {defaults: 'int8,axis=0'},
  {defaults: 'int8,axis=1'},
  {defaults: {format: 'fp8_e4m3', granularity: 'axis'}},
  {defaults: 'uint8,axis,convention=compressed-tensors'},
  {defaults: {format: 'int8', granularity: 'group', scale_dtype: 'BF16'}},
  {defaults: 'fp8_e4m3,block=64'},
  {defaults: 'mxfp4'},
  {defaults: {format: 'mxfp8'}},
  {defaults: 'nvfp4'},
  {defaults: 'nf4'},
  {defaults: 'bf16'},
  {
    defaults: 'int8',
    rules: [
      {match: 'conv.*', scheme: 'skip'},
      {match: '*.up.*', scheme: {format: 'int4', symmetric: false}},
      {match: '*bed?ing.weight', scheme: 'fp8_e5m2,tensor'},
    ],
    min_elements: 5000,
  },
  {
    defaults: 'int4,group=32',
    only_rules: true,
    rules: [
      {match: 'layers.1.*', scheme: 'int8'},
      {
        match: 'layers.*.weight',
        scheme: {format: 'int4', granularity: 'group', group_size: 32},
      },
    ],
  },
  {defaults: 'int8', layer_types: ['linear', 'Embedding']},
  {nonfinite: 'zero', allow_unmatched: true,
   rules: [{match: '-none', scheme: 'skip'}, {match: '[a,b]', scheme: 'int8'}]},
  // Only a file says these.
  {rules: [{match: 'a=b*', scheme: 'int4'}]},
  {only_rules: true, rules: [{match: 'conv.*', scheme: 'int4'}]},
  {defaults: 'int8,observer=minmax', only_rules: true, rules: []},
];

test('gives the bytes of the command line, for every recipe', async () => {
  const directory = freshDirectory();
  fs.writeFileSync(
      path.join(directory, 'm.safetensors'), safetensorsFile(TENSORS));
  for (const recipe of RECIPES) {
    await compare(
        directory, 'm.safetensors', {format: 'safetensors', recipe});
  }
});

test('gives the bytes of the command line, for every format', async () => {
  const directory = freshDirectory();
  const input = 'it\'s -a model.pt';
  fs.writeFileSync(path.join(directory, input), torchFile(TENSORS));
  const {formats} = await about();
  for (const {name} of formats) {
    const recipe = name === 'torch-ao' ?
        {defaults: 'int8,tensor', layer_types: ['Linear']} :
        undefined;
    await compare(directory, input, {format: name, recipe});
  }
  await compare(directory, input, {for: 'vllm'});
  await compare(
      directory, input, {format: 'safetensors', max_shard_bytes: 100000});
  await compare(directory, input, {mode: 'convert', format: 'mqir'});
});

test('gives the bytes of the command line, of a directory', async () => {
  const directory = freshDirectory();
  const model = path.join(directory, 'model');
  fs.mkdirSync(model);
  fs.writeFileSync(
      path.join(model, 'model.safetensors'), safetensorsFile(TENSORS));
  fs.writeFileSync(path.join(model, 'config.json'), '{"model_type": "x"}');
  fs.writeFileSync(path.join(model, 'tokenizer.json'), '{}');
  await compare(directory, 'model', {format: 'safetensors'});
  await compare(directory, 'model', {format: 'compressed-tensors'});
  await compare(directory, 'model', {for: 'transformers', format: 'gptq'});
  await compare(
      directory, 'model', {format: 'safetensors', max_shard_bytes: 131072});
});

test('gives the bytes of the command line, of quantized input', async () => {
  const directory = freshDirectory();
  fs.writeFileSync(
      path.join(directory, 'm.safetensors'), safetensorsFile(TENSORS));
  const checkpoint = await open(path.join(directory, 'm.safetensors'));
  // That the formats below have no place for.
  const recipe = {rules: [{match: 'conv.*', scheme: 'skip'}]};
  const plan = await checkpoint.plan({format: 'torch', recipe});
  await plan.run({sink: path.join(directory, 'q.pt'), workers: 1, hash: false})
      .result;
  checkpoint.close();
  await compare(
      directory, 'q.pt',
      {mode: 'dequantize', format: 'safetensors', dtype: 'F16'});
  await compare(directory, 'q.pt', {mode: 'dequantize', format: 'torch'});
  await compare(
      directory, 'q.pt', {mode: 'convert', format: 'compressed-tensors'});
  await compare(
      directory, 'q.pt', {mode: 'convert', format: 'safetensors'},
      {asStored: true});
});

after(() => fs.rmSync(temporary, {recursive: true}));
