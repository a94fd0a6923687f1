// Keeps the page for use without a network: every file of it, by its hash.
//
// It answers from what it has, and asks the network for nothing else. A newer
// version is fetched whole beside the old one and waits until the page asks for
// it, so a run never changes its code.

declare const MQ_FILES: [path: string, integrity: string][];
declare const MQ_VERSION: string;

// The types of a worker and of a page exclude each other in one program.
interface Extendable extends Event {
  waitUntil(promise: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Scope extends EventTarget {
  readonly registration: {readonly scope: string};
  readonly clients: {claim(): Promise<void>};
  skipWaiting(): Promise<void>;
}

const scope = self as unknown as Scope;
const PREFIX = `monoquant ${scope.registration.scope} `;
const CACHE = PREFIX + MQ_VERSION;

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await Promise.all(MQ_FILES.map(async ([path, integrity]) => {
    const url = new URL(path, scope.registration.scope);
    // A file of another version is an error here: nothing is mixed.
    const response = await fetch(url, {cache: 'no-cache', integrity});
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    await cache.put(url, response);
  }));
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const url = new URL(request.url);
  url.search = '';
  url.hash = '';
  if (url.href === scope.registration.scope) url.pathname += 'index.html';
  return await cache.match(url) ?? fetch(request);
}

scope.addEventListener('install', (event) => {
  (event as Extendable).waitUntil(install());
});
scope.addEventListener('activate', (event) => {
  (event as Extendable).waitUntil(activate());
});
scope.addEventListener('fetch', (event) => {
  const fetching = event as Fetching;
  const {request} = fetching;
  if (request.method !== 'GET') return;
  if (!request.url.startsWith(scope.registration.scope)) return;
  fetching.respondWith(answer(request));
});
scope.addEventListener('message', (event) => {
  if ((event as MessageEvent).data === 'activate') scope.skipWaiting();
});

export {};
