// Everybody can use it: axe finds nothing serious in any state, light or dark,
// wide or narrow; and the keyboard alone is enough. Pictures of every state are
// left among the test's outputs.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {
  newFolder, outputsFolder, packageFile, requireChromium,
  sha256Of, until, withPage,
} from './harness.mjs';
import {writeSparseSafetensors} from './sparse_checkpoints.mjs';

requireChromium();

const axe = packageFile('axe-core', 'axe.min.js');
const folder = newFolder('inputs');
const model = path.join(folder, 'model.safetensors');
writeSparseSafetensors(model, 9e7);
const large = path.join(folder, 'large.safetensors');
writeSparseSafetensors(large, 4e9);
const broken = path.join(folder, 'broken.pt');
fs.writeFileSync(broken, 'no checkpoint');

const found = new Set();

// Looks at the state in which the tab is, and takes its picture.
async function look(tab, state, where) {
  assert.equal(await tab.now(), state);
  await tab.page.screenshot({
    path: path.join(outputsFolder(), `${state}-${where}.png`), fullPage: true,
    animations: 'disabled',
  });
  if (await tab.page.evaluate(() => typeof axe === 'undefined')) {
    await tab.page.evaluate(axe);
  }
  const violations = await tab.page.evaluate(async () => {
    const result = await axe.run(document, {resultTypes: ['violations']});
    return result.violations
        .filter(({impact}) => impact === 'serious' || impact === 'critical')
        .flatMap(({id, impact, nodes}) => nodes.map(
            ({target, failureSummary}) =>
                `${id} (${impact}) ${target}: ${failureSummary}`));
  });
  assert.deepEqual(violations, [], `${state}, ${where}`);
  const overflow = await tab.page.evaluate(
      () => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${state}, ${where}: ${overflow} pixels too wide`);
  found.add(state);
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1280]) {
    const where = `${colorScheme}-${width}`;
    test(where, () => withPage(async (tab) => {
      const {page} = tab;
      await look(tab, 'empty', where);
      assert.equal(await tab.open(broken), 'error');
      await look(tab, 'error', where);
      await tab.inspect(model);
      await tab.control('tensor-table').waitFor();
      await look(tab, 'inspect', where);
      await tab.finish();
      await look(tab, 'result', where);
      await tab.inspect(large);
      await tab.runTo(0.01);
      await look(tab, 'running', where);
      await tab.after(() => tab.control('cancel').click(), 'inspect');
      // Text twice as large must not be cut off or overlap: axe cannot tell,
      // the pictures can.
      await page.evaluate(() => {
        document.documentElement.style.fontSize = '200%';
      });
      await page.screenshot({
        path: path.join(outputsFolder(), `inspect-${where}-large-text.png`),
        fullPage: true,
      });
    }, {colorScheme, viewport: {width, height: 800}}));
  }
}

test('every state was looked at', () => {
  assert.deepEqual([...found].sort(),
                   ['empty', 'error', 'inspect', 'result', 'running']);
});

// Presses Tab until the control has the focus, and checks that this is seen.
async function tabTo(page, name) {
  for (let i = 0; i < 400; ++i) {
    await page.keyboard.press('Tab');
    const focus = await page.evaluate((wanted) => {
      const element = document.activeElement;
      const control = element?.closest(`[data-test="${wanted}"]`);
      if (!control) return null;
      const style = getComputedStyle(element);
      const label = element.labels?.[0];
      return {
        seen: [style, label && getComputedStyle(label)].some(
            (one) => one && (one.outlineStyle !== 'none' ||
                             one.boxShadow !== 'none')),
      };
    }, name);
    if (focus) {
      assert.ok(focus.seen, `the focus on ${name} is not seen`);
      return;
    }
  }
  assert.fail(`Tab does not reach ${name}`);
}

test('by keyboard alone', () => withPage(async (tab) => {
  const {page} = tab;
  // Asked for before the keys: the browser opens a chooser of its own, which
  // nobody can see, as long as it does not know that somebody waits.
  const asked = page.waitForEvent('filechooser');
  // Its first button; the input itself is not seen.
  await tabTo(page, 'drop-zone');
  await page.keyboard.press('Enter');
  const chooser = await asked;
  await tab.after(() => chooser.setFiles(model), 'inspect');
  await tabTo(page, 'filter');
  await page.keyboard.type('layers.1');
  await tabTo(page, 'run');
  await tab.after(() => page.keyboard.press('Enter'), 'result');
  await tabTo(page, 'download');
  const begun = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  const saved = path.join(newFolder('saved'), 'output');
  await (await begun).saveAs(saved);
  assert.ok((await tab.shownSha256()).includes(await sha256Of(saved)));
  await tabTo(page, 'again');
  await tab.after(() => page.keyboard.press('Enter'), 'inspect', 'empty');
}));

test('what happens is announced', () => withPage(async (tab) => {
  const {page} = tab;
  const live = () => page.evaluate(() => [...document.querySelectorAll(
      '[aria-live], [role="status"], [role="alert"]')].map(
      (element) => element.textContent.trim()).filter(Boolean).join(' '));
  const before = await live();
  await tab.open(model);
  await until('announcement of the file', async () => await live() !== before);
  await tab.run();
  await until(
      'announcement of the end',
      async () => /done|ready|finished|complete|quantized/i.test(await live()),
      live);
  await tab.open(broken);
  await until(
      'announcement of the error',
      async () => /broken\.pt|checkpoint/i.test(await live()), live);
  // Who cannot see goes on where it happened.
  assert.notEqual(
      await page.evaluate(() => document.activeElement?.localName), 'body');
}));

test('without motion where none is wanted', () => withPage(async (tab) => {
  await tab.inspect(model);
  const moving = await tab.page.evaluate(() => document.getAnimations().filter(
      (animation) => animation.playState === 'running').length);
  assert.equal(moving, 0);
}, {reducedMotion: 'reduce'}));
