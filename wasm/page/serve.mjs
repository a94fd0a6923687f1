// Serves a folder of static files on this machine: what any host does for the
// page.
//
// usage: node serve.mjs FOLDER [PORT]

import * as fs from 'node:fs';
import * as http from 'node:http';
import * as path from 'node:path';
import {fileURLToPath} from 'node:url';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** The file that a path of a URL asks for; null if there is none. */
export function findFile(folder, pathname) {
  let name;
  try {
    name = decodeURIComponent(pathname);
  } catch {
    return null;
  }
  if (!name.startsWith('/') || name.includes('\0')) return null;
  if (name.endsWith('/')) name += 'index.html';
  const root = fs.realpathSync(folder);
  const file = path.join(root, name);
  // Nobody leaves the folder by dots. Its files may be links: under Bazel they
  // are.
  if (!file.startsWith(root + path.sep)) return null;
  if (!fs.existsSync(file) || !fs.statSync(file).isFile()) return null;
  return file;
}

/** Starts a server; port 0 is any free one. */
export function serve(folder, port) {
  const server = http.createServer((request, response) => {
    const {method} = request;
    if (method !== 'GET' && method !== 'HEAD') {
      response.writeHead(405, {allow: 'GET, HEAD'}).end();
      return;
    }
    const [pathname] = (request.url ?? '/').split('?');
    const file = findFile(folder, pathname);
    if (file === null) {
      response.writeHead(404, {'content-type': 'text/plain'})
          .end('There is no such file.\n');
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'content-length': fs.statSync(file).size,
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    });
    if (method === 'HEAD') {
      response.end();
      return;
    }
    fs.createReadStream(file)
        .on('error', () => response.destroy())
        .pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Of this machine only: nobody else sees it.
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

const DEFAULT_PORT = 8000;

async function main([folder, port = DEFAULT_PORT]) {
  let server;
  try {
    server = await serve(folder, Number(port));
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    server = await serve(folder, 0);
  }
  console.log(`http://localhost:${server.address().port}/`);
  console.log('Ctrl+C ends it.');
}

// Only where this is the program, whatever link it was started by.
if (fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2));
}
