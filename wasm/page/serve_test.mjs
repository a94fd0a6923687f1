// The server of the page: the right types, and nothing outside of its folder.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import test, {after, before} from 'node:test';

import {findFile, serve} from './serve.mjs';

const base =
    fs.mkdtempSync(path.join(process.env.TEST_TMPDIR ?? os.tmpdir(), 'serve-'));
const folder = path.join(base, 'site');
fs.mkdirSync(path.join(folder, 'sub'), {recursive: true});
fs.writeFileSync(path.join(folder, 'index.html'), '<p>page</p>');
fs.writeFileSync(path.join(folder, 'a b.wasm'), 'module');
fs.writeFileSync(path.join(folder, 'sub', 'index.html'), 'sub');
fs.writeFileSync(path.join(base, 'secret'), 'secret');
fs.mkdirSync(path.join(base, 'site-2'));
fs.writeFileSync(path.join(base, 'site-2', 'secret'), 'secret');

let server;
before(async () => {
  server = await serve(folder, 0);
});
after(() => {
  server.close();
  fs.rmSync(base, {recursive: true});
});

// As it stands: fetch would take the dots away.
function ask(pathname, method = 'GET') {
  return new Promise((resolve, reject) => {
    http.request(
            {
              port: server.address().port,
              host: '127.0.0.1',
              path: pathname,
              method
            },
            (response) => {
              let text = '';
              response.on('data', (piece) => text += piece);
              response.on('end', () => resolve({
                                   status: response.statusCode,
                                   text,
                                   type: response.headers['content-type'],
                                 }));
            })
        .on('error', reject)
        .end();
  });
}

test('files, with their types', async () => {
  assert.deepEqual(await ask('/'), {
    status: 200,
    text: '<p>page</p>',
    type: 'text/html; charset=utf-8',
  });
  assert.deepEqual(await ask('/a%20b.wasm?x=1'), {
    status: 200,
    text: 'module',
    type: 'application/wasm',
  });
  assert.equal((await ask('/sub/')).text, 'sub');
  assert.equal((await ask('/', 'HEAD')).text, '');
});

test('nothing else', async () => {
  for (const pathname
           of ['/missing',
               '/sub',
               '/../secret',
               '/%2e%2e/secret',
               '/sub/../../secret',
               '/..%2fsecret',
               '/../site-2/secret',
               '/%00',
               '/%',
               '//etc/passwd',
  ]) {
    assert.equal((await ask(pathname)).status, 404, pathname);
  }
  assert.equal((await ask('/', 'POST')).status, 405);
  assert.equal(findFile(folder, 'index.html'), null);
});
