// What the tests of this folder are given: --NAME=VALUE, each a path but for
// flags of one test.

import {execFileSync} from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';

const given = new Map(process.argv.slice(2).map((argument) => {
  const match = /^--([^=]+)(?:=(.*))?$/s.exec(argument);
  if (!match) throw new Error(`not --NAME=VALUE: ${argument}`);
  return [match[1], match[2] ?? ''];
}));

/** The value of --NAME, or `fallback`. */
export function option(name, fallback) {
  const value = given.get(name) ?? fallback;
  if (value === undefined) throw new Error(`--${name}= is missing`);
  return value;
}

/** The path given by --NAME, absolute. */
export function pathOf(name) {
  return path.resolve(option(name));
}

// Bazel's own folder for what a test writes; by hand a new one.
const base = process.env.TEST_TMPDIR ??
    fs.mkdtempSync(path.join(process.env.TMPDIR ?? '/tmp', 'page-test-'));

// A run of this program leaves nothing: the files of some tests are large.
const temporary = fs.mkdtempSync(path.join(base, 'page-'));
process.on('exit', () => {
  fs.rmSync(temporary, {recursive: true, force: true, maxRetries: 5});
  if (!process.env.TEST_TMPDIR) fs.rmSync(base, {recursive: true, force: true});
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}

/** A new folder that is removed at the end. */
export function newFolder(name = 'd') {
  return fs.mkdtempSync(path.join(temporary, `${name}-`));
}

/** Where a test leaves pictures for people: Bazel zips it. */
export function outputsFolder() {
  return process.env.TEST_UNDECLARED_OUTPUTS_DIR ?? option('outputs', base);
}

/** The folder given by --NAME; an archive there is unpacked first. */
export function folderOf(name) {
  const given = pathOf(name);
  if (fs.statSync(given).isDirectory()) return given;
  const folder = newFolder(name);
  const python = given.endsWith('.zip') ? 'zipfile' : 'tarfile';
  execFileSync('python3', ['-m', python, '-e', given, folder]);
  return folder;
}
