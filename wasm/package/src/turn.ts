// A turn of the event loop between two steps of work.

import {isNode} from './environment.js';

/**
 * Resolves when the event loop has come round: messages have come in, and a
 * browser could free what FileReaderSync left behind.
 */
export const turn: () => Promise<void> = isNode ? nodeTurn : browserTurn();

// Node hands out up to 1000 messages of one port before it looks at another.
function nodeTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// A message gets there sooner than a timer, which browsers hold back.
function browserTurn(): () => Promise<void> {
  const {port1, port2} = new MessageChannel();
  const waiting: Array<() => void> = [];
  port1.onmessage = () => waiting.shift()?.();
  return () => new Promise((resolve) => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
