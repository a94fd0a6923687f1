// A static server for a folder, as any host of the page is: no special headers.

import * as fs from 'node:fs';
import * as http from 'node:http';
import * as path from 'node:path';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

export class Server {
  /** Every request since the start or clearLog: {method, path, status}. */
  log = [];
  #folders;
  #server;

  /**
   * `folders` is {URL prefix: folder}; the longest prefix that fits serves.
   * `rewrite` gives the bytes to send for a path and the bytes of its file.
   */
  constructor(folders, rewrite = (name, bytes) => bytes) {
    this.#folders = Object.entries(folders).sort(
        ([a], [b]) => b.length - a.length);
    this.#server = http.createServer((request, response) => {
      const {pathname} = new URL(request.url, 'http://localhost');
      const entry = {method: request.method, path: pathname, status: 404};
      this.log.push(entry);
      const file = this.#find(decodeURIComponent(pathname));
      if (request.method !== 'GET' || file === null) {
        response.writeHead(404).end();
        return;
      }
      entry.status = 200;
      response.writeHead(200, {
        'content-type':
            TYPES[path.extname(file)] ?? 'application/octet-stream',
        // The browser asks again for each: the log then has all it needs.
        'cache-control': 'no-cache',
      });
      response.end(rewrite(pathname, fs.readFileSync(file)));
    });
  }

  #find(pathname) {
    for (const [prefix, folder] of this.#folders) {
      if (!pathname.startsWith(prefix)) continue;
      const name = pathname.slice(prefix.length) || 'index.html';
      const file = path.join(folder, name);
      const inside = file.startsWith(path.join(folder, path.sep));
      if (inside && fs.existsSync(file) && fs.statSync(file).isFile()) {
        return file;
      }
    }
    return null;
  }

  /** Starts it; on `port` where that is given. Resolves to its origin. */
  async listen(port = 0) {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    this.origin = `http://127.0.0.1:${this.#server.address().port}`;
    return this.origin;
  }

  clearLog() {
    this.log.length = 0;
  }

  /** Ends it and every open connection: whoever asks then is offline. */
  async close() {
    if (!this.#server.listening) return;
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }
}
