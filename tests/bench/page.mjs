// bazel run //tests/bench:page [-- --gigabytes=4 --workers=2 --runs=3
//     --types=int8 --containers=safetensors,zip]
//
// Whole runs of the package in a stock Chromium, beside the same file read
// alone in the same browser, which is the most that any program there can do:
// gigabytes of input a second, medians of runs taken in turns.

import * as fs from 'node:fs';
import * as path from 'node:path';

import {folderOf} from '../page/arguments.mjs';
import {
  newFolder, option, requireChromium, until, withBrowser,
} from '../page/harness.mjs';
import {packageEntry} from '../page/package_entry.mjs';
import {
  writeSparseSafetensors, writeSparseTorchZip,
} from '../page/sparse_checkpoints.mjs';

requireChromium();

const gigabytes = Number(option('gigabytes', '4'));
const runs = Number(option('runs', '3'));
const workers = option('workers', '1,2').split(',').map(Number);
const types = option('types', 'int8,int4,nf4').split(',');

const containers = option('containers', 'safetensors,zip').split(',');

const WRITERS = {safetensors: writeSparseSafetensors, zip: writeSparseTorchZip};
const inputs = containers.map((container) => {
  const input = path.join(newFolder('bench'), `model.${container}`);
  WRITERS[container](input, gigabytes * 1e9, {full: true});
  return {container, input, size: fs.statSync(input).size};
});
const packageFolder = folderOf('package');
const inPage = path.join(
    path.dirname(new URL(import.meta.url).pathname), '../page/in_page');
const packageUrl = `/test/package/${packageEntry(packageFolder, 'browser')}`;

// Seconds of one act of in_page/measure.mjs on the file of an input element.
async function measure(page, element, act, first, ...rest) {
  const measuring = page.evaluate(async ({act, element, first, rest}) => {
    const measures = await import('/test/in_page/measure.mjs');
    return measures[act](first, element.files[0], ...rest);
  }, {act, element, first, rest});
  let ended = false;
  measuring.catch(() => {}).finally(() => ended = true);
  await until(act, () => ended, () => page.evaluate(
      async () => (await import('/test/in_page/measure.mjs')).progress.bytes));
  return measuring;
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function compare(page, element, {container, size}, type, count) {
  const quantized = [];
  const read = [];
  for (let i = 0; i < runs; ++i) {
    quantized.push(await measure(
        page, element, 'quantize', packageUrl,
        {format: 'safetensors', recipe: {defaults: {format: type}}}, count));
    read.push(await measure(
        page, element, 'readAlone', '/test/in_page/read_alone.mjs', count));
  }
  const [ours, least] = [median(quantized), median(read)];
  console.log(
      `| ${container} | ${type} | ${count} | ${(size / 1e9 / ours).toFixed(2)} | ` +
      `${(size / 1e9 / least).toFixed(2)} | ${(ours / least).toFixed(2)} |`);
}

await withBrowser(async (browser) => {
  const {page} = await browser.newTab();
  const element = await page.evaluateHandle(() => {
    const made = document.createElement('input');
    made.type = 'file';
    return made;
  });
  console.log(`${gigabytes} GB of F32`);
  console.log('| of | type | workers | GB/s | read alone, GB/s | ratio |');
  console.log('|---|---|---|---|---|---|');
  for (const input of inputs) {
    await element.setInputFiles(input.input);
    for (const type of types) {
      for (const count of workers) {
        await compare(page, element, input, type, count);
      }
    }
  }
}, {extra: {'/test/package/': packageFolder, '/test/in_page/': inPage}});
