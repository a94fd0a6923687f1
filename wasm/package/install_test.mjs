// The archive as npm installs it, without a network, and the README's example.
//
// usage: node install_test.mjs TARBALL NODE_MODULES
//
// NODE_MODULES has typescript and @types/node.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test, {after} from 'node:test';

import {floatTensor, safetensorsFile} from '../testing/checkpoints.mjs';

const [tarball, modules] =
    process.argv.slice(2).map((name) => fs.realpathSync(name));
const temporary = fs.mkdtempSync(
    path.join(process.env.TEST_TMPDIR ?? fs.realpathSync('.'), 'install-'));
const project = path.join(temporary, 'project');

function npm(...args) {
  return execFileSync('npm', args, {
    cwd: project,
    encoding: 'utf8',
    env: {
      ...process.env,
      HOME: temporary,
      npm_config_cache: path.join(temporary, 'cache'),
      npm_config_update_notifier: 'false',
    },
  });
}

fs.mkdirSync(project);
fs.writeFileSync(
    path.join(project, 'package.json'),
    '{"name": "project", "private": true, "type": "module"}');
// npm tells what it installs by its extension.
fs.copyFileSync(tarball, path.join(temporary, 'monoquant-core.tgz'));
npm('install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund',
    '../monoquant-core.tgz');
const installed = path.join(project, 'node_modules/@monoquant/core');

test('has what it promises, and nothing else', () => {
  const description = JSON.parse(
      fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
  assert.equal(description.name, '@monoquant/core');
  assert.equal(description.license, 'Apache-2.0');
  assert.equal(description.scripts, undefined);
  assert.equal(description.dependencies, undefined);
  assert.deepEqual(
      fs.readdirSync(installed).sort(),
      ['LICENSE', 'README.md', 'dist', 'package.json']);
  const {exports: entries} = description;
  for (const where of [
    entries['.'].types, entries['.'].default, entries['./worker.js'],
    entries['./monoquant.wasm'], ...Object.keys(description.browser),
  ]) {
    assert.ok(fs.existsSync(path.join(installed, where)), where);
  }
  for (const name of fs.readdirSync(path.join(installed, 'dist'))) {
    assert.match(name, /\.(js|mjs|d\.ts|d\.mts|wasm)$/);
  }
});

test('can be imported by name', () => {
  const text = execFileSync(
      process.execPath,
      [
        '--input-type=module', '-e',
        'import {about} from "@monoquant/core";' +
            'console.log((await about()).formats.length > 5);',
      ],
      {cwd: project, encoding: 'utf8'});
  assert.equal(text, 'true\n');
});

test('the example of the README runs', () => {
  const readme = fs.readFileSync(path.join(installed, 'README.md'), 'utf8');
  const [, example] = /```js\n([^]*?)```/.exec(readme);
  fs.writeFileSync(path.join(project, 'example.js'), example);
  fs.writeFileSync(
      path.join(project, 'model.safetensors'), safetensorsFile([
        floatTensor('layer.weight', [128, 256], 1),
        floatTensor('layer.bias', [128], 2),
      ]));
  const text = execFileSync(
      process.execPath, ['example.js'], {cwd: project, encoding: 'utf8'});
  assert.match(text, /^2 tensors\n\d+ bytes to write\n/);
  assert.match(text, /model-int8\.safetensors [0-9a-f]{64}\n/);
  assert.match(text, /layer\.weight 4\d\.\d+ dB\n$/);
  assert.ok(fs.existsSync(path.join(project, 'model-int8.safetensors')));
});

test('has types', () => {
  const consumer = path.join(project, 'consumer.ts');
  fs.writeFileSync(consumer, `
import {cliCommand, MonoquantError, open} from '@monoquant/core';
import type {RunProgress} from '@monoquant/core';

const checkpoint = await open('m.pt', {root: 'model'});
const plan = await checkpoint.plan({for: 'vllm'}, {});
const run = plan.run({sink: 'out', workers: 2, signal: AbortSignal.timeout(1)});
let last: RunProgress|null = null;
for await (const progress of run) last = progress;
const {files} = await run.result;
const digest: string = files[0]!.sha256;
const survey =
    await checkpoint.survey('a', {against: {checkpoint, tensor: 'b'}});
const worst: number|undefined = survey.error?.max_abs_error;
const line: string = cliCommand({for: 'vllm'}, {input: 'm.pt', output: 'out'});
const error = new MonoquantError({code: 'x', exitCode: 1, message: ''});
console.log(last, digest, worst, line, error.advice);
// @ts-expect-error There is no such option.
plan.run({sinks: 'out'});
`);
  const options = [
    path.join(modules, 'typescript/bin/tsc'), '--noEmit', '--strict',
    '--target', 'es2022', '--lib', 'es2022,dom,dom.asynciterable',
    '--typeRoots', path.join(modules, '@types'), '--types', 'node',
  ];
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'], ['esnext', 'bundler'],
  ]) {
    execFileSync(
        process.execPath,
        [...options, '--module', module, '--moduleResolution', resolution,
         consumer],
        {cwd: project, stdio: ['ignore', 'inherit', 'inherit']});
  }
});

after(() => fs.rmSync(temporary, {recursive: true}));
