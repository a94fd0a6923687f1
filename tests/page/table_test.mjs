// A model of 100,000 tensors: the page stays quick, because it draws only the
// rows that are seen. What it may take is told in terms of what the same
// browser takes to sort as many names, so that a busy machine fails no test.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {newFolder, requireChromium, until, withPage} from './harness.mjs';

requireChromium();

const TENSORS = 100_000;
const MAX_ROWS = 200;
// The longest that the page may not answer, in sorts of all the names.
const MAX_SORTS = 10;

function writeModel(file) {
  const header = {};
  for (let i = 0; i < TENSORS; ++i) {
    // The order of the file is not that of the names.
    const name = `layers.${(i * 7919) % TENSORS}.mlp.experts.weight`;
    header[name] = {
      dtype: 'F32', shape: [32, 32],
      data_offsets: [i * 4096, (i + 1) * 4096],
    };
  }
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  fs.writeFileSync(file, Buffer.concat([size, text]));
  fs.truncateSync(file, 8 + text.length + TENSORS * 4096);
}

const model = path.join(newFolder('inputs'), 'many.safetensors');
writeModel(model);

// Runs in the page: notes how long it does not answer at most.
function observe() {
  window.longestTask = 0;
  new PerformanceObserver((list) => {
    for (const {duration} of list.getEntries()) {
      window.longestTask = Math.max(window.longestTask, duration);
    }
  }).observe({type: 'longtask', buffered: true});
}

// Runs in the page: milliseconds to sort as many names, the median of five.
function sortNames(count) {
  const times = Array.from({length: 5}, () => {
    const names = Array.from(
        {length: count}, (_, i) => `layers.${(i * 7919) % count}.mlp.weight`);
    const begin = performance.now();
    names.sort();
    return performance.now() - begin;
  });
  return times.sort((a, b) => a - b)[2];
}

// The rows of the table that are in the document.
function rows(tab) {
  return tab.control('tensor-table').evaluate((table) => [
    ...table.querySelectorAll('[role="row"], tbody tr'),
  ].map((row) => row.textContent));
}

async function longestOf(tab, act) {
  await tab.page.evaluate(() => window.longestTask = 0);
  await act();
  const drawn = await rows(tab);
  assert.ok(drawn.length > 5, `${drawn.length} rows`);
  assert.ok(drawn.length < MAX_ROWS, `${drawn.length} rows`);
  // Of the observer, which is told later.
  await tab.page.waitForTimeout(200);
  return tab.page.evaluate(() => window.longestTask);
}

test('a table of 100,000 tensors', () => withPage(async (tab) => {
  const {page} = tab;
  await page.evaluate(observe);
  const took = {};
  const table = tab.control('tensor-table');
  const shows = (text) => until(
      `row of ${text}`,
      async () => (await rows(tab)).some((row) => row.includes(text)));

  took.open = await longestOf(tab, async () => {
    await tab.inspect(model);
    await table.waitFor();
    await shows('mlp.experts');
  });
  assert.match(
      await page.evaluate(() => document.body.innerText), /100[,. \u202f]?000/);

  const filter = tab.control('filter');
  took.filter = await longestOf(tab, async () => {
    await filter.pressSequentially('layers.4242.');
    await shows('layers.4242.');
    await until('the others to go', async () => (await rows(tab)).every(
        (row) => !row.includes('layers.1.')));
  }).catch(async (error) => {
    // One row is all that is left: fewer than longestOf asks for.
    assert.match(error.message, /^\d rows/);
    return page.evaluate(() => window.longestTask);
  });
  took['clear the filter'] = await longestOf(tab, async () => {
    await filter.fill('');
    await until('all rows', async () => (await rows(tab)).length > 5);
  });

  took.sort = await longestOf(tab, async () => {
    const before = (await rows(tab)).join();
    const header = table.locator('[role="columnheader"], th').first();
    const button = header.locator('button');
    const target = await button.count() > 0 ? button.first() : header;
    await target.click();
    await until('another order', async () => {
      if ((await rows(tab)).join() !== before) return true;
      await target.click();
      return false;
    });
  });

  took.scroll = await longestOf(tab, async () => {
    const last = await table.evaluate((element) => {
      const scrolls = (one) => one && one.scrollHeight > one.clientHeight + 1 &&
          /auto|scroll/.test(getComputedStyle(one).overflowY);
      let box = [element, ...element.querySelectorAll('*')].find(scrolls);
      for (let up = element; !box && up; up = up.parentElement) {
        if (scrolls(up)) box = up;
      }
      box ??= document.scrollingElement;
      window.scrolled = box;
      return box.scrollHeight;
    });
    assert.ok(last > 100_000, `the table is ${last} pixels high`);
    const seen = new Set();
    for (let i = 1; i <= 40; ++i) {
      await page.evaluate((part) => {
        window.scrolled.scrollTop = window.scrolled.scrollHeight * part;
        return new Promise((resolve) => requestAnimationFrame(
            () => requestAnimationFrame(resolve)));
      }, i / 40);
      const drawn = await rows(tab);
      assert.ok(drawn.length < MAX_ROWS, `${drawn.length} rows`);
      seen.add(drawn[Math.floor(drawn.length / 2)]);
    }
    assert.ok(seen.size >= 35, `only ${seen.size} different rows were seen`);
  });

  const sorting = await page.evaluate(sortNames, TENSORS);
  for (const [what, milliseconds] of Object.entries(took)) {
    console.log(`${what}: ${Math.round(milliseconds)} ms, ` +
                `${(milliseconds / sorting).toFixed(2)} sorts`);
    assert.ok(milliseconds < MAX_SORTS * sorting, what);
  }
}));

test('an assistive program is told of all of them', () => withPage(
    async (tab) => {
      await tab.inspect(model);
      const table = tab.control('tensor-table');
      await table.waitFor();
      const count = await table.evaluate((element) => Number((
          element.closest('[aria-rowcount]') ??
          element.querySelector('[aria-rowcount]'))?.getAttribute(
          'aria-rowcount')));
      assert.ok(count === TENSORS || count === TENSORS + 1, `${count}`);
    }));
