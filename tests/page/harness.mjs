// A stock Chromium with the page in it, driven as a person would: by files,
// controls and what they show. What the page must not do is collected all the
// while, and a run that stands still fails.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import * as fs from 'node:fs';
import {createRequire} from 'node:module';
import * as path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

import {folderOf, newFolder, pathOf} from './arguments.mjs';
import {Server} from './server.mjs';

export {newFolder, option, outputsFolder, pathOf} from './arguments.mjs';
export {sleep};

/** Progress that does not move for so long is a run that hangs. */
export const STALL_SECONDS = 20;

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
const FOLDERS = ['/usr/bin', '/usr/local/bin', '/bin', '/snap/bin'];

/** The browser's path, or null. */
export function findChromium() {
  for (const program of PROGRAMS) {
    for (const folder of FOLDERS) {
      const found = path.join(folder, program);
      if (fs.existsSync(found)) return found;
    }
  }
  return null;
}

/**
 * Ends a test without a browser: well, and saying SKIPPED, on somebody's
 * machine; badly where everything has to be tested (CI=true).
 */
export function requireChromium() {
  if (findChromium() !== null) return;
  console.log(
      'SKIPPED: no Chromium on this machine; install the package chromium ' +
      `(looked for ${PROGRAMS.join(', ')} in ${FOLDERS.join(', ')})`);
  process.exit(process.env.CI === 'true' ? 1 : 0);
}

function loadPlaywright() {
  const require = createRequire(path.join(pathOf('modules'), 'index.js'));
  return require('playwright-core');
}

/** A file of an npm package, as text. */
export function packageFile(...parts) {
  return fs.readFileSync(path.join(pathOf('modules'), ...parts), 'utf8');
}

/** The sha256 of a file of any size. */
export async function sha256Of(file) {
  const hash = createHash('sha256');
  for await (const piece of fs.createReadStream(file)) hash.update(piece);
  return hash.digest('hex');
}

/** Runs the command line; returns what it prints. Throws what it says. */
export function monoquant(args, options = {}) {
  return execFileSync(pathOf('monoquant'), args, {
    encoding: 'utf8', maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
}

/** The sha256 of what the command line makes of `args`, all but the output. */
export async function monoquantSha256(args, name = 'output.safetensors') {
  const folder = newFolder('native');
  const output = path.join(folder, name);
  monoquant([...args, '-o', output, '--quiet']);
  const sha256 = await sha256Of(output);
  fs.rmSync(folder, {recursive: true});
  return sha256;
}

/**
 * Waits until `condition` is true and returns it. `moving` gives something that
 * changes as long as there is hope; what does not change for so long fails.
 */
export async function until(
    what, condition, moving = () => '', seconds = STALL_SECONDS) {
  let last;
  let since = performance.now();
  for (;;) {
    const found = await condition();
    if (found) return found;
    const now = JSON.stringify(await moving());
    if (now !== last) {
      last = now;
      since = performance.now();
    }
    assert.ok(
        performance.now() - since < seconds * 1000,
        `no ${what}: nothing has moved for ${seconds} s; last: ${last}`);
    await sleep(20);
  }
}

// Runs in the page before its own scripts.
function observe() {
  window.monoquantStates = [];
  const note = () => {
    const {state} = document.documentElement.dataset;
    if (state) window.monoquantStates.push(state);
  };
  const begin = () => {
    note();
    new MutationObserver(note).observe(
        document.documentElement,
        {attributes: true, attributeFilter: ['data-state']});
  };
  if (document.documentElement) begin();
  else document.addEventListener('readystatechange', begin, {once: true});
  document.addEventListener('securitypolicyviolation', (event) => {
    window.monoquantViolation(
        `${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
  });
}

/** A browser with a profile of its own, and a server that has the page. */
export class Browser {
  /**
   * What the page did wrong so far: errors on its console or that nobody
   * caught, violations of its policy, requests to others, dead tabs.
   */
  problems = [];

  /**
   * Options: `preferences` of the browser, `extra` {URL prefix: folder} to
   * serve besides, `rewrite` of the server, and those of Playwright, such as
   * `colorScheme` and `viewport`.
   */
  static async open({preferences, extra = {}, rewrite, ...options} = {}) {
    const browser = new Browser();
    browser.dist = folderOf('dist');
    browser.server = new Server({'/': browser.dist, ...extra}, rewrite);
    browser.origin = await browser.server.listen();
    browser.profile = newFolder('profile');
    if (preferences) {
      fs.mkdirSync(path.join(browser.profile, 'Default'));
      fs.writeFileSync(
          path.join(browser.profile, 'Default', 'Preferences'),
          JSON.stringify(preferences));
    }
    const {chromium} = loadPlaywright();
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      acceptDownloads: true,
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
      // All that Chromium keeps is in the test's own folder.
      downloadsPath: newFolder('downloads'),
      env: {
        ...process.env, HOME: browser.profile,
        XDG_CACHE_HOME: browser.profile, XDG_CONFIG_HOME: browser.profile,
        XDG_RUNTIME_DIR: browser.profile,
      },
      executablePath: findChromium(),
      viewport: {width: 1280, height: 800},
      ...options,
    });
    await browser.context.grantPermissions(
        ['clipboard-read', 'clipboard-write'], {origin: browser.origin});
    await browser.context.exposeBinding(
        'monoquantViolation',
        (_, text) => browser.problems.push(`policy: ${text}`));
    await browser.context.addInitScript(observe);
    browser.context.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${browser.origin}/`) &&
          !/^(blob|data):/.test(url)) {
        browser.problems.push(`request to ${url}`);
      }
    });
    return browser;
  }

  /** A new tab with the page. */
  async newTab(where = '/') {
    const tab = new Tab(this, await this.context.newPage());
    await tab.goto(where);
    return tab;
  }

  /** Fails if the page has done something wrong; `except` is a RegExp. */
  check(except = null) {
    const problems = this.problems.filter((text) => !except?.test(text));
    assert.deepEqual(problems, []);
  }

  async close() {
    await this.context.close();
    await this.server.close();
    fs.rmSync(this.profile, {recursive: true, force: true, maxRetries: 5});
  }
}

/**
 * Runs body(browser) with a browser of its own, which ends with it, and then
 * checks that the page has done nothing wrong. Options: those of Browser.open,
 * and `except`, a RegExp of problems that are meant.
 */
export async function withBrowser(body, {except, ...options} = {}) {
  const browser = await Browser.open(options);
  try {
    await body(browser);
    browser.check(except);
  } finally {
    await browser.close();
  }
}

/** The same with a tab that has the page: body(tab, browser). */
export function withPage(body, options) {
  return withBrowser(
      async (browser) => body(await browser.newTab(), browser), options);
}

/** A tab with the page: its controls by their data-test names. */
export class Tab {
  constructor(browser, page) {
    this.browser = browser;
    this.page = page;
    page.on('console', (message) => {
      if (message.type() !== 'error') return;
      browser.problems.push(
          `console: ${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => {
      browser.problems.push(`uncaught: ${error.message}`);
    });
    page.on('crash', () => browser.problems.push('the tab died'));
    // Only beforeunload asks, and the test means to leave.
    page.on('dialog', (dialog) => dialog.accept().catch(() => {}));
  }

  async goto(where = '/') {
    await this.page.goto(`${this.browser.origin}${where}`);
    await this.ready();
  }

  /** Waits until a page that was loaded can be used. */
  async ready() {
    await this.state('empty');
    await this.control('drop-zone').waitFor();
    await this.drawn();
  }

  /** The controls with this name. */
  control(name) {
    return this.page.locator(`[data-test="${name}"]`);
  }

  /** Waits for one of these states of the page, and returns it. */
  async state(...wanted) {
    return until(`state ${wanted.join(' or ')}`, async () => {
      const state = await this.now();
      return wanted.includes(state) ? state : null;
    }, () => this.moving());
  }

  /** The page's state at this moment. */
  now() {
    return this.page.evaluate(() => document.documentElement.dataset.state);
  }

  /** All states that the page was in since it was loaded. */
  states() {
    return this.page.evaluate(() => window.monoquantStates);
  }

  /** Does `act`, and waits for one of these states after it. */
  async after(act, ...wanted) {
    const before = (await this.states()).length;
    await act();
    const state = await until(`state ${wanted.join(' or ')}`, async () => {
      const later = (await this.states()).slice(before);
      const last = later[later.length - 1];
      return wanted.includes(last) ? last : null;
    }, () => this.moving());
    await this.drawn();
    return state;
  }

  /** Waits until what the page knows by now is seen. */
  drawn() {
    return this.page.evaluate(() => new Promise((resolve) => {
      requestAnimationFrame(() => requestAnimationFrame(resolve));
    }));
  }

  /** Something that changes as long as the page works. */
  async moving() {
    return [await this.now(), await this.progress(),
            (await this.states()).length];
  }

  /** How far a run is, 0 to 1; null where nothing tells. */
  progress() {
    return this.page.evaluate(() => {
      const bars = 'progress, [role="progressbar"]';
      const control = document.querySelector('[data-test="progress"]');
      const bar = control?.matches(bars) ? control :
          control?.querySelector(bars);
      if (!bar) return null;
      const value = bar.getAttribute('value') ??
          bar.getAttribute('aria-valuenow');
      const max = bar.getAttribute('max') ?? bar.getAttribute('aria-valuemax');
      return value === null ? null : Number(value) / Number(max ?? 1);
    });
  }

  /** Gives files to a control: an input, or a button that asks for them. */
  async give(name, paths) {
    const control = this.control(name);
    if (await control.evaluate((element) => element.matches('input'))) {
      await control.setInputFiles(paths);
      return;
    }
    const inner = control.locator('input[type="file"]');
    if (await inner.count() > 0) {
      await inner.first().setInputFiles(paths);
      return;
    }
    const asked = this.page.waitForEvent('filechooser');
    await control.click();
    await (await asked).setFiles(paths);
  }

  /** Opens files, or a directory, as a checkpoint: 'inspect' or 'error'. */
  async open(paths, control = 'file-input') {
    const answers = () => this.page.evaluate(
        () => document.documentElement.dataset.answers);
    const before = await answers();
    return this.after(async () => {
      await this.give(control, paths);
      // What is still drawn of the file before is no answer.
      await until(
          'answer to a file', async () => await answers() !== before,
          () => this.moving());
    }, 'inspect', 'error');
  }

  /** Opens what can be opened, and sets the recipe where one is given. */
  async inspect(paths, settings = {}) {
    const state = await this.open(paths);
    assert.equal(state, 'inspect', await this.errorOrNothing());
    await this.recipe(settings);
  }

  openDirectory(folder) {
    return this.open(folder, 'directory-input');
  }

  /** Sets one control of the recipe: a list, a choice or a field. */
  async choose(name, value) {
    const control = this.control(name);
    await control.first().waitFor({state: 'attached'});
    const tag = await control.first().evaluate(
        (element) => `${element.localName} ${element.type ?? ''}`);
    if (tag.startsWith('select')) {
      await control.selectOption(value);
    } else if (/^input (text|number|search)/.test(tag)) {
      await control.fill(value);
      await control.press('Tab');
    } else {
      await this.page
          .locator(`[data-test="${name}"] input[value="${value}"], ` +
                   `input[data-test="${name}"][value="${value}"]`)
          .check();
    }
  }

  /** Sets the controls of a recipe: {scheme: 'int4', 'group-size': '64'}. */
  async recipe(settings) {
    for (const [name, value] of Object.entries(settings)) {
      await this.choose(name, String(value));
    }
  }

  /** Waits until what is chosen has been planned: true if it can be run. */
  async planned() {
    await this.drawn();
    const outcome = await until('plan', () => this.page.evaluate(() => {
      const control = (name) => document.querySelector(`[data-test="${name}"]`);
      const estimate = control('estimate');
      if (!estimate || estimate.getAttribute('aria-busy') === 'true') return '';
      if (control('run')?.disabled === false) return 'ready';
      return control('error') ? 'refused' : '';
    }));
    return outcome === 'ready';
  }

  /** Runs to the end: 'result' or 'error'. */
  async run() {
    assert.ok(await this.planned(), 'nothing can be run');
    return this.after(() => this.control('run').click(), 'result', 'error');
  }

  /** Runs to the result. */
  async finish() {
    assert.equal(await this.run(), 'result', await this.errorOrNothing());
  }

  /** Starts a run and returns when it is at `fraction`. */
  async runTo(fraction) {
    assert.ok(await this.planned(), 'nothing can be run');
    await this.after(() => this.control('run').click(), 'running');
    await until(`progress of ${fraction}`, async () => {
      const state = await this.now();
      assert.equal(state, 'running', await this.errorOrNothing());
      return await this.progress() >= fraction;
    }, () => this.moving());
  }

  /** Downloads the output: [{name, path, sha256}], a file each. */
  async download() {
    const buttons = this.control('download');
    await buttons.first().waitFor();
    const files = [];
    for (let i = 0; i < await buttons.count(); ++i) {
      const begun = this.page.waitForEvent('download');
      await buttons.nth(i).click();
      const download = await begun;
      const name = download.suggestedFilename();
      const file = path.join(newFolder('saved'), name);
      await download.saveAs(file);
      await download.delete();
      files.push({name, path: file, sha256: await sha256Of(file)});
    }
    return files;
  }

  /** Clicks what saves a small file; returns where that lies. */
  async save(name) {
    const begun = this.page.waitForEvent('download');
    await this.control(name).first().click();
    const download = await begun;
    const file = path.join(newFolder('saved'), download.suggestedFilename());
    await download.saveAs(file);
    return file;
  }

  /** The hashes that the result shows. */
  async shownSha256() {
    return until('sha256', async () => {
      const texts = await this.control('sha256').allTextContents();
      const found = texts.join(' ').match(/\b[0-9a-f]{64}\b/g);
      return found && [...new Set(found)];
    });
  }

  /** What the error says. */
  async error() {
    await this.control('error').first().waitFor();
    return (await this.control('error').allInnerTexts()).join('\n').trim();
  }

  async errorOrNothing() {
    return (await this.now()) === 'error' ? this.error() : '';
  }

  /** What is on the clipboard after the command line was copied. */
  async copiedCommand() {
    await this.planned();
    await this.page.evaluate(() => navigator.clipboard.writeText(''));
    await this.control('copy-command').click();
    return until('command on the clipboard', () => this.page.evaluate(
        () => navigator.clipboard.readText()));
  }

  /** The names of all that the origin's private file system holds. */
  stored() {
    return this.page.evaluate(async () => {
      const found = [];
      const walk = async (folder, prefix) => {
        for await (const [name, handle] of folder.entries()) {
          if (handle.kind === 'directory') {
            await walk(handle, `${prefix}${name}/`);
          } else {
            found.push(prefix + name);
          }
        }
      };
      await walk(await navigator.storage.getDirectory(), '');
      return found;
    });
  }

  /** Waits until the origin's private file system is empty. */
  async nothingStored() {
    let stored;
    await until('empty storage', async () => {
      stored = await this.stored();
      return stored.length === 0;
    }, () => stored);
  }

  /** Waits until the page can be used without the server. */
  offlineReady() {
    return until('service worker', () => this.page.evaluate(
        () => navigator.serviceWorker.getRegistration().then(
            (registration) => Boolean(registration?.active))));
  }
}
