// The worker's script, for browsers and for Node.

import {browserPlatform} from './browser_worker.js';
import {isNode} from './environment.js';
import {serve} from './worker_server.js';
import type {FromWorker, ToWorker} from './protocol.js';

if (isNode) {
  // Messages wait until somebody listens. Without await at the top, where a
  // browser would lose them.
  void import('./node_worker.js')
      .then(({nodePlatform, nodePort}) => serve(nodePort(), nodePlatform));
} else {
  const scope = globalThis as unknown as {
    postMessage(message: FromWorker, transfer: Transferable[]): void;
    onmessage: ((event: MessageEvent<ToWorker>) => void)|null;
  };
  serve(
      {
        send: (message, transfer = []) => scope.postMessage(message, transfer),
        onMessage: (handle) => {
          scope.onmessage = ({data}) => handle(data);
        },
      },
      browserPlatform);
}
