// The file stays in the tab. Nobody else is asked for anything, and the page's
// own server for nothing once the page is loaded; the policy that says so is
// kept, and without any network the page works all the same.

import assert from 'node:assert/strict';
import * as path from 'node:path';
import test from 'node:test';

import {
  monoquantSha256, newFolder, requireChromium, until, withPage,
} from './harness.mjs';
import {writeSparseSafetensors} from './sparse_checkpoints.mjs';

requireChromium();

const input = path.join(newFolder('inputs'), 'secret.safetensors');
writeSparseSafetensors(input, 9e7);
const expected = await monoquantSha256(
    ['quantize', input, '--to', 'safetensors']);

async function wholeRun(tab) {
  await tab.inspect(input, {'output-format': 'safetensors'});
  assert.match(await tab.copiedCommand(), /^monoquant quantize /);
  await tab.finish();
  const [file] = await tab.download();
  assert.equal(file.sha256, expected);
}

// Waits until nothing was asked for a while.
async function quiet(server) {
  let seen = -1;
  let rounds = 0;
  await until('end of loading', async () => {
    rounds = server.log.length === seen ? rounds + 1 : 0;
    seen = server.log.length;
    return rounds > 25;
  }, () => seen);
}

test('nothing is asked of the server after loading', () => withPage(
    async (tab, {server}) => {
      await tab.offlineReady();
      await quiet(server);
      // The second visit, since the first may have begun before the worker that
      // answers for the server.
      await tab.goto();
      await quiet(server);
      assert.ok(server.log.every(({method}) => method === 'GET'));
      assert.deepEqual(server.log.filter(({status}) => status !== 200), []);
      server.clearLog();
      await wholeRun(tab);
      // The browser by itself may look for a newer version of the page.
      assert.deepEqual(server.log.filter(
          ({path: asked}) => asked !== '/service_worker.js'), []);
    }));

test('the first visit asks for files of the page only', () => withPage(
    async (tab, {server}) => {
      await wholeRun(tab);
      await tab.offlineReady();
      await quiet(server);
      for (const {method, path: asked, status} of server.log) {
        assert.equal(`${method} ${status}`, 'GET 200', asked);
        assert.doesNotMatch(asked, /secret/);
      }
    }));

test('without a network', () => withPage(async (tab, {context, server}) => {
  await tab.offlineReady();
  await quiet(server);
  // Both: the browser believes that it is offline, and nobody would answer.
  await context.setOffline(true);
  await server.close();
  await tab.goto();
  await wholeRun(tab);
}));

test('the policy is in the page and strict', () => withPage(async (tab) => {
  const policy = await tab.page.evaluate(
      () => document.querySelector(
          'meta[http-equiv="Content-Security-Policy"]')?.content ?? '');
  const rules = Object.fromEntries(policy.split(';').map(
      (rule) => rule.trim().split(/\s+/)).map(
      ([name, ...values]) => [name, values.join(' ')]));
  assert.deepEqual(rules, {
    'default-src': "'none'",
    'script-src': "'self' 'wasm-unsafe-eval'",
    'worker-src': "'self'",
    'connect-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' blob: data:",
    'manifest-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
  });
  // And it is in force: another origin cannot be reached, and the test that
  // collects violations sees that.
  const answer = await tab.page.evaluate(
      () => fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'refused'));
  assert.equal(answer, 'refused');
  await until('violation', () => tab.browser.problems.some(
      (text) => text.startsWith('policy: connect-src')));
}, {except: /connect-src|127\.0\.0\.2/}));

test('no text of the page names another origin', () => withPage(
    async (tab) => {
      const loads = await tab.page.evaluate(() => [
        ...document.querySelectorAll('[src], link[href]'),
      ].map((element) => element.src || element.href));
      for (const url of loads) {
        assert.equal(new URL(url).origin, tab.browser.origin);
      }
    }));
